//! Payment proofs, on one core: read, checked, and judged by a chain of headers.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash;
use bitcoin::pow::CompactTarget;
use bitcoin::{
    Amount, Block, BlockHash, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode,
    TxOut, Txid, Witness, absolute, transaction,
};
use model::EntryId;
use spv::Network;
use spv::proof::{
    Batch, Binding, Checked, Claim, Headers, PaymentProof, Recipient, address_script, plain_script,
    prove,
};

use crate::row::Row;
use crate::stage::Stage;

const NETWORK: Network = Network::Regtest;
/// X coordinate of the generator: a key like any other.
const KEY: [u8; 32] = [
    0x79, 0xbe, 0x66, 0x7e, 0xf9, 0xdc, 0xbb, 0xac, 0x55, 0xa0, 0x62, 0x95, 0xce, 0x87, 0x0b, 0x07,
    0x02, 0x9b, 0xfc, 0xdb, 0x2d, 0xce, 0x28, 0xd9, 0x59, 0xf2, 0x81, 0x5b, 0x16, 0xf8, 0x17, 0x98,
];
/// Transactions of a block.
const IN_BLOCK: u32 = 200;
/// Votes of a batch.
const VOTES: u64 = 1000;
/// Recipients of the wide batch.
const RECIPIENTS: u64 = 100;
/// Proofs that a reorganisation concerns.
const AFFECTED: usize = 10_000;
/// Blocks that it replaces.
const REPLACED: u32 = 6;

/// Headers by hash.
struct Chain {
    headers: BTreeMap<BlockHash, (u32, Header)>,
    tip_height: u32,
}

impl Headers for Chain {
    fn network(&self) -> Network {
        NETWORK
    }

    fn tip_height(&self) -> u32 {
        self.tip_height
    }

    fn active(&self, block: &BlockHash) -> Option<(u32, Header)> {
        self.headers.get(block).copied()
    }
}

pub fn run(stage: &Stage) -> Result<()> {
    let rounds = if stage.small { 1_000 } else { 20_000 };
    let (address, chain) = address_proofs()?;
    let rate = checked_per_second(&address, &chain, rounds)?;
    Row::new("proofs", "proofs of single votes checked and judged").above(rate, 15_000.0, "/s");

    let (batch, chain) = batch_proofs(1)?;
    let rate = checked_per_second(&batch, &chain, rounds)?;
    let what = format!("proofs of a batch of {VOTES} votes checked and judged");
    Row::new("proofs", what).above(rate, 50_000.0, "/s");

    let (wide, chain) = batch_proofs(RECIPIENTS)?;
    let rate = checked_per_second(&wide, &chain, rounds)?;
    let what = format!("the same with {RECIPIENTS} recipients");
    Row::new("proofs", what).alone(rate, "/s", "every proof carries all outputs");

    judged_again()
}

fn checked_per_second(proofs: &[Vec<u8>], chain: &Chain, rounds: u32) -> Result<f64> {
    let start = Instant::now();
    for (_, proof) in (0..rounds).zip(proofs.iter().cycle()) {
        PaymentProof::decode(proof)?.check()?.judge(chain)?;
    }
    Ok(f64::from(rounds) / start.elapsed().as_secs_f64())
}

/// Proofs of the blocks that a longer branch replaced, judged once more.
fn judged_again() -> Result<()> {
    let blocks = (0..REPLACED).map(|seed| {
        let (claim, paying) = address_payment(u64::from(seed));
        let block = block(paying, seed);
        let proof = prove(&block, 1, claim)?;
        Ok((proof.check()?, block.header))
    });
    let blocks = blocks.collect::<Result<Vec<(Checked, Header)>>>()?;
    let checked = blocks.iter().map(|(checked, _)| checked.clone());
    let checked: Vec<Checked> = checked.cycle().take(AFFECTED).collect();
    // half of the blocks were mined again elsewhere: their proofs are pending
    let stay = blocks.iter().take(blocks.len() / 2);
    let chain = chain(stay.map(|(_, header)| *header));
    let start = Instant::now();
    let confirmed = checked.iter().filter(|one| one.judge(&chain).is_ok());
    let confirmed = confirmed.count();
    let took_ms = start.elapsed().as_secs_f64() * 1000.0;
    let known = |one: &&Checked| chain.active(&one.block).is_some();
    ensure!(
        confirmed == checked.iter().filter(known).count() && confirmed > 0,
        "{confirmed} of {AFFECTED} are confirmed"
    );
    let what = format!("{AFFECTED} proofs judged again after {REPLACED} blocks were replaced");
    Row::new("proofs", what).below(took_ms, 200.0, "ms");
    Ok(())
}

