//! Proofs made from mined blocks, checked with no node; and paid votes as a node tells of them.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bitcoin::{Amount, ScriptBuf, TxOut};
use clap::Parser;
use spv::{
    Network,
    chain::ChainStore,
    proof::{
        Binding, Claim, PaymentProof, address_script,
        batch::{Batch, Recipient},
        plain_script, prove,
    },
    regtest::Miner,
};

use super::*;
use crate::{
    commands::{
        Cli,
        tests::{Stub, answer, events},
    },
    payments::keys::Spending,
};

const NETWORK: Network = Network::Regtest;
/// Long past, so that no header lies ahead of the clock.
const TIME_S: u32 = 1_600_000_000;

/// A data folder without a node, and a chain that is mined beside it.
struct Folder {
    folder: tempfile::TempDir,
    miner: Miner,
    key: [u8; 32],
}

impl Folder {
    fn new() -> Self {
        let miner = Miner::new(1, TIME_S);
        miner.mine_many(101);
        let mnemonic = bip39::Mnemonic::from_entropy(&[7; 16]).unwrap();
        let wallet = Spending::from_words(&mnemonic.to_string(), NETWORK).unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            miner,
            key: wallet.public(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the headers mined so far where a node would.
    fn keep_headers(&self) {
        let path = proof::header_file(self.folder.path(), NETWORK);
        let mut store = ChainStore::open(&path, NETWORK).unwrap();
        let blocks = self.miner.blocks();
        let headers: Vec<_> = blocks.iter().skip(1).map(|block| block.header).collect();
        store.accept(&headers, proof::now_s()).unwrap();
    }

    fn claim(&self, vote: EntryId) -> Claim {
        Claim {
            network: NETWORK,
            vote,
            key: self.key,
            key_row: EntryId::of(b"row"),
            vout: 0,
            binding: Binding::Address,
        }
    }

    fn mine(&self, outputs: Vec<TxOut>) -> bitcoin::Block {
        let transaction = self.miner.pay(outputs).unwrap();
        self.miner.mine(vec![transaction])
    }

    fn address_proof(&self, vote: EntryId, sats: u64) -> PaymentProof {
        let block = self.mine(vec![TxOut {
            value: Amount::from_sat(sats),
            script_pubkey: address_script(NETWORK, &self.key, &vote).unwrap(),
        }]);
        prove(&block, 1, self.claim(vote)).unwrap()
    }

    async fn run(&self, args: &[&str]) -> Result<Outcome, CommandError> {
        let data = self.folder.path().to_str().unwrap();
        let line = ["datt", "--data", data].into_iter();
        let line = line.chain(args.iter().copied());
        Cli::try_parse_from(line).unwrap().run().await
    }

    async fn verify(&self, bytes: &[u8]) -> Result<Outcome, CommandError> {
        let path = self.path("proof");
        fs::write(&path, bytes).unwrap();
        self.run(&["pay", "verify", path.to_str().unwrap()]).await
    }
}

#[tokio::test]
async fn a_proof_in_any_form_is_checked_with_no_node_running() {
    let folder = Folder::new();
    let vote = EntryId::of(b"vote");
    let bytes = folder.address_proof(vote, 1_234).encode();
    folder.miner.mine_many(2);
    folder.keep_headers();
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    let base64 = data_encoding::BASE64.encode(&bytes);
    for form in [&bytes, hex.as_bytes(), base64.as_bytes()] {
        let outcome = folder.verify(form).await.unwrap();
        assert_eq!(outcome.exit_code, 0);
        assert_eq!(outcome.json["sats"], 1_234);
        assert_eq!(outcome.json["height"], 102);
        assert_eq!(outcome.json["confirmations"], 3);
        assert_eq!(outcome.json["vote"], vote.to_string());
        for part in ["1234 sats", "3 confirmations", "money moved", "Whose key"] {
            assert!(outcome.text.contains(part), "{part} in {}", outcome.text);
        }
    }
}

#[tokio::test]
async fn the_proofs_of_a_batch_are_checked_one_by_one() {
    let folder = Folder::new();
    let votes: Vec<_> = (1..=5_u64)
        .map(|n| (EntryId::of(&n.to_le_bytes()), 100 * n))
        .collect();
    let batch = Batch::new(
        NETWORK,
        &[Recipient {
            script: plain_script(&folder.key).unwrap(),
            key: folder.key,
            key_row: EntryId::of(b"row"),
            votes: votes.clone(),
        }],
    )
    .unwrap();
    let block = folder.mine(batch.outputs().to_vec());
    folder.keep_headers();
    let proofs = batch.prove(&block, 1).unwrap();
    for (proof, (vote, sats)) in proofs.iter().zip(votes) {
        let outcome = folder.verify(&proof.encode()).await.unwrap();
        assert_eq!(outcome.json["vote"], vote.to_string());
        assert_eq!(outcome.json["sats"], sats);
        assert_eq!(outcome.json["binding"], "batch");
    }
}

#[tokio::test]
async fn proofs_that_fail_say_why_and_exit_with_four() {
    let folder = Folder::new();
    let vote = EntryId::of(b"vote");
    let good = folder.address_proof(vote, 1_000);
    folder.keep_headers();
    let late = folder.address_proof(EntryId::of(b"late"), 1_000);
    let changed = |change: &dyn Fn(&mut PaymentProof)| {
        let mut proof = good.clone();
        change(&mut proof);
        proof.encode()
    };
    let good = good.encode();
    for (bytes, part) in [
        (good[..good.len() - 1].to_vec(), "cut off"),
        ([&good[..], &[0]].concat(), "follow the end"),
        (vec![1; 9_000], "at most 8192"),
        (
            changed(&|proof| proof.vote = EntryId::of(b"another")),
            "does not pay this vote",
        ),
        (changed(&|proof| proof.index = 0), "reward"),
        (
            changed(&|proof| proof.branch[0][0] ^= 1),
            "does not lead to the root",
        ),
        (
            changed(&|proof| proof.network = Network::Signet),
            "does not pay this vote",
        ),
        (changed(&|proof| proof.vout = 9), "no output 9"),
        (late.encode(), "end at height 102"),
    ] {
        let error = folder.verify(&bytes).await.unwrap_err();
        assert_eq!(error.exit_code(), 4, "{part}: {error}");
        assert_eq!(error.code(), "not_verified");
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn a_payment_whose_block_was_replaced_is_proved_no_more() {
    let folder = Folder::new();
    let proof = folder.address_proof(EntryId::of(b"vote"), 1_000).encode();
    folder.keep_headers();
    assert_eq!(folder.verify(&proof).await.unwrap().exit_code, 0);
    folder.miner.fork_at(101);
    folder.miner.mine_many(2);
    folder.keep_headers();
    let error = folder.verify(&proof).await.unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("most work"), "{error}");
}

#[tokio::test]
async fn missing_headers_are_no_failed_proof() {
    let folder = Folder::new();
    let proof = folder.address_proof(EntryId::of(b"vote"), 1_000).encode();
    let error = folder.verify(&proof).await.unwrap_err();
    assert_eq!((error.exit_code(), error.code().as_str()), (3, "not_found"));
    assert!(error.to_string().contains("no headers of regtest"));
    // Nothing was made by looking.
    assert!(!folder.path("chain").exists());
    let empty = folder.path("empty");
    fs::write(&empty, "").unwrap();
    let path = folder.path("proof");
    let args = [
        "pay",
        "verify",
        path.to_str().unwrap(),
        "--headers",
        empty.to_str().unwrap(),
    ];
    let error = folder.run(&args).await.unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
}

#[tokio::test]
async fn a_proof_is_checked_by_headers_that_were_exported() {
    let folder = Folder::new();
    let proof = folder.address_proof(EntryId::of(b"vote"), 1_000).encode();
    folder.keep_headers();
    let path = folder.path("proof");
    fs::write(&path, &proof).unwrap();
    for form in [&[][..], &["--hex"]] {
        let out = folder.path("exported");
        let out = out.to_str().unwrap();
        let export = ["chain", "headers", "--network", "regtest", "--out", out];
        folder.run(&[&export, form].concat()).await.unwrap();
        let other = Folder::new();
        let args = ["pay", "verify", path.to_str().unwrap(), "--headers", out];
        let outcome = other.run(&args).await.unwrap();
        assert_eq!(outcome.json["height"], 102);
    }
}

fn paid() -> PaidVote {
    PaidVote {
        vote: EntryId::of(b"vote").to_string(),
        sats: 1_000,
        due_sats: 1_000,
        network: "regtest".to_owned(),
        settled_at: 6,
        address: Some("bcrt1p".to_owned()),
        uri: Some("bitcoin:bcrt1p?amount=0.00001".to_owned()),
        ..PaidVote::default()
    }
}

async fn told(paid: PaidVote, args: &[&str]) -> Result<Outcome, CommandError> {
    let body = serde_json::to_vec(&paid).unwrap();
    let stub = Stub::new(move |head| {
        assert!(head.contains("/pay"), "{head}");
        answer("200 OK", "application/json", &body)
    })
    .await;
    stub.run(args).await
}

#[tokio::test]
async fn a_paid_vote_shows_where_to_pay() {
    let post = EntryId::of(b"post").to_string();
    let vote = ["vote", &post, "up", "--pay", "1000"];
    let shown = told(paid(), &vote).await.unwrap();
    for part in ["1000 sats", "bitcoin:bcrt1p?amount", "unpaid", "▀"] {
        assert!(shown.text.contains(part), "{part} in {}", shown.text);
    }
    let later = told(paid(), &[&vote[..], &["--later"]].concat()).await;
    let later = later.unwrap().text;
    assert!(!later.contains("bitcoin:"), "{later}");
    assert!(later.contains("datt pay batch"), "{later}");
    let unheld = PaidVote {
        address: None,
        uri: None,
        ..paid()
    };
    let unheld = told(unheld, &vote).await.unwrap().text;
    assert!(unheld.contains("--anyway"), "{unheld}");
}

#[tokio::test]
async fn each_state_is_told_in_words() {
    for (state, confirmations, words) in [
        (PaymentState::Unchecked, 0, "not checked here"),
        (PaymentState::Unpaid, 0, "unpaid"),
        (PaymentState::Seen, 0, "seen, in no block yet"),
        (PaymentState::Confirmed, 1, "1 confirmation, settled at 6"),
        (PaymentState::Settled, 8, "settled, 8 confirmations"),
        (PaymentState::Disconnected, 0, "not on the chain"),
        (PaymentState::False, 0, "FALSE PROOF"),
    ] {
        let vote = EntryId::of(b"vote").to_string();
        let is_paid = state.is_counted();
        let paid = PaidVote {
            state,
            confirmations,
            due_sats: if is_paid { 0 } else { 1_000 },
            why: Some("because\u{1b}[2J".to_owned()),
            ..paid()
        };
        let text = told(paid, &["pay", "status", &vote]).await.unwrap().text;
        assert!(text.contains(words), "{words} in {text}");
        assert!(text.contains("because\u{fffd}"), "{text}");
        let shows = text.contains("bitcoin:");
        let is_open = matches!(
            state,
            PaymentState::Unpaid | PaymentState::Unchecked | PaymentState::False
        );
        assert_eq!(shows, is_open, "{text}");
    }
    let topped_up = PaidVote {
        state: PaymentState::Confirmed,
        due_sats: 400,
        ..paid()
    };
    let vote = EntryId::of(b"vote").to_string();
    let text = told(topped_up, &["pay", "status", &vote]).await;
    let text = text.unwrap().text;
    assert!(
        text.contains("400 sats of what was asked for are still to be paid"),
        "{text}"
    );
    assert!(text.contains("bitcoin:"), "{text}");
}

#[tokio::test]
async fn each_step_is_waited_for_until_the_payment_is_settled() {
    let vote = EntryId::of(b"vote").to_string();
    let event = |vote: &str| {
        serde_json::json!({
            "vote": vote, "post": "p", "root": "r", "state": "confirmed", "confirmations": 1,
        })
        .to_string()
    };
    let list = [event("another"), event(&vote), event(&vote)];
    let (looks, seen) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(Mutex::new(Vec::new())),
    );
    let stub = Stub::new({
        let (looks, seen) = (Arc::clone(&looks), Arc::clone(&seen));
        move |head| {
            seen.lock()
                .unwrap()
                .push(head.lines().next().unwrap().to_owned());
            if head.contains("/events") {
                let list: Vec<_> = list.iter().map(String::as_str).collect();
                return events(&list);
            }
            let state = [
                PaymentState::Seen,
                PaymentState::Confirmed,
                PaymentState::Settled,
            ][looks.fetch_add(1, Ordering::SeqCst)];
            let body = serde_json::to_vec(&PaidVote { state, ..paid() }).unwrap();
            answer("200 OK", "application/json", &body)
        }
    })
    .await;
    let outcome = stub
        .run(&["pay", "status", &vote, "--watch"])
        .await
        .unwrap();
    assert_eq!(outcome.json["state"], "settled");
    assert_eq!(looks.load(Ordering::SeqCst), 3, "not for other votes");
    let seen = seen.lock().unwrap();
    assert!(seen[0].contains("/events"), "no step is lost: {seen:?}");
}

#[tokio::test]
async fn a_batch_is_written_as_a_template_and_a_list() {
    let stub = Stub::new(|head| {
        assert!(head.starts_with("post /api/v1/payments/batches"), "{head}");
        let batch = views::data::Batch {
            psbt: "cHNidP8=".to_owned(),
            total_sats: 7,
            ..views::data::Batch::default()
        };
        let body = serde_json::to_vec(&batch).unwrap();
        answer("200 OK", "application/json", &body)
    })
    .await;
    let outcome = stub.run(&["pay", "batch", "--max", "5"]).await.unwrap();
    assert!(outcome.text.contains("cHNidP8="), "{}", outcome.text);
    assert!(outcome.text.contains("change must come last"));
    let file = stub.path("batch.psbt");
    let outcome = stub.run(&["pay", "batch", "--out", &file]).await.unwrap();
    assert!(!outcome.text.contains("cHNidP8="), "{}", outcome.text);
    assert_eq!(fs::read_to_string(&file).unwrap(), "cHNidP8=\n");
}

#[tokio::test]
async fn proofs_are_handed_on_as_they_are() {
    let folder = Folder::new();
    let vote = EntryId::of(b"vote");
    let proof = folder.address_proof(vote, 1_000).encode();
    let base64 = data_encoding::BASE64.encode(&proof);
    let stub = Stub::new({
        let base64 = base64.clone();
        move |head| {
            let body = if head.starts_with("get") {
                serde_json::json!([{ "proof": base64 }])
            } else {
                assert!(head.starts_with("post /api/v1/payments/proofs"), "{head}");
                serde_json::json!({ "id": "bafyrow" })
            };
            answer("200 OK", "application/json", body.to_string().as_bytes())
        }
    })
    .await;
    let (vote, file) = (vote.to_string(), stub.path("proof"));
    let shown = stub.run(&["pay", "proof", &vote]).await.unwrap();
    assert_eq!(shown.text, base64);
    let written = stub.run(&["pay", "proof", &vote, "--out", &file]).await;
    assert!(written.unwrap().text.contains(&file));
    assert_eq!(fs::read(&file).unwrap(), proof);
    let published = stub.run(&["pay", "publish", &file]).await.unwrap();
    assert_eq!(published.json["id"], "bafyrow");
    fs::write(&file, &proof[1..]).unwrap();
    let error = stub.run(&["pay", "publish", &file]).await.unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
}

#[tokio::test]
async fn what_a_block_paid_is_published_or_written() {
    let folder = Folder::new();
    let vote = EntryId::of(b"vote");
    let proof = folder.address_proof(vote, 1_000).encode();
    let base64 = data_encoding::BASE64.encode(&proof);
    let payment = serde_json::json!({
        "outpoint": "ab:0", "sats": 1_000, "recipient": "bafyauthor", "key_row": "bafykey",
        "confirmations": 3, "proof": base64, "row": "bafyrow",
    });
    let stub = Stub::new(move |head| {
        assert!(head.starts_with("post /api/v1/payments/"), "{head}");
        assert!(head.contains("/prove "), "{head}");
        let body = serde_json::json!({
            "network": "regtest", "block": "00".repeat(32), "height": 102,
            "payments": [payment, payment],
        });
        answer("200 OK", "application/json", body.to_string().as_bytes())
    })
    .await;
    let (vote, file) = (vote.to_string(), stub.path("proof"));
    let block = "00".repeat(32);
    let args = ["pay", "prove", &vote, "--block", &block];
    let shown = stub.run(&args).await.unwrap();
    for part in ["1000 sats", "3 confirmations", "by bafyrow", "money moved"] {
        assert!(shown.text.contains(part), "{part} in {}", shown.text);
    }
    let args = ["pay", "prove", &vote, "--block", "102", "--out", &file];
    let written = stub.run(&args).await.unwrap();
    assert!(written.text.contains(&file), "{}", written.text);
    assert_eq!(fs::read(&file).unwrap(), proof);
    assert_eq!(fs::read(format!("{file}.2")).unwrap(), proof);
}

#[tokio::test]
async fn wrong_use_is_told_before_the_node_is_asked() {
    let folder = Folder::new();
    let post = EntryId::of(b"post").to_string();
    let clear = ["vote", &post, "clear", "--pay", "5"];
    let error = folder.run(&clear).await.unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    let error = folder.run(&["pay", "status", "--tx", "00"]).await;
    assert_eq!(error.unwrap_err().exit_code(), 2);
    for args in [
        &["vote", &post, "up", "--pay", "0"][..],
        &["vote", &post, "up", "--later"],
        &["vote", &post, "up", "--pay", "5", "--to", "me"],
        &["vote", &post, "up", "--pay", "5", "--anyway", "--later"],
        &["pay", "status", "--watch"],
        &["pay", "batch", "--change", "bcrt1p"],
        &["pay", "batch", "--fee-rate", "5"],
        &["pay", "batch", "--input", "x"],
        &["pay", "batch", "--max", "0"],
        &["pay", "verify"],
        &["pay", "prove", &post],
        &["pay", "prove", &post, "--block", "yesterday"],
    ] {
        let line = ["datt"].into_iter().chain(args.iter().copied());
        let error = Cli::try_parse_from(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{args:?}");
    }
    let error = folder.run(&["pay", "status"]).await.unwrap_err();
    assert_eq!(error.exit_code(), 5);
    let script = ScriptBuf::new_op_return([]).to_hex_string();
    let coin = format!("{}:0:1:{script}", "ab".repeat(32));
    let error = folder.run(&["pay", "batch", "--input", &coin]).await;
    assert_eq!(error.unwrap_err().exit_code(), 5);
}
