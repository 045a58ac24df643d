//! The page of a payment, which a reader leaves open.

use anyhow::{Result, ensure};
use bitcoin::consensus::encode::serialize_hex;
use serde_json::json;

use super::{Chain, SETTLED, offered};
use crate::scene::{Scene, text};
use crate::webdriver::Browser;

/// The stage that the page shows as reached.
const STAGE: &str = "#payment [aria-current=step]";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_stays_open_shows_how_far_its_payment_gets() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let pair = chain.pair(&scene)?;
    let (id, paying) = offered(&chain, &pair)?;
    let before = chain.miner.height();
    let browser = Browser::open().await?;
    let link = pair
        .payer
        .client()?
        .send_json("POST", "/api/v1/signin", &json!({}))?;
    browser.goto(&text(&link, "url")?).await?;
    browser.find(".me a.self").await?;
    browser
        .goto(&format!("{}/payment/{id}", pair.payer.url))
        .await?;
    ensure!(browser.text(STAGE).await? == "Unpaid", "before");
    ensure!(
        browser.count("#payment figure svg").await? == 1,
        "no QR code"
    );
    ensure!(
        browser.count("#payment a[href^='bitcoin:']").await? == 1,
        "no link to a wallet"
    );
    browser.run("window.stayed = true").await?;
    let shows = async |stage: &str| {
        browser
            .until(stage, async || Ok(browser.text(STAGE).await? == stage))
            .await
    };
    let hex = serialize_hex(&paying);
    pair.payer.json(&["pay", "status", "--tx", &hex])?;
    shows("Seen").await?;
    chain.mine(&paying);
    shows("1 of 6 confirmations").await?;
    chain.miner.mine_many(SETTLED - 1);
    shows("Settled").await?;
    chain.compete(before, 8);
    browser
        .until("the words of a payment taken back", async || {
            let words = browser.text("#payment [role=status]").await?;
            Ok(words.starts_with("Taken back"))
        })
        .await?;
    ensure!(
        browser.run("return window.stayed === true").await? == true,
        "the page was loaded again"
    );
    Ok(())
}
