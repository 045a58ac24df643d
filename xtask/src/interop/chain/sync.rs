//! Headers: all of them at once, then one by one, through restarts of either side.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::interop::chain::scene::{Place, milliseconds};
use crate::purse::follows;

/// More than one message holds (2,000).
const BLOCKS: u32 = 2_500;

/// Syncs, sees new blocks, and goes on after btcd or the node itself was away.
pub fn headers(place: &Place) -> Result<String> {
    let mut chain = place.chain_of(BLOCKS)?;
    let node = place
        .setup("node", &[chain.btcd.address.as_str()])
        .start()?;
    let start = Instant::now();
    let seen = follows(&node, &chain.tip()?)?;
    let synced = milliseconds(start);
    ensure!(seen["tip"]["height"] == BLOCKS, "{seen}");

    let start = Instant::now();
    follows(&node, &chain.bury(1)?)?;
    let one = milliseconds(start);

    chain.btcd.stop()?;
    chain.revive()?;
    let start = Instant::now();
    follows(&node, &chain.bury(1)?)?;
    let back = milliseconds(start);

    // what was synced is there before any peer says anything
    let (setup, ..) = node.stop()?;
    chain.btcd.stop()?;
    let node = setup.start()?;
    follows(&node, &chain.miner.tip().block_hash().to_string())?;
    chain.revive()?;
    follows(&node, &chain.bury(1)?)?;
    Ok(format!(
        "{BLOCKS} headers in {synced} after the start, a new one in {one}, {back} after btcd came back"
    ))
}
