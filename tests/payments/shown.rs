//! What is said of payments beside their sum: votes that were changed, payments to oneself, keys
//! that changed; and proofs that travel with nothing but headers.

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use super::{Chain, SATS, both_reach, confirmed, offered, paid};
use crate::node::eventually;
use crate::purse::{
    ARRIVES, OTHER_WORDS, counts, payable, proofs_of, publish, reaches, shown, vote,
};
use crate::scene::{Scene, text};

#[test]
fn a_vote_that_was_changed_is_shown_and_not_counted() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let pair = chain.pair(&scene)?;
    let (id, paying) = offered(&chain, &pair)?;
    chain.mine(&paying);
    for node in [&pair.payer, &pair.author] {
        counts(node, &id, SATS)?;
    }
    pair.payer.json(&["vote", &pair.thread, "down"])?;
    for node in [&pair.payer, &pair.author] {
        counts(node, &id, 0)?;
        let seen = reaches(node, &id, "confirmed", 1)?;
        ensure!(seen["superseded"] == true, "{seen}");
        ensure!(paid(node, &pair.thread)?["sats"] == 0, "counted on");
    }
    Ok(())
}

#[test]
fn who_pays_himself_is_shown_to() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let pair = chain.pair(&scene)?;
    payable(&pair.author, &pair.thread)?;
    let asked = vote(&pair.author, &pair.thread, SATS)?;
    ensure!(asked["to_self"] == true, "{asked}");
    let id = text(&asked, "vote")?;
    chain.mine(&chain.pays(&asked)?);
    for node in [&pair.author, &pair.payer] {
        let seen = reaches(node, &id, "confirmed", 1)?;
        ensure!(seen["to_self"] == true, "{seen}");
    }
    Ok(())
}

#[test]
fn a_key_that_changed_since_is_warned_of() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let pair = chain.pair(&scene)?;
    let (id, paying) = offered(&chain, &pair)?;
    publish(&pair.author, OTHER_WORDS)?;
    eventually("the warning", ARRIVES, || {
        let seen = shown(&pair.payer, &id)?;
        let warnings = seen["warnings"].to_string();
        if !warnings.contains("another payment key") {
            bail!("{seen}");
        }
        Ok(Some(()))
    })?;
    // what went to the former key is proved all the same
    chain.mine(&paying);
    both_reach(&pair, &id, "confirmed", 1)
}

#[test]
fn a_proof_is_checked_anywhere_by_a_file_of_headers() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let pair = chain.pair(&scene)?;
    let id = confirmed(&chain, &pair)?;
    let held = proofs_of(&pair.author, &id)?;
    let proof = scene.path("proof");
    fs::write(&proof, held.first().context("no proof")?)?;
    let headers = scene.path("headers");
    let (proof, file) = (proof.to_string_lossy(), headers.to_string_lossy());
    let export = ["chain", "headers", "--network", "regtest", "--out", &file];
    let said = pair.author.run(&export)?;
    ensure!(said.code == 0, "{said:?}");

    // in a folder that no node ever ran in
    let elsewhere = scene.setup("elsewhere");
    let verify =
        |headers: &str| elsewhere.run(&["--json", "pay", "verify", &proof, "--headers", headers]);
    let said = verify(&file)?;
    ensure!(said.code == 0 && said.json()?["sats"] == SATS, "{said:?}");
    // headers that end before its block, and none at all
    let bytes = fs::read(&headers)?;
    fs::write(&headers, &bytes[..bytes.len() - 80])?;
    let said = verify(&file)?;
    ensure!(said.code == 4, "{said:?}");
    let said = verify(&scene.path("nowhere").to_string_lossy())?;
    ensure!(said.code == 3, "{said:?}");
    // imported, they let another node judge what it hears before it has a peer
    fs::write(&headers, &bytes)?;
    let said = elsewhere.run(&[
        "chain",
        "headers",
        "--network",
        "regtest",
        "--import",
        &file,
    ])?;
    ensure!(said.code == 0, "{said:?}");
    let said = elsewhere.run(&["pay", "verify", &proof])?;
    ensure!(said.code == 0, "{said:?}");
    Ok(())
}
