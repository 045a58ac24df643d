//! Proofs that prove nothing: each is refused with its reason, and none is ever counted.

use std::fs;

use anyhow::{Context, Result, ensure};
use bitcoin::base64::Engine as _;
use bitcoin::base64::prelude::BASE64_STANDARD;
use bitcoin::consensus::{deserialize, serialize};
use bitcoin::{Amount, ScriptBuf, Transaction, TxOut};
use serde_json::json;
use spv::proof::{Binding, MAX_PROOF_BYTES, PaymentProof};

use super::{Chain, SATS, both_reach, confirmed, offered, paid};
use crate::node::Node;
use crate::purse::{Pair, outputs_of_batch, proofs_of, reaches, shown, vote};
use crate::scene::{Scene, text};

/// A true proof of a single vote and one of a batch, made by a node.
struct Proofs {
    chain: Chain,
    pair: Pair,
    /// Its vote, and the proof.
    single: (String, PaymentProof),
    batch: PaymentProof,
}

fn proofs(scene: &Scene) -> Result<Proofs> {
    let chain = Chain::new()?;
    let pair = chain.pair(scene)?;
    let (alone, paying) = offered(&chain, &pair)?;
    // an even number of transactions beside it, so that there is a branch
    let filler = chain.miner.pay(Vec::new())?;
    let more = chain.miner.pay(Vec::new())?;
    chain.miner.mine(vec![filler, paying, more]);
    both_reach(&pair, &alone, "confirmed", 1)?;
    let post = pair.reply(&pair.author, "In a batch")?;
    let together = text(&vote(&pair.payer, &post, SATS)?, "vote")?;
    let batch = pair.payer.json(&["pay", "batch"])?;
    chain.mine(&chain.miner.pay(outputs_of_batch(&batch)?)?);
    both_reach(&pair, &together, "confirmed", 1)?;
    let proof = |vote: &str| {
        let held = proofs_of(&pair.author, vote)?;
        let bytes = held.first().context("the author holds no proof")?;
        Ok::<_, anyhow::Error>(PaymentProof::decode(bytes)?)
    };
    let (single, batch) = (proof(&alone)?, proof(&together)?);
    Ok(Proofs {
        single: (alone, single),
        batch,
        chain,
        pair,
    })
}

/// The proof with another transaction in it.
fn with_transaction(
    proof: &PaymentProof,
    change: impl FnOnce(&mut Transaction),
) -> Result<Vec<u8>> {
    let mut transaction: Transaction = deserialize(&proof.transaction)?;
    change(&mut transaction);
    let mut changed = proof.clone();
    changed.transaction = serialize(&transaction);
    Ok(changed.encode())
}

fn altered(proof: &PaymentProof, change: impl FnOnce(&mut PaymentProof)) -> Vec<u8> {
    let mut changed = proof.clone();
    change(&mut changed);
    changed.encode()
}

/// What is wrong, and the words that must be said of it.
fn lies(proofs: &Proofs) -> Result<Vec<(&'static str, Vec<u8>, &'static str)>> {
    let (single, batch) = (&proofs.single.1, &proofs.batch);
    let whole = single.encode();
    let elsewhere = proofs.chain.miner.block_at(7).context("a block")?;
    let own: [u8; 32] = *deserialize::<Transaction>(&single.transaction)?
        .compute_txid()
        .as_ref();
    let Binding::Batch(path) = &batch.binding else {
        anyhow::bail!("a batch's proof: {batch:?}");
    };
    let more = {
        let mut path = path.clone();
        path.sats += 1;
        path
    };
    Ok(vec![
        ("cut off", whole[..whole.len() - 1].to_vec(), "cut off"),
        ("nothing", Vec::new(), ""),
        (
            "something behind it",
            [&whole[..], &[0]].concat(),
            "follow the end",
        ),
        ("too long", vec![1; MAX_PROOF_BYTES + 1], "at most"),
        (
            "another network",
            altered(single, |one| one.network = spv::Network::Signet),
            "",
        ),
        (
            "an unknown block",
            altered(single, |one| one.block = bitcoin::hashes::Hash::all_zeros()),
            "is not on the chain with the most work",
        ),
        (
            "another block's",
            altered(single, |one| one.block = elsewhere.block_hash()),
            "does not lead to the root",
        ),
        (
            "another branch",
            altered(single, |one| one.branch[0][0] ^= 1),
            "does not lead to the root",
        ),
        (
            "another place",
            altered(single, |one| one.index ^= 1),
            "does not lead to the root",
        ),
        (
            "a place outside the tree",
            altered(single, |one| one.index = 1 << 20),
            "is outside a tree",
        ),
        (
            "too deep a tree",
            altered(single, |one| one.branch = vec![[1; 32]; 16]),
            "levels",
        ),
        (
            "a sibling that is its copy",
            altered(single, |one| {
                one.branch[0] = own;
                one.index ^= 1;
            }),
            "repeats a node",
        ),
        (
            "a transaction of 64 bytes",
            altered(single, |one| one.transaction = of_64_bytes()),
            "64 bytes",
        ),
        (
            "another vote",
            altered(single, |one| one.vote = batch.vote),
            "does not pay this vote",
        ),
        (
            "another key",
            altered(single, |one| one.key = *elsewhere_key()),
            "does not pay this vote",
        ),
        (
            "another output",
            altered(single, |one| one.vout = 9),
            "has no output 9",
        ),
        (
            "two commitments",
            with_transaction(batch, |one| one.output.push(one.output[1].clone()))?,
            "commitments",
        ),
        (
            "no commitment",
            with_transaction(batch, |one| one.output[1].script_pubkey = ScriptBuf::new())?,
            "commits to no batch",
        ),
        (
            "more than was paid for it",
            altered(batch, |one| one.binding = Binding::Batch(more)),
            "",
        ),
        (
            "less in the output than the votes claim",
            with_transaction(batch, |one| {
                let value = one.output[0].value;
                one.output[0].value = value - Amount::ONE_SAT;
            })?,
            "",
        ),
        (
            "an output more",
            with_transaction(batch, |one| {
                let more = TxOut {
                    value: Amount::ONE_SAT,
                    script_pubkey: ScriptBuf::new(),
                };
                one.output.insert(0, more);
            })?,
            "",
        ),
    ])
}

