//! What was received is spent by the descriptors that the node exports.

use anyhow::{Context, Result, ensure};
use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::{Block, OutPoint};

use crate::interop::chain::pay::SATS;
use crate::interop::chain::scene::Place;
use crate::interop::stage::text;
use crate::purse::{WORDS, output_of, outputs_of_batch, reaches, spendable, vote};

/// One vote paid by its address and two by a batch; both coins are spent.
pub fn received(place: &Place) -> Result<String> {
    let (chain, pair) = place.pair()?;
    let asked = vote(&pair.payer, &pair.thread, SATS)?;
    let mut votes = vec![text(&asked, "vote")?];
    let alone = chain.pay(vec![output_of(&asked)?])?;
    chain.mine(vec![alone.clone()])?;
    reaches(&pair.author, &votes[0], "confirmed", 1)?;
    for words in ["One", "Another"] {
        let post = pair.reply(&pair.author, words)?;
        votes.push(text(&vote(&pair.payer, &post, SATS)?, "vote")?);
    }
    let batch = pair.payer.json(&["pay", "batch"])?;
    let together = chain.pay(outputs_of_batch(&batch)?)?;
    chain.mine(vec![together.clone()])?;
    for id in &votes[1..] {
        reaches(&pair.author, id, "confirmed", 1)?;
    }

    let coins = spendable(&pair.author, WORDS)?;
    ensure!(coins.len() == 2, "{} coins were received", coins.len());
    let mut spent = Vec::new();
    for (outpoint, key) in &coins {
        let paid = [&alone, &together]
            .into_iter()
            .find(|one| one.compute_txid() == outpoint.txid)
            .context("a coin that nobody paid")?;
        let coin = paid
            .output
            .get(outpoint.vout as usize)
            .context("no such output")?;
        let spending = key.pay(*outpoint, coin, Vec::new())?;
        let txid = chain.btcd.send(&serialize_hex(&spending))?;
        spent.push((txid, *outpoint));
    }
    let hashes = chain.btcd.generate(1)?;
    let hash = hashes.first().context("btcd made no block")?;
    let block: Block = deserialize_hex(&chain.btcd.block(hash)?)?;
    let inputs: Vec<OutPoint> = block
        .txdata
        .iter()
        .flat_map(|one| one.input.iter().map(|input| input.previous_output))
        .collect();
    for (txid, outpoint) in &spent {
        ensure!(inputs.contains(outpoint), "{txid} was not mined");
    }
    Ok("one coin of an address and one of a batch, signed by WIF: taken and mined".to_owned())
}
