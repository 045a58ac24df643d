//! What was received, and the keys that spend it.

use anyhow::{Context, Result, ensure};
use bitcoin::ScriptBuf;

use super::{Chain, SATS, offered};
use crate::purse::{OTHER_WORDS, WORDS, outputs_of_batch, reaches, spendable, vote};
use crate::scene::{Scene, text};

#[test]
fn the_words_of_the_published_key_spend_what_was_received_and_no_others_do() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let pair = chain.pair(&scene)?;
    let (alone, paying) = offered(&chain, &pair)?;
    chain.mine(&paying);
    reaches(&pair.author, &alone, "confirmed", 1)?;
    let post = pair.reply(&pair.author, "In a batch")?;
    let together = text(&vote(&pair.payer, &post, SATS)?, "vote")?;
    let batch = pair.payer.json(&["pay", "batch"])?;
    let batched = chain.miner.pay(outputs_of_batch(&batch)?)?;
    chain.mine(&batched);
    reaches(&pair.author, &together, "confirmed", 1)?;

    let coins = spendable(&pair.author, WORDS)?;
    ensure!(coins.len() == 2, "{coins:?}");
    for (outpoint, key) in coins {
        let paid = [&paying, &batched]
            .into_iter()
            .find(|one| one.compute_txid() == outpoint.txid)
            .context("a coin that nobody paid")?;
        let coin = &paid.output[outpoint.vout as usize];
        ensure!(coin.value.to_sat() == SATS, "{coin:?}");
        let spending = key.pay(outpoint, coin, Vec::new())?;
        ensure!(spending.output[0].script_pubkey != ScriptBuf::new());
    }
    ensure!(spendable(&pair.author, OTHER_WORDS).is_err(), "other words");
    ensure!(
        spendable(&pair.payer, WORDS)?.is_empty(),
        "the payer has received nothing"
    );
    Ok(())
}
