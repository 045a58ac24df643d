#![allow(clippy::unwrap_used)]
//! Paid votes on a chain that is mined here.

mod awaiting;
mod forged;
mod judging;
mod offering;
mod ranks;
mod totals;

use bitcoin::{
    Amount, Block, ScriptBuf, Transaction, TxOut,
    secp256k1::{Keypair, Secp256k1, SecretKey},
};
use model::{EntryId, IdentityId, SpaceId};
use spv::{
    Network,
    chain::HeaderChain,
    proof::{Binding, Claim, PaymentProof, address_script, prove},
    regtest::Miner,
};

use super::{
    facts::{KeyRow, KeyState, VoteFacts},
    index::{Index, NewProof},
    proof::View,
    sums::VoteSum,
};

const NOW_S: u32 = 1_700_000_000;
const SETTLED: u32 = 6;

/// A miner, the headers of whose chain are followed.
struct World {
    miner: Miner,
    chain: HeaderChain,
    index: Index,
}

fn id(name: &str) -> EntryId {
    EntryId::of(name.as_bytes())
}

fn person(name: &str) -> IdentityId {
    IdentityId::of(name.as_bytes())
}

/// X-only key of a person.
fn key_of(name: &str) -> [u8; 32] {
    let secret = SecretKey::from_slice(person(name).as_bytes()).unwrap();
    let pair = Keypair::from_secret_key(&Secp256k1::new(), &secret);
    pair.x_only_public_key().0.serialize()
}

fn key_row(name: &str) -> EntryId {
    id(&format!("key of {name}"))
}

fn key_state(name: &str) -> KeyState {
    KeyState::Key(KeyRow {
        identity: person(name),
        network: Network::Regtest,
        key: key_of(name),
        address: None,
        off: false,
    })
}

/// A vote of `voter` on a post of `author`, on the board of `owner`.
fn facts(voter: &str) -> VoteFacts {
    VoteFacts {
        post: id("post"),
        root: id("root"),
        space: SpaceId::of(b"board"),
        voter: person(voter),
        author: person("author"),
        owner: Some(person("owner")),
        dir: 1,
        time_ms: 1,
        superseded: false,
        hidden: false,
    }
}

fn script(vote: &EntryId, payee: &str) -> ScriptBuf {
    address_script(Network::Regtest, &key_of(payee), vote).unwrap()
}

fn claim(vote: EntryId, payee: &str, vout: u32) -> Claim {
    Claim {
        network: Network::Regtest,
        vote,
        key: key_of(payee),
        key_row: key_row(payee),
        vout,
        binding: Binding::Address,
    }
}

impl World {
    fn new() -> Self {
        let miner = Miner::new(1, NOW_S - 10_000_000);
        miner.mine_many(110);
        let chain = HeaderChain::new(Network::Regtest);
        let mut world = Self {
            miner,
            chain,
            index: Index::default(),
        };
        world.follow();
        world
    }

    /// Takes the miner's headers, and judges anew.
    fn follow(&mut self) {
        let blocks = self.miner.blocks();
        let headers: Vec<_> = blocks.iter().skip(1).map(|block| block.header).collect();
        self.chain.accept(&headers, NOW_S).unwrap();
        self.judge();
    }

    fn judge(&mut self) {
        self.index.judge_all(&View::Chain(&self.chain));
    }

    /// A transaction that pays a vote's own address.
    fn pay(&self, vote: &EntryId, payee: &str, sats: u64) -> Transaction {
        let output = TxOut {
            value: Amount::from_sat(sats),
            script_pubkey: script(vote, payee),
        };
        self.miner.pay(vec![output]).unwrap()
    }

    fn proof(&self, block: &Block, vote: EntryId, payee: &str) -> PaymentProof {
        prove(block, 1, claim(vote, payee, 0)).unwrap()
    }

    /// Mines the payment of a vote; its proof.
    fn paid(&mut self, vote: EntryId, payee: &str, sats: u64) -> PaymentProof {
        let block = self.miner.mine(vec![self.pay(&vote, payee, sats)]);
        self.follow();
        self.proof(&block, vote, payee)
    }

    /// Takes a row with a proof in.
    fn row(&mut self, name: &str, proof: &PaymentProof, facts: VoteFacts, key: KeyState) {
        self.index.insert(NewProof {
            row: id(name),
            vote: proof.vote,
            facts,
            checked: proof.check(),
            key,
            arrived_ms: 1,
        });
        self.index.judge_fresh(&View::Chain(&self.chain));
    }

    fn sum(&self, vote: &EntryId) -> VoteSum {
        self.index.sum(vote, SETTLED).unwrap()
    }
}
