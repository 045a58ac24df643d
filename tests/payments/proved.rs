//! Payments that the payer's node never proved: their recipient or anybody proves them by the block.

use anyhow::{Result, ensure};

use super::{Chain, SATS, both_reach, offered};
use crate::node::eventually;
use crate::purse::{ARRIVES, OTHER_WORDS, WORDS, follows, proofs_of, publish, shown};
use crate::scene::{Scene, text};

#[test]
fn a_recipient_proves_what_the_payer_never_proved_even_by_an_earlier_key() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let pair = chain.pair(&scene)?;
    let (id, paying) = offered(&chain, &pair)?;
    // the payer looks for it no longer, and the recipient has changed keys
    pair.payer.json(&["pay", "forget", &id])?;
    publish(&pair.author, OTHER_WORDS)?;
    let empty = chain.miner.height().to_string();
    let block = chain.mine(&paying).block_hash().to_string();
    chain.miner.mine_many(1);
    follows(&pair.author, &chain.miner.tip().block_hash().to_string())?;

    // nobody else's block, no block at all, no vote
    for (vote, block, code, reason) in [
        (id.as_str(), empty.as_str(), 3, "nothing in the block"),
        (&id, "1000000", 3, "there is no block 1000000"),
        (&id, &"ab".repeat(32), 3, "is not on the chain"),
        (&pair.thread, &block, 3, "is not held here"),
        (&id, "tomorrow", 2, "its height"),
    ] {
        let args = ["pay", "prove", vote, "--block", block];
        let said = pair.author.run(&args)?;
        ensure!(said.code == code, "{reason}: {said:?}");
        ensure!(format!("{said:?}").contains(reason), "{reason}: {said:?}");
    }

    // its descriptor can be had before any proof, by the words of the earlier key
    let args = ["--json", "pay", "keys", "--vote", &id, "--with-secret"];
    let said = pair.author.run_with(&args, WORDS)?;
    let spends = said.json()?;
    let descriptors = spends["descriptors"].as_array();
    ensure!(descriptors.is_some_and(|all| all.len() == 2), "{said:?}");
    let script = paying.output[0].script_pubkey.to_hex_string();
    let ours = descriptors
        .into_iter()
        .flatten()
        .find(|one| one["script_hex"] == script);
    let ours = ours.map(|one| text(one, "spend")).transpose()?;
    ensure!(
        ours.as_ref().is_some_and(|one| !one.contains('<')),
        "{said:?}"
    );

    // written and not published, then published
    let file = scene.path("paid.proof");
    let path = file.display().to_string();
    let args = ["pay", "prove", &id, "--block", &block, "--out", &path];
    pair.author.json(&args)?;
    ensure!(
        proofs_of(&pair.author, &id).is_err(),
        "nothing is published"
    );
    let checked = pair.author.json(&["pay", "verify", &path])?;
    ensure!(checked["sats"] == SATS, "{checked}");
    // the vote may have come this moment, and wait for who cast it
    let proved = eventually("the proof published", ARRIVES, || {
        let args = ["pay", "prove", &id, "--block", &block];
        pair.author.json(&args).map(Some)
    })?;
    ensure!(proved["payments"][0]["sats"] == SATS, "{proved}");
    both_reach(&pair, &id, "confirmed", 2)?;
    ensure!(shown(&pair.payer, &id)?["counted_sats"] == SATS);

    // once more is the same row, by its height; the payer, who would lose most, publishes one, too
    let height = (chain.miner.height() - 1).to_string();
    let row = |node: &crate::node::Node| -> Result<String> {
        let proved = node.json(&["pay", "prove", &id, "--block", &height])?;
        text(&proved["payments"][0], "row")
    };
    ensure!(row(&pair.author)? == text(&proved["payments"][0], "row")?);
    let own = row(&pair.payer)?;
    ensure!(
        own != row(&pair.author)? && own == row(&pair.payer)?,
        "{own}"
    );
    ensure!(shown(&pair.author, &id)?["counted_sats"] == SATS);
    Ok(())
}
