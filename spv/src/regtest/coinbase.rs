//! Blocks at regtest's difficulty.

use bitcoin::{
    Amount, Block, CompactTarget, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode,
    TxOut, Witness, WitnessMerkleNode, absolute::LockTime, block, hashes::Hash, opcodes, script,
    transaction::Version,
};

/// Regtest's target: every second hash passes (`nPowLimit` of Bitcoin Core's chain parameters).
const BITS: u32 = 0x207f_ffff;
/// Sats of a first block.
const SUBSIDY_SATS: u64 = 50_0000_0000;
/// Blocks after which the subsidy is half, on regtest.
const HALVING: u32 = 150;
/// Version bits of a block that signals nothing (BIP9).
const VERSION: i32 = 0x2000_0000;
/// Reserved value of the witness commitment (BIP141).
const RESERVED: [u8; 32] = [0; 32];
/// What precedes the commitment in its output: OP_RETURN, push of 36 bytes, header (BIP141).
const COMMITMENT: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// The script that anybody may spend.
pub(super) fn anyone() -> ScriptBuf {
    script::Builder::new()
        .push_opcode(opcodes::OP_TRUE)
        .into_script()
}

/// Builds a block on a parent and grinds its nonce.
///
/// `extra` makes the coinbase, and with it the block, another one than its rivals.
pub(super) fn block_on(
    parent: &block::Header,
    height: u32,
    time_s: u32,
    extra: u64,
    transactions: Vec<Transaction>,
) -> Block {
    let mut txdata = vec![coinbase(height, extra)];
    txdata.extend(transactions);
    let mut block = Block {
        header: block::Header {
            version: block::Version::from_consensus(VERSION),
            prev_blockhash: parent.block_hash(),
            merkle_root: TxMerkleNode::all_zeros(),
            time: time_s,
            bits: CompactTarget::from_consensus(BITS),
            nonce: 0,
        },
        txdata,
    };
    commit_to_witnesses(&mut block);
    if let Some(root) = block.compute_merkle_root() {
        block.header.merkle_root = root;
    }
    grind(&mut block.header);
    block
}

/// Finds a nonce that meets the header's own target.
pub(super) fn grind(header: &mut block::Header) {
    while header.validate_pow(header.target()).is_err() {
        header.nonce = header.nonce.wrapping_add(1);
    }
}

/// Finds a nonce that misses the header's own target.
pub(super) fn spoil(header: &mut block::Header) {
    while header.validate_pow(header.target()).is_ok() {
        header.nonce = header.nonce.wrapping_add(1);
    }
}

fn coinbase(height: u32, extra: u64) -> Transaction {
    let script_sig = script::Builder::new()
        .push_int(i64::from(height))
        .push_slice(extra.to_le_bytes())
        .into_script();
    let sats = SUBSIDY_SATS.checked_shr(height / HALVING).unwrap_or(0);
    Transaction {
        version: Version::ONE,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::null(),
            script_sig,
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }],
        output: vec![TxOut {
            value: Amount::from_sat(sats),
            script_pubkey: anyone(),
        }],
    }
}

/// Adds the commitment where a transaction carries a witness (BIP141).
fn commit_to_witnesses(block: &mut Block) {
    let mut inputs = block.txdata.iter().flat_map(|one| &one.input);
    if inputs.all(|input| input.witness.is_empty()) {
        return;
    }
    block.txdata[0].input[0].witness = Witness::from_slice(&[RESERVED]);
    let root = block.witness_root();
    let root = root.unwrap_or_else(WitnessMerkleNode::all_zeros);
    let commitment = Block::compute_witness_commitment(&root, &RESERVED);
    let mut script = COMMITMENT.to_vec();
    script.extend(commitment.to_byte_array());
    block.txdata[0].output.push(TxOut {
        value: Amount::ZERO,
        script_pubkey: ScriptBuf::from_bytes(script),
    });
}
