//! A chain of a few blocks, and transactions in them.

use bitcoin::{
    Amount, Block, BlockHash, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode,
    TxOut, Txid, Witness, absolute,
    block::{Header, Version},
    hashes::{Hash, sha256d},
    pow::CompactTarget,
    transaction,
};
use model::EntryId;

use crate::{
    Network,
    proof::{
        Batch, BatchPath, Binding, Checked, Claim, Confirmed, Headers, PaymentProof, ProofError,
        Recipient, SumStep, address_script,
        commitment::{OutputLeaf, commitment, tree},
        commitment_script, plain_script, prove, strip,
    },
};

pub const NETWORK: Network = Network::Regtest;

/// X coordinate of the generator, and of its double.
pub const KEY: &str = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
pub const OTHER_KEY: &str = "c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5";

/// Headers by height; their work is not looked at.
#[derive(Clone, Debug)]
pub struct Chain {
    pub network: Network,
    pub headers: Vec<Header>,
}

impl Headers for Chain {
    fn network(&self) -> Network {
        self.network
    }

    fn tip_height(&self) -> u32 {
        u32::try_from(self.headers.len()).unwrap() - 1
    }

    fn active(&self, block: &BlockHash) -> Option<(u32, Header)> {
        let headers = (0..).zip(&self.headers);
        headers
            .map(|(height, header)| (height, *header))
            .find(|(_, header)| header.block_hash() == *block)
    }
}

pub fn key(hex: &str) -> [u8; 32] {
    bitcoin::hex::FromHex::from_hex(hex).unwrap()
}

pub fn entry(number: u64) -> EntryId {
    EntryId::of(&number.to_le_bytes())
}

pub fn vote() -> EntryId {
    EntryId::of(b"vote")
}

pub fn key_row() -> EntryId {
    EntryId::of(b"payment_key row")
}

pub fn output(script_pubkey: ScriptBuf, sats: u64) -> TxOut {
    let value = Amount::from_sat(sats);
    TxOut {
        value,
        script_pubkey,
    }
}

/// A transaction that spends something, with a witness.
pub fn transaction(seed: u8, outputs: Vec<TxOut>) -> Transaction {
    let spent = Txid::from_byte_array([seed; 32]);
    Transaction {
        version: transaction::Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::new(spent, u32::from(seed)),
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            witness: Witness::from_slice(&[[seed; 64]]),
        }],
        output: outputs,
    }
}

/// One that has nothing to do with any vote.
pub fn stranger(seed: u8) -> Transaction {
    let script = plain_script(&key(OTHER_KEY)).unwrap();
    transaction(seed, vec![output(script, 5000)])
}

pub fn coinbase() -> Transaction {
    let mut coinbase = stranger(0);
    coinbase.input[0].previous_output = OutPoint::null();
    coinbase.input[0].script_sig = ScriptBuf::from_bytes(vec![2, 1, 0]);
    coinbase
}

/// A block with a coinbase before these transactions.
pub fn block(transactions: impl IntoIterator<Item = Transaction>) -> Block {
    let mut txdata = vec![coinbase()];
    txdata.extend(transactions);
    let mut block = Block {
        header: header([0; 32]),
        txdata,
    };
    block.header.merkle_root = block.compute_merkle_root().unwrap();
    block
}

pub fn header(merkle_root: [u8; 32]) -> Header {
    Header {
        version: Version::TWO,
        prev_blockhash: NETWORK.genesis(),
        merkle_root: TxMerkleNode::from_byte_array(merkle_root),
        time: 1_790_000_000,
        bits: CompactTarget::from_consensus(0x207f_ffff),
        nonce: 0,
    }
}

/// A chain in which a header lies below two others.
pub fn chain(header: Header) -> Chain {
    let headers = vec![
        self::header([1; 32]),
        header,
        self::header([2; 32]),
        self::header([3; 32]),
    ];
    Chain {
        network: NETWORK,
        headers,
    }
}

/// Height of that header, and its confirmations.
pub const CONFIRMED: Confirmed = Confirmed {
    height: 1,
    confirmations: 3,
};

pub fn judge(proof: &PaymentProof, chain: &Chain) -> Result<(Checked, Confirmed), ProofError> {
    let checked = PaymentProof::decode(&proof.encode())?.check()?;
    let confirmed = checked.judge(chain)?;
    Ok((checked, confirmed))
}