fn address_proofs() -> Result<(Vec<Vec<u8>>, Chain)> {
    let (claim, paying) = address_payment(0);
    let block = block(paying, 0);
    let proof = prove(&block, 1, claim)?;
    Ok((vec![proof.encode()], chain([block.header])))
}

fn address_payment(number: u64) -> (Claim, Transaction) {
    let claim = Claim {
        network: NETWORK,
        vote: entry(number),
        key: KEY,
        key_row: entry(u64::MAX),
        vout: 0,
        binding: Binding::Address,
    };
    let script = address_script(NETWORK, &KEY, &claim.vote).expect("the generator is a key");
    (claim, transaction(1, vec![output(script, 2100)]))
}

fn batch_proofs(recipients: u64) -> Result<(Vec<Vec<u8>>, Chain)> {
    let each = VOTES / recipients;
    let script = plain_script(&KEY)?;
    let recipients: Vec<_> = (0..recipients)
        .map(|number| Recipient {
            script: script.clone(),
            key: KEY,
            key_row: entry(u64::MAX - number),
            votes: (0..each)
                .map(|vote| (entry(number * each + vote), 100))
                .collect(),
        })
        .collect();
    let batch = Batch::new(NETWORK, &recipients)?;
    let block = block(transaction(1, batch.outputs().to_vec()), 0);
    let proofs = batch
        .prove(&block, 1)
        .context("the batch is in its block")?;
    let proofs = proofs.iter().map(PaymentProof::encode).collect();
    Ok((proofs, chain([block.header])))
}

fn entry(number: u64) -> EntryId {
    EntryId::of(&number.to_le_bytes())
}

fn output(script_pubkey: ScriptBuf, sats: u64) -> TxOut {
    TxOut {
        value: Amount::from_sat(sats),
        script_pubkey,
    }
}

fn transaction(seed: u32, outputs: Vec<TxOut>) -> Transaction {
    Transaction {
        version: transaction::Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::new(Txid::from_byte_array([1; 32]), seed),
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }],
        output: outputs,
    }
}

/// A block in which the transaction comes second.
fn block(paying: Transaction, seed: u32) -> Block {
    let other = |seed| transaction(seed, vec![output(ScriptBuf::new(), 1)]);
    let mut txdata = vec![other(seed), paying];
    txdata.extend((2..IN_BLOCK).map(|number| other(1000 * seed + number)));
    let mut block = Block {
        header: header(TxMerkleNode::all_zeros()),
        txdata,
    };
    block.header.merkle_root = block.compute_merkle_root().expect("there are transactions");
    block
}

/// The headers, above a thousand others.
fn chain(headers: impl IntoIterator<Item = Header>) -> Chain {
    let others = (0..1000).map(|nonce| Header {
        nonce,
        ..header(TxMerkleNode::all_zeros())
    });
    let headers: BTreeMap<_, _> = (0..)
        .zip(others.chain(headers))
        .map(|(height, header)| (header.block_hash(), (height, header)))
        .collect();
    let tip_height = headers.values().map(|(height, _)| *height).max();
    Chain {
        headers,
        tip_height: tip_height.unwrap_or(0),
    }
}

fn header(merkle_root: TxMerkleNode) -> Header {
    Header {
        version: Version::TWO,
        prev_blockhash: NETWORK.genesis(),
        merkle_root,
        time: 1_790_000_000,
        bits: CompactTarget::from_consensus(0x207f_ffff),
        nonce: 0,
    }
}
