//! `docs/protocol/payment-vectors.json`: made here, and every one of them checked.
//!
//! `DATT_BLESS=1 cargo test -p datt-spv` writes the file anew.

mod invalid;

use std::{collections::BTreeSet, env, fs, path::PathBuf};

use bitcoin::{
    Transaction,
    block::Header,
    consensus::{deserialize, serialize},
    hashes::Hash,
    hex::{DisplayHex, FromHex},
};
use serde_json::{Value, json};

use super::{merkle, world::*};
use crate::{
    Network,
    proof::{
        Batch, BatchPath, Binding, KeyError, PaymentProof, ProofError, Recipient, address,
        address_script,
        commitment::{OutputLeaf, SumStep},
        commitment_script, internal_key, tweak,
    },
};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol/payment-vectors.json")
}

fn hex(bytes: &[u8]) -> String {
    bytes.to_lower_hex_string()
}

fn unhex(value: &Value) -> Vec<u8> {
    FromHex::from_hex(value.as_str().unwrap()).unwrap()
}

fn made() -> Value {
    json!({
        "about": "Test vectors of docs/protocol/payment.md. Hashes are hex in the order of their bytes.",
        "version": 1,
        "keys": [{ "secret": 1, "public": KEY }, { "secret": 2, "public": OTHER_KEY }],
        "addresses": addresses(),
        "batches": [made_batch(&[3, 1, 7]), made_batch(&[1]), made_batch(&[2, 5, 1, 4, 6])],
        "proofs": { "valid": valid(), "invalid": invalid::all() },
    })
}

fn addresses() -> Vec<Value> {
    let networks = Network::ALL.into_iter().flat_map(|network| {
        [KEY, OTHER_KEY].map(|hex_key| {
            let key = key(hex_key);
            let vote = vote();
            json!({
                "network": network.name(),
                "genesis": hex(&network.genesis().to_byte_array()),
                "key": hex_key,
                "vote": vote.to_string(),
                "tweak": hex(&tweak(network, &key, &vote).unwrap().to_be_bytes()),
                "internal_key": hex(&internal_key(network, &key, &vote).unwrap().serialize()),
                "script": address_script(network, &key, &vote).unwrap().to_hex_string(),
                "address": address(network, &key, &vote).unwrap().to_string(),
            })
        })
    });
    networks.collect()
}

fn made_batch(votes: &[u64]) -> Value {
    let recipients = recipients(votes);
    let batch = Batch::new(NETWORK, &recipients).unwrap();
    json!({
        "network": NETWORK.name(),
        "recipients": recipients.iter().map(recipient_json).collect::<Vec<_>>(),
        "outputs": batch.outputs().iter().map(|output| json!({
            "script": output.script_pubkey.to_hex_string(),
            "sats": output.value.to_sat(),
        })).collect::<Vec<_>>(),
        "leaves": leaves(&batch, &recipients),
        "commitment": hex(batch.commitment()),
    })
}

fn recipient_json(recipient: &Recipient) -> Value {
    json!({
        "script": recipient.script.to_hex_string(),
        "key": hex(&recipient.key),
        "key_row": recipient.key_row.to_string(),
        "votes": recipient.votes.iter().map(|(vote, sats)| json!({
            "vote": vote.to_string(), "sats": sats, "leaf": hex(&SumStep::leaf(vote, *sats).hash),
        })).collect::<Vec<_>>(),
    })
}

/// Of each output: its votes' sum root, and its leaf in the tree over outputs.
fn leaves(batch: &Batch, recipients: &[Recipient]) -> Vec<Value> {
    let recipients = (0..).zip(recipients);
    let leaves = recipients.map(|(vout, recipient)| {
        let claim = batch
            .claims()
            .iter()
            .find(|claim| claim.vout == vout)
            .unwrap();
        let Binding::Batch(path) = &claim.binding else {
            panic!("a claim of a batch");
        };
        let root = path.sum_root(&claim.vote).unwrap();
        let leaf = OutputLeaf {
            vout,
            script: &recipient.script,
            key: &recipient.key,
            key_row: &recipient.key_row,
            votes: path.votes,
        };
        json!({
            "sum_root": hex(&root.hash), "sats": root.sats, "leaf": hex(&leaf.hash(&root)),
        })
    });
    leaves.collect()
}

fn valid() -> Vec<Value> {
    let (single, single_chain) = address_proof();
    let (last, last_block) = merkle::lone_last();
    let (batch, batch_chain) = batch_proofs();
    let mut valid = vec![
        valid_proof("one vote by its address", &single, &single_chain),
        valid_proof("in a lone last subtree", &last, &chain(last_block.header)),
    ];
    valid.extend((0..).zip(&batch).map(|(number, proof)| {
        valid_proof(&format!("vote {number} of a batch"), proof, &batch_chain)
    }));
    valid
}

fn valid_proof(name: &str, proof: &PaymentProof, chain: &Chain) -> Value {
    let (checked, confirmed) = judge(proof, chain).unwrap();
    json!({
        "name": name,
        "bytes": hex(&proof.encode()),
        "headers": headers_json(chain),
        "network": checked.network.name(),
        "vote": checked.vote.to_string(),
        "key": hex(&checked.key),
        "key_row": checked.key_row.to_string(),
        "block": hex(&checked.block.to_byte_array()),
        "txid": hex(&checked.outpoint.txid.to_byte_array()),
        "vout": checked.outpoint.vout,
        "script": checked.script.to_hex_string(),
        "sats": checked.sats,
        "is_batch": checked.is_batch,
        "height": confirmed.height,
        "confirmations": confirmed.confirmations,
    })
}

