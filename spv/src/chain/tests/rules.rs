use bitcoin::{BlockHash, CompactTarget, Target, block::Version, hashes::Hash};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use super::{
    super::{
        HeaderChain, HeaderFault,
        edge::{Edge, Weighed},
        rules::{Checkpoint, Rules},
    },
    forge::{self, EASY_BITS, NOW_S},
    model,
};
use crate::Network;

/// What Bitcoin Core's own tests of the arithmetic say (`pow_tests.cpp`): time of the first and of
/// the last block of a period, its target, the next one.
const RETARGETS: [(u32, u32, u32, u32); 4] = [
    (1_261_130_161, 1_262_152_739, 0x1d00_ffff, 0x1d00_d86a),
    (1_231_006_505, 1_233_061_996, 0x1d00_ffff, 0x1d00_ffff),
    (1_279_008_237, 1_279_297_671, 0x1c05_a3f4, 0x1c01_68fd),
    (1_263_163_443, 1_269_211_443, 0x1c38_7f6f, 0x1d00_e1fd),
];

fn bits(bits: u32) -> CompactTarget {
    CompactTarget::from_consensus(bits)
}

#[test]
fn targets_change_as_bitcoin_core_says() {
    let rules = Rules::of(Network::Bitcoin);
    for (first_s, last_s, before, after) in RETARGETS {
        let took_s = i64::from(last_s) - i64::from(first_s);
        assert_eq!(rules.retarget(bits(before), took_s), bits(after));
    }
    let rules = Rules::of(Network::Regtest);
    assert_eq!(rules.retarget(bits(EASY_BITS), 1), bits(EASY_BITS));
}

#[test]
fn a_period_that_went_backwards_counts_as_the_shortest_and_the_limit_holds() {
    for network in [Network::Bitcoin, Network::Testnet4, Network::Signet] {
        let rules = Rules::of(network);
        let limit = rules.limit_bits;
        let quarter = rules.retarget(limit, 1_209_600 / 4);
        assert_eq!(rules.retarget(limit, -5), quarter);
        assert_eq!(rules.retarget(limit, 0), quarter);
        assert!(Target::from_compact(quarter) < Target::from_compact(limit));
        assert_eq!(rules.retarget(limit, i64::from(u32::MAX)), limit);
        let back = rules.retarget(quarter, 4 * 1_209_600);
        assert!(Target::from_compact(back) <= Target::from_compact(limit));
    }
}

/// A chain without work whose blocks come at random times; each has the target that the naive
/// model demands, and so has what is judged here.
fn agrees_with_the_model(rules: &Rules, seed: u64, blocks: usize, mean_s: u32) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let genesis = rules.genesis;
    let (mut chain, mut edges) = (vec![genesis], vec![Edge::genesis(genesis)]);
    let mut weighed = Weighed::new(genesis.bits);
    for salt in 0..u32::try_from(blocks).unwrap() {
        let edge = edges[edges.len() - 1];
        let gap_s = match random.next_u32() % 10 {
            0 => 1_201 + random.next_u32() % 4_000,
            1 => 1_200,
            _ => random.next_u32() % (2 * mean_s),
        };
        let back_s = random.next_u32() % mean_s;
        let time_s = edge.header.time + gap_s - back_s.min(gap_s + 100);
        let expected = model::next_bits(&chain, time_s, rules);
        assert_eq!(edge.next_bits(time_s, rules), expected, "{}", chain.len());
        assert_eq!(edge.median_s(), model::median_s(&chain));
        let header = forge::header(edge.hash, time_s, expected, salt);
        let mut next = edge;
        next.advance(header, header.block_hash(), rules, &mut weighed);
        chain.push(header);
        edges.push(next);
    }
    let works = chain.iter().map(bitcoin::block::Header::work);
    let sum = works.fold(forge::work(0), |sum, one| sum + one);
    assert_eq!(edges[edges.len() - 1].work, sum);
    // what is read from the chain is what was carried along it
    for _ in 0..50 {
        let at = random.next_u32() as usize % edges.len();
        let known = &edges[at];
        let height = known.height;
        let read = Edge::read(height, known.hash, known.work, rules, |height| {
            chain[height as usize]
        });
        let ahead_s = known.header.time + 1;
        assert_eq!(read.median_s(), known.median_s());
        assert_eq!(
            read.next_bits(ahead_s, rules),
            known.next_bits(ahead_s, rules)
        );
    }
}

