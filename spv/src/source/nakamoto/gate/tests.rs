use std::sync::Arc;

use bitcoin::block::Header;

use super::{
    super::super::{options::SpvOptions, shared::Shared},
    *,
};
use crate::{Network, chain::ChainStore, regtest::Miner};

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

struct Case {
    gate: Gate,
    miner: Miner,
    shared: Arc<Shared>,
    _folder: tempfile::TempDir,
}

fn case(blocks: u32) -> Case {
    let folder = tempfile::tempdir().unwrap();
    let options = SpvOptions::new(Network::Regtest, folder.path(), || 1_780_000_000);
    let store = ChainStore::open(&options.headers_path(), Network::Regtest).unwrap();
    let shared = Arc::new(Shared::new(options, store));
    let gate = Gate::new(Link::new(Arc::clone(&shared), 0), Bans::default(), 1_500);
    let miner = Miner::new(3, 1_700_000_000);
    miner.mine_many(blocks);
    Case {
        gate,
        miner,
        shared,
        _folder: folder,
    }
}

impl Case {
    fn headers(&self) -> Vec<Header> {
        self.miner
            .blocks()
            .iter()
            .skip(1)
            .map(|one| one.header)
            .collect()
    }

    fn say(&self, headers: &[Header]) -> Verdict {
        let theirs = headers
            .iter()
            .map(|one| super::super::bridge::theirs(one).unwrap());
        self.gate
            .judge(PEER, &NetworkMessage::Headers(theirs.collect()))
    }

    fn height(&self) -> u32 {
        self.shared.store().chain().tip().height
    }
}

/// Whether a message asks for headers, and after which.
fn asks(verdict: &Verdict) -> Option<BlockHash> {
    match verdict.answers.as_slice() {
        [NetworkMessage::GetHeaders(asked)] => asked.locator_hashes.first().map(our_hash),
        _ => None,
    }
}

#[test]
fn headers_go_to_the_chain_and_no_further_and_full_messages_are_followed_up() {
    let case = case(2_010);
    let headers = case.headers();
    let full = case.say(&headers[..2_000]);
    assert!(full.pass.is_err());
    assert_eq!(asks(&full), Some(headers[1_999].block_hash()));
    // The same again asks for nothing more.
    assert_eq!(asks(&case.say(&headers[..2_000])), None);
    assert_eq!(asks(&case.say(&headers[2_000..])), None);
    assert_eq!(case.height(), 2_010);
}

#[test]
fn a_long_branch_that_is_known_beside_the_chain_is_followed_to_its_end() {
    let case = case(2_500);
    let active = case.headers();
    case.say(&active[..2_000]);
    case.say(&active[2_000..]);
    case.miner.fork_at(100);
    case.miner.mine_many(2_500);
    let rival = case.headers();
    let begin = &rival[100..2_100];
    assert_eq!(asks(&case.say(begin)), Some(begin[1_999].block_hash()));
    // Asked anew, by the locator of the active chain, a peer begins with those known ones.
    assert_eq!(asks(&case.say(begin)), Some(begin[1_999].block_hash()));
    assert_eq!(case.height(), 2_500);
    case.say(&rival[2_100..]);
    assert_eq!(case.height(), 2_600);

    // One that says the same again and again is asked no more.
    let aside = &active[100..2_100];
    for _ in 0..MAX_IN_VAIN {
        assert!(asks(&case.say(aside)).is_some());
    }
    assert_eq!(asks(&case.say(aside)), None);
    assert_eq!(case.gate.unwanted(), [PEER]);
}

