//! Peers that lie, beside btcd: what is believed is what has the most work.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use spv::regtest::{Behaviour, MockPeer};

use crate::interop::chain::pay::settled;
use crate::interop::chain::scene::{Place, milliseconds};
use crate::purse::{Pair, follows};

/// Every kind of liar there is.
const LIARS: [Behaviour; 6] = [
    Behaviour::StaleTip,
    Behaviour::LowerWork,
    Behaviour::ForgedBlocks,
    Behaviour::ForgedHeaders,
    Behaviour::Silent,
    Behaviour::Garbage,
];

/// A node with six liars and btcd as peers pays, proves, and is never led astray.
pub fn beside(place: &Place) -> Result<String> {
    let chain = place.chain()?;
    let liars = LIARS
        .into_iter()
        .map(|behaviour| MockPeer::start(&chain.miner, behaviour))
        .collect::<std::io::Result<Vec<_>>>()
        .context("starting the liars")?;
    let mut peers: Vec<String> = liars.iter().map(|one| one.address().to_string()).collect();
    // the honest one comes last
    peers.push(chain.btcd.address.clone());
    let pair = Pair::meet(place.setup("author", &peers), place.setup("payer", &peers))?;
    let start = Instant::now();
    for node in [&pair.author, &pair.payer] {
        follows(node, &chain.tip()?)?;
    }
    let synced = milliseconds(start);
    let start = Instant::now();
    settled(&chain.miner, &pair, |txs| chain.mine(txs).map(drop))?;
    let paid = milliseconds(start);
    for node in [&pair.author, &pair.payer] {
        follows(node, &chain.tip()?)?;
    }
    let called: u64 = liars.iter().map(MockPeer::connections).sum();
    ensure!(called > 0, "no liar was ever asked");
    Ok(format!(
        "{} liars: synced in {synced}, a vote settled in {paid}",
        LIARS.len()
    ))
}
