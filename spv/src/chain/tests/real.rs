//! Real headers; `real/README.md` says whence.

use bitcoin::{CompactTarget, Target, Work, block::Header};

use super::{
    super::{HeaderChain, HeaderFault, record, rules::Rules},
    forge::{self, NOW_S},
};
use crate::Network;

const BITCOIN_FIRST: &[u8] = include_bytes!("real/bitcoin-first.bin");
const BITCOIN_PERIODS: &[u8] = include_bytes!("real/bitcoin-periods.bin");
const SIGNET_PERIODS: &[u8] = include_bytes!("real/signet-periods.bin");
const PERIOD: u32 = 2016;

fn headers(bytes: &[u8]) -> Vec<Header> {
    let records = bytes.chunks_exact(record::HEADER_BYTES);
    assert!(records.remainder().is_empty());
    records
        .map(|bytes| record::decode(bytes.try_into().unwrap()))
        .collect()
}

/// First headers of all periods with their heights, that of the first block before them.
fn periods(network: Network) -> Vec<(u32, Header)> {
    let bytes = match network {
        Network::Bitcoin => BITCOIN_PERIODS,
        _ => SIGNET_PERIODS,
    };
    let genesis = HeaderChain::new(network).header(0).unwrap();
    let all = [genesis].into_iter().chain(headers(bytes));
    (0..).step_by(PERIOD as usize).zip(all).collect()
}

#[test]
fn the_first_blocks_of_bitcoin_are_taken_one_by_one_and_all_at_once() {
    let headers = headers(BITCOIN_FIRST);
    let mut chain = HeaderChain::new(Network::Bitcoin);
    let change = chain.accept(&headers, NOW_S).unwrap();
    assert_eq!((change.connected.len(), change.tip.height), (2100, 2100));
    let mut slow = HeaderChain::new(Network::Bitcoin);
    for header in &headers {
        slow.accept(&[*header], header.time).unwrap();
    }
    assert_eq!(slow.tip(), chain.tip());
    let (_, period) = periods(Network::Bitcoin)[1];
    assert_eq!(chain.header(PERIOD), Some(period));
}

#[test]
fn a_changed_bit_of_a_real_header_is_refused() {
    let headers = headers(BITCOIN_FIRST);
    let mut chain = HeaderChain::new(Network::Bitcoin);
    chain.accept(&headers[..2014], NOW_S).unwrap();
    let bytes = record::encode(&headers[2014]);
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes;
        changed[bit / 8] ^= 1 << (bit % 8);
        let error = chain
            .accept(&[record::decode(&changed)], NOW_S)
            .unwrap_err();
        let expected = match bit / 8 {
            4..36 => matches!(error.fault, HeaderFault::Unconnected(_)),
            72..76 => matches!(error.fault, HeaderFault::WrongTarget { .. }),
            _ => error.fault == HeaderFault::NoWork,
        };
        assert!(expected, "bit {bit}: {}", error.fault);
    }
}

#[test]
fn every_first_header_of_a_period_is_worked_for_and_of_a_version_of_its_time() {
    for network in [Network::Bitcoin, Network::Signet] {
        let rules = Rules::of(network);
        for (height, header) in periods(network) {
            assert!(header.target().is_met_by(header.block_hash()), "{height}");
            let version = header.version.to_consensus();
            assert!(version >= rules.lowest_version(height), "{height}");
            assert!(
                rules
                    .checkpoint(height)
                    .is_none_or(|known| known == header.block_hash())
            );
        }
    }
}

#[test]
fn the_last_blocks_of_old_versions_would_be_refused_later() {
    let rules = Rules::of(Network::Bitcoin);
    let periods = periods(Network::Bitcoin);
    for (height, version) in [(223_776, 1), (362_880, 2), (385_056, 3)] {
        let (_, header) = periods[(height / PERIOD) as usize];
        assert_eq!(header.version.to_consensus(), version);
        assert!(version < rules.lowest_version(height + 3 * PERIOD));
    }
}

/// A target is a matter of seconds: for each real change there is a time of the period's last
/// block, which the files do not have, close to the next block's, from which it follows.
#[test]
fn every_real_change_of_the_target_follows_from_the_times() {
    let mut changes = 0;
    for network in [Network::Bitcoin, Network::Signet] {
        let rules = Rules::of(network);
        for pair in periods(network).windows(2) {
            let [(_, first), (height, next)] = pair else {
                unreachable!("windows of two")
            };
            // real ones lie between 1,126 s after it and 4,817 s before it
            let latest_s = i64::from(next.time - first.time) + 1_200;
            let target = |back_s: i64| {
                let bits = rules.retarget(first.bits, latest_s - back_s);
                Target::from_compact(bits)
            };
            let (mut low, mut high) = (0, 6_200);
            while low < high {
                let middle = (low + high) / 2;
                if target(middle) > next.target() {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            assert_eq!(target(low), next.target(), "{network} {height}");
            changes += usize::from(first.bits != next.bits);
        }
    }
    assert!(changes > 500, "{changes}");
}

#[test]
fn the_work_of_the_whole_chain_adds_up() {
    // totals of the source, which counts from the first block on
    for (network, total) in [
        (Network::Bitcoin, 0xa6e7_8db0_5939_f5b7_a956_f47b_u128),
        (Network::Signet, 0x29c_1835_1044),
    ] {
        let mut sum = forge::work(0);
        let mut before: Option<CompactTarget> = None;
        for (_, header) in periods(network) {
            if let Some(bits) = before {
                let one = Target::from_compact(bits).to_work();
                sum = (1..PERIOD).fold(sum, |sum, _| sum + one);
            }
            sum = sum + header.work();
            before = Some(header.bits);
        }
        let mut bytes = [0; 32];
        bytes[16..].copy_from_slice(&total.to_be_bytes());
        assert_eq!(sum, Work::from_be_bytes(bytes), "{network}");
        assert!(sum > Rules::of(network).minimum_work);
    }
}