#[test]
fn headers_that_hang_in_the_air_are_asked_for_and_too_many_are_not() {
    let case = case(100);
    let headers = case.headers();
    case.say(&headers[..10]);
    for _ in 0..MAX_IN_VAIN {
        let hanging = case.say(&headers[50..60]);
        assert_eq!(asks(&hanging), Some(headers[9].block_hash()));
    }
    assert!(case.gate.unwanted().is_empty());
    assert_eq!(asks(&case.say(&headers[50..60])), None);
    assert_eq!(case.gate.unwanted(), [PEER]);
    // Tiresome, not a liar.
    assert_eq!(case.gate.admits(PEER), Ok(()));

    let flood = vec![headers[0]; MAX_HEADERS + 1];
    case.say(&flood);
    assert_eq!(case.gate.unwanted(), [PEER]);
    assert_eq!(case.height(), 10);
}

#[test]
fn a_liar_is_named_left_out_and_not_heard_any_more() {
    let case = case(20);
    let headers = case.headers();
    let mut forged = headers[..5].to_vec();
    forged[4].time = 1;
    while forged[4].validate_pow(forged[4].target()).is_err() {
        forged[4].nonce += 1;
    }
    assert!(case.say(&forged).answers.is_empty());
    assert_eq!(case.height(), 4);
    assert!(case.gate.admits(PEER).is_err());
    assert_eq!(case.gate.unwanted(), [PEER]);
    case.say(&headers);
    assert_eq!(case.height(), 4);
    let last = case.shared.status().last_error.unwrap();
    assert!(last.contains("127.0.0.1:1"), "{last}");
    assert!(case.gate.judge(PEER, &NetworkMessage::Verack).pass.is_err());
}

#[test]
fn blocks_that_nobody_asked_for_go_nowhere() {
    let case = case(3);
    case.say(&case.headers());
    let tip: old::Block = super::super::bridge::theirs(&case.miner.tip()).unwrap();
    let verdict = case.gate.judge(PEER, &NetworkMessage::Block(tip));
    assert!(verdict.pass.is_err() && verdict.answers.is_empty());
}

#[test]
fn news_of_a_block_is_followed_and_of_a_known_one_is_not() {
    let case = case(3);
    let tip = their_hash(&case.miner.tip().block_hash());
    let news = || {
        case.gate
            .judge(PEER, &NetworkMessage::Inv(vec![Inventory::Block(tip)]))
    };
    assert!(asks(&news()).is_some());
    case.say(&case.headers());
    assert_eq!(asks(&news()), None);
}

#[test]
fn transactions_are_announced_after_the_handshake_and_handed_out() {
    let case = case(1);
    let transaction = case.miner.tip().txdata[0].clone();
    let theirs: old::Transaction = super::super::bridge::theirs(&transaction).unwrap();
    case.gate.hand_on(theirs.clone());
    let greeting = case.gate.judge(PEER, &NetworkMessage::Verack);
    assert_eq!(greeting.pass, Ok(()));
    let announced = greeting
        .answers
        .iter()
        .any(|one| matches!(one, NetworkMessage::Inv(ids) if *ids == announcement(&theirs)));
    assert!(announced);
    let ids = [
        Inventory::Transaction(theirs.txid()),
        Inventory::WTx(theirs.wtxid()),
    ];
    for id in ids {
        let wanted = NetworkMessage::GetData(vec![id]);
        let handed = case.gate.judge(PEER, &wanted).answers;
        assert!(matches!(handed.as_slice(), [NetworkMessage::Tx(one)] if *one == theirs));
    }
    for _ in 0..=MAX_TRANSACTIONS {
        let mut other = theirs.clone();
        other.lock_time.0 += 1;
        case.gate.hand_on(other);
    }
    assert!(case.gate.state().transactions.len() <= MAX_TRANSACTIONS);
}

#[test]
fn addresses_are_heard_up_to_a_bound() {
    use old::network::{Address, constants::ServiceFlags};
    let case = case(1);
    let address = Address::new(&PEER, ServiceFlags::NONE);
    let hear = |count: usize| {
        let addresses = vec![(0, address.clone()); count];
        case.gate.judge(PEER, &NetworkMessage::Addr(addresses)).pass
    };
    assert_eq!(hear(1_000), Ok(()));
    assert!(hear(1_000).is_err());
    assert_eq!(hear(500), Ok(()));
    assert!(hear(1).is_err());
}
