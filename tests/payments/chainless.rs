//! Nodes that keep no headers: what they are told of is shown as not checked here.

use anyhow::{Result, ensure};

use super::{Chain, confirmed};
use crate::node::eventually;
use crate::purse::{ARRIVES, reaches};
use crate::scene::{Scene, join, shows};

#[test]
fn without_a_chain_proofs_are_not_checked_and_votes_not_paid() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let pair = chain.pair(&scene)?;
    let id = confirmed(&chain, &pair)?;

    let reader = scene.node("reader")?;
    join(&reader, &pair.ticket)?;
    shows(&reader, &pair.thread, 1)?;
    let seen = reaches(&reader, &id, "unchecked", 0)?;
    ensure!(
        seen["counted_sats"] == 0 && seen["why"].is_string(),
        "{seen}"
    );
    let said = reader.run(&["chain", "status"])?;
    ensure!(
        said.code == 0 && said.stdout.contains("payments.network"),
        "{said:?}"
    );
    let said = reader.run(&["vote", &pair.thread, "up", "--pay", "1000", "--anyway"])?;
    ensure!(
        said.code != 0 && said.stderr.contains("payments.network"),
        "{said:?}"
    );
    // once it keeps headers, it judges what it was told of before
    let (setup, ..) = reader.stop()?;
    let peers = [chain.peer.address().to_string()];
    let reader = crate::purse::on_chain(setup, &peers).start()?;
    reaches(&reader, &id, "confirmed", 1)?;
    eventually("the sum", ARRIVES, || {
        let counts = super::paid(&reader, &pair.thread)?;
        Ok((counts["sats"] == super::SATS).then_some(()))
    })
}
