//! Proofs that break one rule each.

use super::*;
use crate::proof::{
    strip,
    tests::attacks::{path, without_inputs},
};

/// The proof with its transaction changed, in a block that really holds that one.
fn remade(proof: &PaymentProof, change: impl FnOnce(&mut Transaction)) -> (PaymentProof, Chain) {
    let mut transaction: Transaction = deserialize(&proof.transaction).unwrap();
    change(&mut transaction);
    moved(proof, strip(&transaction))
}

pub fn all() -> Vec<Value> {
    let mut all = encodings();
    for (name, (proof, chain)) in fields().into_iter().chain(transactions()).chain(batches()) {
        all.push(vector(name, &proof.encode(), &chain));
    }
    all
}

fn vector(name: &str, bytes: &[u8], chain: &Chain) -> Value {
    let judged = PaymentProof::decode(bytes).and_then(|proof| judge(&proof, chain));
    let error = judged.expect_err(name);
    json!({
        "name": name,
        "bytes": hex(bytes),
        "network": chain.network.name(),
        "headers": headers_json(chain),
        "reason": reason(&error),
    })
}

fn encodings() -> Vec<Value> {
    let (proof, chain) = address_proof();
    let bytes = proof.encode();
    let with = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        bytes
    };
    let mut long = bytes.clone();
    long.resize(8193, 0);
    let last = bytes.len() - 1;
    let cases = [
        ("no bytes at all", Vec::new()),
        ("without its last byte", bytes[..last].to_vec()),
        ("cut off within the transaction", bytes[..300].to_vec()),
        ("a byte more", [&bytes[..], &[0]].concat()),
        ("longer than any proof", long),
        ("another version", with(0, 2)),
        ("another genesis block", with(1, bytes[1] ^ 1)),
        ("a blob where the vote stands", with(34, 0x55)),
        ("a CIDv0 where the key row stands", with(101, 0)),
        ("sixteen levels", with(173, 16)),
        ("another kind of binding", with(last, 2)),
    ];
    cases
        .map(|(name, bytes)| vector(name, &bytes, &chain))
        .to_vec()
}

type Case = (&'static str, (PaymentProof, Chain));

fn fields() -> Vec<Case> {
    let (proof, chain) = address_proof();
    let with = |change: &dyn Fn(&mut PaymentProof)| {
        let mut changed = proof.clone();
        change(&mut changed);
        (changed, chain.clone())
    };
    let mut elsewhere = chain.clone();
    elsewhere.network = Network::Bitcoin;
    let mut reorganised = chain.clone();
    reorganised.headers.remove(1);
    vec![
        ("headers of another chain", (proof.clone(), elsewhere)),
        ("its block was disconnected", (proof.clone(), reorganised)),
        (
            "another block",
            with(&|proof| proof.block = chain.headers[2].block_hash()),
        ),
        ("another sibling", with(&|proof| proof.branch[1][0] ^= 1)),
        ("another position", with(&|proof| proof.index = 2)),
        (
            "a position beyond the tree",
            with(&|proof| proof.index = 11),
        ),
        (
            "the position of the coinbase",
            with(&|proof| proof.index = 0),
        ),
        ("another vote", with(&|proof| proof.vote = entry(1))),
        ("another key", with(&|proof| proof.key = key(OTHER_KEY))),
        (
            "a key that is no point",
            with(&|proof| proof.key = [0xff; 32]),
        ),
        ("another output", with(&|proof| proof.vout = 0)),
        ("an output that is not there", with(&|proof| proof.vout = 2)),
    ]
}

fn transactions() -> Vec<Case> {
    let (proof, _) = address_proof();
    let bytes = &proof.transaction;
    let long = [&bytes[..4], &[0xfd, 1, 0], &bytes[5..]].concat();
    let (vouched, vouching) = merkle::vouched();
    let (mut copy, block) = merkle::lone_last();
    copy.index = 6;
    let (_, witnessed) = address_payment(2100);
    vec![
        (
            "a transaction with its witnesses",
            moved(&proof, serialize(&witnessed)),
        ),
        ("a transaction in a longer encoding", moved(&proof, long)),
        (
            "a transaction without inputs",
            moved(&proof, without_inputs(bytes)),
        ),
        (
            "a byte after the transaction",
            moved(&proof, [bytes, &[0][..]].concat()),
        ),
        ("a transaction of 64 bytes", merkle::leaf_of_64_bytes()),
        (
            "a node that is a transaction",
            (vouched, chain(vouching.header)),
        ),
        ("the copy of a subtree", (copy, chain(block.header))),
        ("the reward of a block", moved(&proof, strip(&coinbase()))),
        (
            "an output of no sats",
            remade(&proof, |paying| {
                paying.output[1].value = bitcoin::Amount::ZERO
            }),
        ),
        (
            "an address in the transaction of a batch",
            remade(&proof, |paying| {
                paying.output.push(output(commitment_script(&[7; 32]), 0));
            }),
        ),
    ]
}

fn batches() -> Vec<Case> {
    let (proofs, chain) = batch_proofs();
    let with = |change: &dyn Fn(&mut PaymentProof)| {
        let mut changed = proofs[0].clone();
        change(&mut changed);
        (changed, chain.clone())
    };
    let in_path = |change: fn(&mut BatchPath)| with(&|proof| change(path(proof)));
    let lying = crafted(&[(entry(0), 1000), (entry(1), 1_000_000)], 1001);
    let script = bitcoin::ScriptBuf::from_bytes(vec![0x51; 81]);
    let long = crafted_to(script, &[(entry(0), 1000)], 1000);
    let overflow = crafted(&[(entry(0), 1000), (entry(1), u64::MAX)], 1001);
    vec![
        (
            "another vote of the batch",
            with(&|proof| proof.vote = entry(1)),
        ),
        (
            "a batch's other key",
            with(&|proof| proof.key = key(OTHER_KEY)),
        ),
        ("another key row", with(&|proof| proof.key_row = key_row())),
        ("a sat more", in_path(|path| path.sats += 1)),
        (
            "a sibling that claims less",
            in_path(|path| path.sums[0].sats -= 1),
        ),
        ("another number of votes", in_path(|path| path.votes = 4)),
        (
            "another number of outputs",
            in_path(|path| path.outputs = 4),
        ),
        (
            "a position beyond the votes",
            in_path(|path| path.position = 3),
        ),
        ("no votes", in_path(|path| path.votes = 0)),
        ("a step too few", in_path(|path| path.sums.truncate(1))),
        (
            "a step too many",
            in_path(|path| path.siblings.push([0; 32])),
        ),
        (
            "no commitment",
            remade(&proofs[0], |paying| paying.output.truncate(3)),
        ),
        (
            "two commitments",
            remade(&proofs[0], |paying| {
                paying.output.push(output(commitment_script(&[7; 32]), 0));
            }),
        ),
        (
            "an output that holds a sat less than its votes claim",
            remade(&proofs[0], |paying| {
                paying.output[0].value = bitcoin::Amount::from_sat(3002);
            }),
        ),
        (
            "a neighbour that claims more than there is",
            lying[0].clone(),
        ),
        ("a sum that overflows", overflow[0].clone()),
        ("a script longer than 80 bytes", long[0].clone()),
    ]
}