/// A transaction that could be a node of a merkle tree.
fn of_64_bytes() -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[0] = 1;
    // one input with no script, one output with a script of four bytes
    bytes[4] = 1;
    bytes[46] = 1;
    bytes[55] = 4;
    bytes
}

/// The generator's x: a key that nobody is paid by.
fn elsewhere_key() -> &'static [u8; 32] {
    &bitcoin::secp256k1::constants::GENERATOR_X
}

/// The node says that it proves nothing, and publishes nothing.
fn refused_by(node: &Node, what: &str, bytes: &[u8]) -> Result<()> {
    let body = json!({"proof": BASE64_STANDARD.encode(bytes)}).to_string();
    let headers = [("content-type", "application/json")];
    for path in ["/api/v1/payments/verify", "/api/v1/payments/proofs"] {
        let answer = node
            .client()?
            .send("POST", path, &headers, body.as_bytes())?;
        let said = answer.json()?;
        let is_judged = path.ends_with("verify")
            && answer.status == 200
            && (said["state"] == "false" || said["state"] == "unchecked")
            && said["why"].is_string();
        let code = &said["error"]["code"];
        ensure!(
            is_judged || code == "not_verified" || code == "invalid" || code == "too_large",
            "{what}: {path} answered {}: {said}",
            answer.status
        );
    }
    Ok(())
}

#[test]
fn proofs_that_prove_nothing_are_refused_with_their_reason() -> Result<()> {
    let scene = Scene::new()?;
    let proofs = proofs(&scene)?;
    let file = scene.path("proof");
    let verify = |bytes: &[u8]| {
        fs::write(&file, bytes)?;
        let path = file.to_string_lossy();
        proofs.pair.payer.run(&["pay", "verify", path.as_ref()])
    };
    for proof in [&proofs.single.1, &proofs.batch] {
        let said = verify(&proof.encode())?;
        ensure!(
            said.code == 0 && said.stdout.contains("5000 sats"),
            "{said:?}"
        );
    }
    for (what, bytes, reason) in lies(&proofs)? {
        let said = verify(&bytes)?;
        ensure!(said.code == 4, "{what} ended with {}: {said:?}", said.code);
        ensure!(
            said.stderr.contains(reason) && said.stderr.len() > 20,
            "{what}: {reason:?} wanted, {:?} said",
            said.stderr
        );
        refused_by(&proofs.pair.payer, what, &bytes)?;
    }
    let (id, _) = &proofs.single;
    for node in [&proofs.pair.payer, &proofs.pair.author] {
        let counts = paid(node, &proofs.pair.thread)?;
        ensure!(counts["sats"] == SATS && counts["votes"] == 1, "{counts}");
        let seen = shown(node, id)?;
        ensure!(
            seen["state"] == "confirmed" && seen["counted_sats"] == SATS,
            "{seen}"
        );
    }
    Ok(())
}

#[test]
fn a_payment_is_counted_once_however_often_it_is_published() -> Result<()> {
    let scene = Scene::new()?;
    let proofs = proofs(&scene)?;
    let (id, proof) = &proofs.single;
    let body = json!({"proof": BASE64_STANDARD.encode(proof.encode())});
    let third = proofs.pair.third(proofs.chain.setup(&scene, "third"))?;
    reaches(&third, id, "confirmed", 2)?;
    for node in [&proofs.pair.author, &third] {
        node.client()?
            .send_json("POST", "/api/v1/payments/proofs", &body)?;
    }
    proofs.chain.miner.mine_many(1);
    for node in [&proofs.pair.payer, &proofs.pair.author, &third] {
        let seen = reaches(node, id, "confirmed", 3)?;
        ensure!(seen["counted_sats"] == SATS, "{seen}");
    }
    Ok(())
}

#[test]
fn a_proof_of_another_chain_is_never_counted() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let pair = chain.pair(&scene)?;
    let id = confirmed(&chain, &pair)?;
    // the same first block, and none after it
    let other = Chain::seeded(2)?;
    let reader = other.setup(&scene, "reader").start()?;
    pair.join(&reader)?;
    let seen = reaches(&reader, &id, "unchecked", 0)?;
    ensure!(seen["counted_sats"] == 0 && seen["sats"] == 0, "{seen}");
    ensure!(seen["why"].is_string(), "{seen}");
    Ok(())
}
