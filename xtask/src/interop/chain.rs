//! btcd, a full node that others run: paid votes on a private chain, from the first header to the
//! spending of what was received.
//!
//! Blocks are made here and given to btcd, so that branches compete as they do in the world. Their
//! coinbases pay to anybody, which makes a wallet of everybody.

mod btcd;
mod liars;
mod pay;
mod reorg;
mod scene;
mod spend;
mod sync;

use anyhow::Result;

use crate::interop::go::{self, Peer};
use crate::interop::report::{Line, Outcome};
use crate::interop::stage::Stage;
use crate::workspace::Workspace;

use scene::Place;

/// Name of the peer in the table.
pub const PEER: &str = "btcd";

/// A check of this module: its name and what carries it out, with figures for the table.
pub type Check = (&'static str, fn(&Place) -> Result<String>);

/// The checks.
pub const CHECKS: [Check; 8] = [
    ("headers", sync::headers),
    ("paid by address", pay::by_address),
    ("paid by a batch", pay::by_batch),
    ("proof without a node", pay::proof_file),
    ("reorganised", reorg::taken_back),
    ("restarted in each state", reorg::restarts),
    ("beside liars", liars::beside),
    ("spent by descriptors", spend::received),
];

/// Carries out checks; where btcd can't be had, says why.
///
/// # Errors
/// When its source is there and doesn't compile.
pub fn run(workspace: &Workspace, stage: &Stage, checks: &[Check]) -> Result<Vec<Line>> {
    if checks.is_empty() {
        return Ok(Vec::new());
    }
    let binary = match go::program(&workspace.target.join("interop"), &go::BTCD)? {
        Peer::Here(binary) => binary,
        Peer::Absent(reason) => {
            let skipped =
                |(name, _): &Check| Line::new(PEER, name, Outcome::Skipped(reason.clone()));
            return Ok(checks.iter().map(skipped).collect());
        }
    };
    let peer = format!("{PEER} {}", go::BTCD.version.trim_start_matches('v'));
    let run = |(name, check): &Check| {
        println!("── {peer}: {name}");
        let outcome = Outcome::of(check(&Place::new(stage, &binary, name)));
        println!("   {outcome}");
        Line::new(&peer, name, outcome)
    };
    Ok(checks.iter().map(run).collect())
}