fn headers_json(chain: &Chain) -> Value {
    let headers = chain.headers.iter();
    headers
        .map(|header| json!(hex(&serialize(header))))
        .collect()
}

/// The chain that a vector is judged by.
fn chain_of(vector: &Value) -> Chain {
    let network = vector
        .get("network")
        .map_or(NETWORK, |name| name.as_str().unwrap().parse().unwrap());
    let headers = vector["headers"].as_array().unwrap().iter();
    let headers: Vec<Header> = headers
        .map(|one| deserialize(&unhex(one)).unwrap())
        .collect();
    Chain { network, headers }
}

/// The stable name of a refusal; `payment.md` lists them.
fn reason(error: &ProofError) -> &'static str {
    match error {
        ProofError::TooLong { .. } => "too_long",
        ProofError::Truncated { .. } => "truncated",
        ProofError::Trailing { .. } => "trailing",
        ProofError::Version(_) => "version",
        ProofError::BindingKind(_) => "binding_kind",
        ProofError::UnknownNetwork(_) => "unknown_network",
        ProofError::NotAnEntry { .. } => "not_an_entry",
        ProofError::WrongNetwork { .. } => "wrong_network",
        ProofError::Transaction => "transaction",
        ProofError::NotStripped => "not_stripped",
        ProofError::TransactionOf64Bytes => "transaction_of_64_bytes",
        ProofError::Coinbase => "coinbase",
        ProofError::BranchDepth { .. } => "branch_depth",
        ProofError::IndexRange { .. } => "index_range",
        ProofError::NodeIsTransaction { .. } => "node_is_transaction",
        ProofError::DuplicatedSibling { .. } => "duplicated_sibling",
        ProofError::BlockUnknown(_) => "block_unknown",
        ProofError::BlockReplaced(_) => "block_replaced",
        ProofError::WrongBranch(_) => "wrong_branch",
        ProofError::NoOutput { .. } => "no_output",
        ProofError::Key(KeyError::NotAKey) => "not_a_key",
        ProofError::Key(KeyError::Tweak) => "tweak",
        ProofError::WrongRecipient { .. } => "wrong_recipient",
        ProofError::AddressInBatch => "address_in_batch",
        ProofError::NoCommitment => "no_commitment",
        ProofError::SeveralCommitments { .. } => "several_commitments",
        ProofError::WrongCommitment => "wrong_commitment",
        ProofError::ScriptTooLong { .. } => "script_too_long",
        ProofError::PathDepth => "path_depth",
        ProofError::PathPosition { .. } => "path_position",
        ProofError::SumOverflow => "sum_overflow",
        ProofError::NotCovered { .. } => "not_covered",
        ProofError::NothingPaid => "nothing_paid",
    }
}

/// The kept vectors, or the new ones while those are being written.
fn file() -> Value {
    if env::var_os("DATT_BLESS").is_some() {
        return made();
    }
    serde_json::from_str(&fs::read_to_string(path()).unwrap()).unwrap()
}

fn list(file: &Value, kind: &str) -> Vec<Value> {
    file["proofs"][kind].as_array().unwrap().clone()
}

#[test]
fn the_file_is_what_this_code_makes() {
    let made = format!("{}\n", serde_json::to_string_pretty(&made()).unwrap());
    if env::var_os("DATT_BLESS").is_some() {
        fs::write(path(), &made).unwrap();
    }
    let kept = fs::read_to_string(path()).unwrap_or_default();
    assert!(
        made == kept,
        "the vectors changed: if the protocol was meant to change, DATT_BLESS=1 writes them anew"
    );
}

#[test]
fn every_valid_vector_holds_for_what_it_says() {
    let vectors = list(&file(), "valid");
    assert!(vectors.len() >= 12);
    for vector in vectors {
        let proof = PaymentProof::decode(&unhex(&vector["bytes"])).unwrap();
        let name = vector["name"].as_str().unwrap();
        assert_eq!(
            valid_proof(name, &proof, &chain_of(&vector)),
            vector,
            "{name}"
        );
    }
}

#[test]
fn every_invalid_vector_is_refused_for_its_reason() {
    for vector in list(&file(), "invalid") {
        let judged = PaymentProof::decode(&unhex(&vector["bytes"]))
            .and_then(|proof| judge(&proof, &chain_of(&vector)));
        let error = judged.expect_err(vector["name"].as_str().unwrap());
        assert_eq!(
            reason(&error),
            vector["reason"],
            "{}: {error}",
            vector["name"]
        );
    }
}

#[test]
fn every_rule_has_a_vector_and_a_line_in_the_protocol() {
    let invalid = list(&file(), "invalid");
    let reasons = invalid
        .iter()
        .map(|vector| vector["reason"].as_str().unwrap());
    let reasons: BTreeSet<_> = reasons.collect();
    // all but the hash that nobody has seen
    assert_eq!(reasons.len(), 31, "{reasons:?}");
    let text = fs::read_to_string(path().with_file_name("payment.md")).unwrap();
    for reason in reasons {
        let code = format!("`{reason}`");
        assert!(text.contains(&code), "{code}");
    }
}