/// Claim of the one vote, and a transaction that pays it.
pub fn address_payment(sats: u64) -> (Claim, Transaction) {
    let claim = Claim {
        network: NETWORK,
        vote: vote(),
        key: key(KEY),
        key_row: key_row(),
        vout: 1,
        binding: Binding::Address,
    };
    let script = address_script(NETWORK, &claim.key, &claim.vote).unwrap();
    let change = output(plain_script(&key(OTHER_KEY)).unwrap(), 777);
    (claim, transaction(9, vec![change, output(script, sats)]))
}

/// A payment for one vote in a block of six, and the chain that holds it.
pub fn address_proof() -> (PaymentProof, Chain) {
    let (claim, paying) = address_payment(2100);
    let others = [1, 2].map(stranger).into_iter();
    let block = block(others.chain([paying, stranger(3), stranger(4)]));
    (prove(&block, 3, claim).unwrap(), chain(block.header))
}

/// Recipients with so many votes each, every vote paid 1,000 sats and its number.
pub fn recipients(votes: &[u64]) -> Vec<Recipient> {
    let mut next = 0;
    let recipients = (0..).zip(votes).map(|(number, votes)| {
        let key = key(if number % 2 == 0 { KEY } else { OTHER_KEY });
        let first = next;
        next += votes;
        Recipient {
            script: plain_script(&key).unwrap(),
            key,
            key_row: entry(1_000_000 + number),
            votes: (first..next)
                .map(|vote| (entry(vote), 1000 + vote))
                .collect(),
        }
    });
    recipients.collect()
}

pub fn batch(votes: &[u64]) -> Batch {
    Batch::new(NETWORK, &recipients(votes)).unwrap()
}

/// Proofs of a batch of 3, 1 and 7 votes in a block of three, and the chain that holds it.
pub fn batch_proofs() -> (Vec<PaymentProof>, Chain) {
    let batch = batch(&[3, 1, 7]);
    let block = block([stranger(1), transaction(9, batch.outputs().to_vec())]);
    (batch.prove(&block, 2).unwrap(), chain(block.header))
}

/// The same proof with another transaction, alone beside the coinbase; and the chain that holds it.
pub fn moved(proof: &PaymentProof, bytes: Vec<u8>) -> (PaymentProof, Chain) {
    let coinbase = coinbase().compute_txid().to_byte_array();
    let txid = sha256d::Hash::hash(&bytes).to_byte_array();
    let header = header(join(&coinbase, &txid));
    let proof = PaymentProof {
        block: header.block_hash(),
        transaction: bytes,
        index: 1,
        branch: vec![coinbase],
        ..proof.clone()
    };
    (proof, chain(header))
}

/// A node of a block's merkle tree.
pub fn join(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256d::Hash::hash(&[*left, *right].concat()).to_byte_array()
}

/// Proofs of a tree that no honest payer builds, under an output with so many sats.
pub fn crafted(votes: &[(EntryId, u64)], held: u64) -> Vec<(PaymentProof, Chain)> {
    crafted_to(plain_script(&key(KEY)).unwrap(), votes, held)
}

/// The same, paid to any script.
pub fn crafted_to(
    script: ScriptBuf,
    votes: &[(EntryId, u64)],
    held: u64,
) -> Vec<(PaymentProof, Chain)> {
    let count = u32::try_from(votes.len()).unwrap();
    let leaves: Vec<_> = votes
        .iter()
        .map(|(vote, sats)| SumStep::leaf(vote, *sats))
        .collect();
    let join = |left: &SumStep, right: &SumStep| {
        let saturated = left.sats.saturating_add(right.sats);
        let joined = SumStep::join(left, right);
        Some(joined.unwrap_or(SumStep {
            hash: [9; 32],
            sats: saturated,
        }))
    };
    let (root, sums) = tree(&leaves, join).unwrap();
    let leaf = OutputLeaf {
        vout: 0,
        script: &script,
        key: &key(KEY),
        key_row: &key_row(),
        votes: count,
    };
    let hash = commitment(NETWORK, 1, &leaf.hash(&root));
    let carried = output(commitment_script(&hash), 0);
    let paying = transaction(9, vec![output(script.clone(), held), carried]);
    let proofs = (0..)
        .zip(votes)
        .zip(sums)
        .map(|((position, (vote, sats)), sums)| {
            let proof = PaymentProof {
                vote: *vote,
                vout: 0,
                binding: Binding::Batch(BatchPath {
                    sats: *sats,
                    position,
                    votes: count,
                    sums,
                    outputs: 1,
                    siblings: Vec::new(),
                }),
                ..address_proof().0
            };
            moved(&proof, strip(&paying))
        });
    proofs.collect()
}
