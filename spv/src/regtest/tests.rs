use bitcoin::{Amount, ScriptBuf, TxOut, Witness};

use super::{Miner, NotEnough};
use crate::{Network, chain::HeaderChain, source::check_block};

const START_S: u32 = 1_700_000_000;

fn output(sats: u64) -> TxOut {
    TxOut {
        value: Amount::from_sat(sats),
        script_pubkey: ScriptBuf::new(),
    }
}

#[test]
fn equal_calls_make_equal_chains_and_other_seeds_others() {
    let tip = |seed: u64| {
        let miner = Miner::new(seed, START_S);
        miner.mine_many(20);
        miner.fork_at(15);
        miner.mine_many(6);
        miner.tip().block_hash()
    };
    assert_eq!(tip(1), tip(1));
    assert_ne!(tip(1), tip(2));
}

#[test]
fn its_chain_is_valid_and_so_are_its_blocks() {
    let miner = Miner::new(1, START_S);
    miner.mine_many(120);
    let mut payment = miner.pay(vec![output(1_000)]).unwrap();
    payment.input[0].witness = Witness::from_slice(&[[1; 64]]);
    let block = miner.mine(vec![payment]);
    assert_eq!(check_block(&block), Ok(()));
    assert!(block.check_witness_commitment() && block.txdata[0].output.len() == 2);
    let blocks = miner.blocks();
    let headers: Vec<_> = blocks.iter().skip(1).map(|one| one.header).collect();
    let mut chain = HeaderChain::new(Network::Regtest);
    chain.accept(&headers, 1_780_000_000).unwrap();
    assert_eq!(chain.tip().hash, miner.tip().block_hash());
    // Up to 16 a height is an opcode of its own, which the crate doesn't read.
    let heights = blocks.iter().enumerate().skip(17);
    for (height, block) in heights {
        assert_eq!(block.bip34_block_height(), Ok(height as u64));
    }
}

#[test]
fn a_fork_is_shown_once_it_has_more_work() {
    let miner = Miner::new(1, START_S);
    miner.mine_many(20);
    let old = miner.tip();
    miner.fork_at(14);
    miner.mine_many(6);
    assert_eq!(miner.tip(), old);
    let new = miner.mine(Vec::new());
    assert_eq!((miner.tip(), miner.height()), (new, 21));
    assert!(miner.find(&old.block_hash()).is_some());
    assert_eq!(miner.blocks().len(), 22);
}

#[test]
fn it_pays_with_matured_coins_and_never_twice_with_the_same() {
    let miner = Miner::new(1, START_S);
    miner.mine_many(99);
    let nothing = NotEnough {
        wanted_sats: 10_001,
        sats: 0,
    };
    assert_eq!(miner.pay(vec![output(1)]), Err(nothing));
    miner.mine_many(3);
    let first = miner.pay(vec![output(60_0000_0000)]).unwrap();
    assert_eq!(first.input.len(), 2);
    let (coin, _) = miner.coin().unwrap();
    assert!(first.input.iter().all(|one| one.previous_output != coin));
    assert_eq!(miner.coin(), None);
}