#[test]
fn targets_and_medians_are_those_of_a_walk_back_over_the_branch() {
    for (network, seed, mean_s) in [
        (Network::Bitcoin, 1, 300),
        (Network::Signet, 2, 590),
        (Network::Testnet4, 3, 300),
        (Network::Testnet4, 4, 900),
    ] {
        agrees_with_the_model(&Rules::of(network), seed, 5_000, mean_s);
    }
    agrees_with_the_model(&forge::lively_rules(), 5, 3_000, 3);
}

#[test]
fn on_testnet4_a_period_follows_its_first_block_however_easy_its_last_ones_were() {
    let rules = Rules::of(Network::Testnet4);
    let genesis = HeaderChain::new(Network::Testnet4).header(0).unwrap();
    let mut edge = Edge::genesis(genesis);
    let mut weighed = Weighed::new(genesis.bits);
    let mut add = |edge: &Edge, gap_s: u32| {
        let time_s = edge.header.time + gap_s;
        let header = forge::header(edge.hash, time_s, edge.next_bits(time_s, &rules), 0);
        let mut next = *edge;
        next.advance(header, header.block_hash(), &rules, &mut weighed);
        next
    };
    for _ in 0..2016 {
        edge = add(&edge, 100);
    }
    let hard = edge.header.bits;
    assert_ne!(hard, rules.limit_bits, "blocks came fast");
    for _ in 0..2000 {
        edge = add(&edge, 1_201);
        assert_eq!(edge.header.bits, rules.limit_bits);
    }
    edge = add(&edge, 1_200);
    assert_eq!(edge.header.bits, hard, "in time, so hard again");
    while edge.height % 2016 != 2015 {
        edge = add(&edge, 1_201);
    }
    edge = add(&edge, 600);
    let expected = Target::from_compact(hard);
    let found = Target::from_compact(edge.header.bits);
    assert!(found > expected, "a slow period makes it easier");
    assert!(found < Target::from_compact(rules.limit_bits));
    // slow ones in time lead back to the lowest difficulty, which then is no exception
    while edge.header.bits != rules.limit_bits {
        edge = add(&edge, 1_200);
    }
    assert!(edge.height.is_multiple_of(2016));
    edge = add(&edge, 600);
    assert_eq!(edge.header.bits, rules.limit_bits);
}

/// What becomes of a header with something changed, on a chain of some blocks.
fn fault_of(chain: &HeaderChain, change: impl FnOnce(&mut bitcoin::block::Header)) -> HeaderFault {
    let mut chain = chain.clone();
    let tip = chain.tip();
    let mut header = forge::header(tip.hash, tip.time_s + 600, bits(EASY_BITS), 9);
    change(&mut header);
    let header = forge::ground(header, true);
    let error = chain.accept(&[header], NOW_S).unwrap_err();
    assert_eq!(error.index, 0);
    assert!(error.kept.is_empty());
    error.fault
}

#[test]
fn each_rule_is_told_apart() {
    let mut chain = HeaderChain::new(Network::Regtest);
    chain
        .accept(&forge::blocks(&forge::genesis(), 20, 0), NOW_S)
        .unwrap();
    let (tip, median_s) = (chain.tip(), chain.median_time_s());
    let nowhere = BlockHash::all_zeros();
    assert_eq!(
        fault_of(&chain, |header| header.prev_blockhash = nowhere),
        HeaderFault::Unconnected(nowhere)
    );
    assert_eq!(
        fault_of(&chain, |header| header.bits = bits(0x2070_0000)),
        HeaderFault::WrongTarget {
            expected: bits(EASY_BITS),
            found: bits(0x2070_0000)
        }
    );
    assert_eq!(
        fault_of(&chain, |header| header.time = median_s),
        HeaderFault::TooEarly {
            time_s: median_s,
            median_s
        }
    );
    assert_eq!(
        fault_of(&chain, |header| header.time = NOW_S + 7_201),
        HeaderFault::TooLate {
            time_s: NOW_S + 7_201,
            now_s: NOW_S
        }
    );
    for version in [3, 0, -1, i32::MIN] {
        assert_eq!(
            fault_of(&chain, |header| {
                header.version = Version::from_consensus(version);
            }),
            HeaderFault::OldVersion {
                version,
                height: 21
            }
        );
    }
    let lazy = forge::ground(
        forge::header(tip.hash, tip.time_s + 1, bits(EASY_BITS), 0),
        false,
    );
    let error = chain.accept(&[lazy], NOW_S).unwrap_err();
    assert_eq!(error.fault, HeaderFault::NoWork);
    let good = forge::blocks(&chain.header(20).unwrap(), 1, 1);
    assert_eq!(chain.accept(&good, NOW_S).unwrap().connected.len(), 1);
}

#[test]
fn a_header_from_the_future_is_taken_when_its_time_has_come() {
    let mut chain = HeaderChain::new(Network::Regtest);
    let headers = forge::blocks(&forge::genesis(), 3, 0);
    let early_s = headers[2].time - 7_201;
    let error = chain.accept(&headers, early_s).unwrap_err();
    assert_eq!((error.index, error.kept.connected.len()), (2, 2));
    assert!(!error.fault.is_lie());
    let change = chain.accept(&headers, early_s + 1).unwrap();
    assert_eq!(change.connected, [(3, headers[2].block_hash())]);
}

#[test]
fn a_period_does_not_begin_long_before_the_last_one_ended_where_bip94_holds() {
    let mut rules = Rules::of(Network::Regtest);
    rules.bip94 = true;
    rules.period_blocks = 8;
    let headers = forge::blocks(&forge::genesis(), 7, 0);
    let before_s = headers[6].time;
    for (back_s, height, refused) in [(601, 8, true), (600, 8, false), (601, 7, false)] {
        let mut chain = HeaderChain::with_rules(rules.clone());
        chain.accept(&headers[..height - 1], NOW_S).unwrap();
        let last = headers[height - 2];
        let time_s = last.time - back_s;
        let header = forge::header(last.block_hash(), time_s, bits(EASY_BITS), 0);
        let fault = chain
            .accept(&[forge::ground(header, true)], NOW_S)
            .err()
            .map(|error| error.fault);
        let expected = refused.then_some(HeaderFault::TimeWarp { time_s, before_s });
        assert_eq!(fault, expected, "{back_s} s at {height}");
    }
}

#[test]
fn soft_forks_end_old_versions_at_their_heights() {
    let bitcoin = Rules::of(Network::Bitcoin);
    for (height, lowest) in [
        (227_930, i32::MIN),
        (227_931, 2),
        (363_724, 2),
        (363_725, 3),
        (388_380, 3),
        (388_381, 4),
    ] {
        assert_eq!(bitcoin.lowest_version(height), lowest, "{height}");
    }
    assert_eq!(Rules::of(Network::Signet).lowest_version(1), 4);
}

#[test]
fn checkpoints_are_ascending_and_worked_for() {
    let rules = Rules::of(Network::Bitcoin);
    assert!(rules.checkpoints.is_sorted_by_key(|one| one.height));
    for Checkpoint { height, hash } in &rules.checkpoints {
        assert!(Target::MAX_ATTAINABLE_MAINNET.is_met_by(*hash), "{height}");
        assert_eq!(rules.checkpoint(*height), Some(*hash));
        assert_eq!(rules.checkpoint(height + 1), None);
        assert_eq!(rules.last_passed(*height), Some(*height));
        assert_ne!(rules.last_passed(height - 1), Some(*height));
    }
    for network in [Network::Testnet4, Network::Signet, Network::Regtest] {
        assert_eq!(Rules::of(network).last_passed(u32::MAX), None);
    }
}

#[test]
fn a_forged_chain_without_the_known_work_is_seen_to_lack_it() {
    for network in Network::ALL {
        let chain = HeaderChain::new(network);
        assert_eq!(chain.has_minimum_work(), network == Network::Regtest);
    }
    let mut rules = Rules::of(Network::Regtest);
    rules.minimum_work = forge::work(8);
    let mut chain = HeaderChain::with_rules(rules);
    let headers = forge::blocks(&forge::genesis(), 3, 0);
    chain.accept(&headers[..2], NOW_S).unwrap();
    assert!(!chain.has_minimum_work(), "two a block");
    chain.accept(&headers, NOW_S).unwrap();
    assert!(chain.has_minimum_work());
}
