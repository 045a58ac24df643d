use bitcoin::{BlockHash, block::Header};

use super::{
    super::{Change, HeaderChain, HeaderFault, rules::Checkpoint, rules::Rules},
    forge::{self, NOW_S},
    model,
};
use crate::{Network, proof::Headers};

fn hashes(headers: &[Header]) -> Vec<BlockHash> {
    headers.iter().map(Header::block_hash).collect()
}

/// A chain of some blocks on regtest, and them.
fn chain_of(count: usize) -> (HeaderChain, Vec<Header>) {
    let blocks = forge::blocks(&forge::genesis(), count, 0);
    let mut chain = HeaderChain::new(Network::Regtest);
    chain.accept(&blocks, NOW_S).unwrap();
    (chain, blocks)
}

fn accept(chain: &mut HeaderChain, headers: &[Header]) -> Change {
    chain.accept(headers, NOW_S).unwrap()
}

#[test]
fn a_longer_branch_replaces_six_blocks_and_says_so() {
    let (mut chain, old) = chain_of(20);
    let new = forge::blocks(&old[13], 8, 1);
    assert!(accept(&mut chain, &new[..6]).is_empty(), "first seen wins");
    assert_eq!(chain.side_tips()[0].hash, new[5].block_hash());
    let change = accept(&mut chain, &new[5..]);
    let mut replaced = hashes(&old[14..]);
    replaced.reverse();
    assert_eq!(change.disconnected, replaced);
    let connected: Vec<(u32, BlockHash)> = (15..).zip(hashes(&new)).collect();
    assert_eq!(change.connected, connected);
    assert_eq!((change.tip.height, change.tip), (22, chain.tip()));
    for header in &old[14..] {
        let hash = header.block_hash();
        assert!(chain.contains(&hash));
        assert_eq!(chain.height_of(&hash), None);
        assert_eq!(chain.active(&hash), None);
        assert_eq!(chain.aside(&hash), Some(*header));
    }
    assert_eq!(chain.aside(&new[7].block_hash()), None, "it is not aside");
    assert_eq!(chain.active(&new[7].block_hash()), Some((22, new[7])));
    // and back
    let longer = forge::blocks(&old[19], 3, 2);
    let change = accept(&mut chain, &longer);
    assert_eq!(change.disconnected.len(), 8);
    assert_eq!(change.connected.len(), 9);
    assert_eq!(chain.hash(20), Some(old[19].block_hash()));
}

#[test]
fn what_goes_and_comes_back_within_a_batch_is_no_change() {
    let (mut chain, old) = chain_of(10);
    let mut batch = forge::blocks(&old[6], 4, 1);
    batch.extend(forge::blocks(&old[9], 2, 2));
    let change = accept(&mut chain, &batch);
    assert_eq!(change.disconnected, []);
    let connected: Vec<u32> = change.connected.iter().map(|(height, _)| *height).collect();
    assert_eq!(connected, [11, 12]);
}

#[test]
fn what_stands_before_a_bad_header_is_kept_and_what_moved_is_said() {
    let (mut chain, old) = chain_of(10);
    let mut batch = forge::blocks(&old[7], 4, 1);
    batch[3].bits = old[0].target().to_compact_lossy();
    batch[3].time = 0;
    batch[3] = forge::ground(batch[3], true);
    let mut tail = forge::blocks(&old[7], 3, 1);
    tail.push(batch[3]);
    let error = chain.accept(&tail, NOW_S).unwrap_err();
    assert_eq!(error.index, 3);
    assert!(error.fault.is_lie());
    assert_eq!(error.kept.disconnected.len(), 2);
    assert_eq!(error.kept.connected.len(), 3);
    assert_eq!(chain.tip(), error.kept.tip);
}

#[test]
fn side_branches_are_bounded_and_the_one_with_the_least_work_goes_first() {
    let mut rules = Rules::of(Network::Regtest);
    rules.max_side_headers = 10;
    let mut chain = HeaderChain::with_rules(rules);
    let main = forge::blocks(&forge::genesis(), 30, 0);
    accept(&mut chain, &main);
    let high = forge::blocks(&main[24], 4, 1);
    let low = forge::blocks(&main[4], 6, 2);
    accept(&mut chain, &high);
    accept(&mut chain, &low);
    assert_eq!(chain.side_headers(), 10);
    let more = forge::blocks(&main[20], 2, 3);
    accept(&mut chain, &more);
    assert_eq!(chain.side_headers(), 10);
    assert!(!chain.contains(&low[4].block_hash()), "the worst is cut");
    assert!(chain.contains(&low[3].block_hash()));
    assert!(chain.contains(&high[3].block_hash()));
    let worst = forge::blocks(&main[2], 1, 4);
    let error = chain.accept(&worst, NOW_S).unwrap_err();
    assert_eq!(error.fault, HeaderFault::NoRoom);
    assert!(!chain.contains(&worst[0].block_hash()));
    // a full side still lets a better branch in, and what it replaces fits or goes
    let best = forge::blocks(&main[24], 6, 5);
    let change = accept(&mut chain, &best);
    assert_eq!((change.tip.height, change.disconnected.len()), (31, 5));
    assert!(chain.side_headers() <= 10);
}

#[test]
fn a_branch_far_below_the_end_is_not_kept() {
    let mut rules = Rules::of(Network::Regtest);
    rules.max_depth = 10;
    rules.max_height = 40;
    let mut chain = HeaderChain::with_rules(rules);
    let main = forge::blocks(&forge::genesis(), 40, 0);
    accept(&mut chain, &main[..30]);
    accept(&mut chain, &forge::blocks(&main[18], 1, 1));
    let error = chain
        .accept(&forge::blocks(&main[17], 1, 2), NOW_S)
        .unwrap_err();
    let expected = HeaderFault::TooDeep {
        height: 19,
        tip: 30,
    };
    assert_eq!(error.fault, expected);
    accept(&mut chain, &main);
    let error = chain
        .accept(&forge::blocks(&main[39], 1, 0), NOW_S)
        .unwrap_err();
    assert_eq!(error.fault, HeaderFault::TooHigh(40));
}

#[test]
fn a_checkpoint_fixes_what_is_below_and_outweighs_work() {
    let main = forge::blocks(&forge::genesis(), 12, 0);
    let forged = forge::blocks(&main[3], 20, 1);
    let mut rules = Rules::of(Network::Regtest);
    rules.checkpoints = vec![Checkpoint {
        height: 10,
        hash: main[9].block_hash(),
    }];
    let mut chain = HeaderChain::with_rules(rules);
    let error = chain.accept(&main[..4], NOW_S).err();
    assert_eq!(error, None);
    let error = chain.accept(&forged, NOW_S).unwrap_err();
    assert_eq!(
        error.index, 5,
        "the forged branch ends below the checkpoint"
    );
    let expected = HeaderFault::NotTheCheckpoint {
        height: 10,
        expected: main[9].block_hash(),
    };
    assert_eq!(error.fault, expected);
    assert_eq!(chain.tip().hash, forged[4].block_hash());
    let change = accept(&mut chain, &main[..9]);
    assert!(change.is_empty(), "as much work, later");
    let change = accept(&mut chain, &main);
    assert_eq!((change.disconnected.len(), change.tip.height), (5, 12));
    let late = forge::blocks(&main[8], 1, 7);
    let error = chain.accept(&late, NOW_S).unwrap_err();
    let expected = HeaderFault::BelowCheckpoint {
        height: 10,
        checkpoint: 10,
    };
    assert_eq!(error.fault, expected);
    accept(&mut chain, &forge::blocks(&main[9], 1, 7));
}

#[test]
fn locators_are_dense_at_the_end_and_reach_the_first_block() {
    for count in [0_u32, 1, 9, 10, 11, 12, 13, 100, 1000] {
        let (chain, _) = chain_of(count as usize);
        let locator = chain.locator();
        let heights: Vec<u32> = locator
            .iter()
            .map(|hash| chain.height_of(hash).unwrap())
            .collect();
        assert_eq!(heights.first(), Some(&count));
        assert_eq!(heights.last(), Some(&0));
        let falls = |pair: &[u32]| pair[0] > pair[1];
        assert!(heights.windows(2).all(falls), "{heights:?}");
        let dense: Vec<u32> = (0..=count).rev().take(10).collect();
        assert_eq!(heights[..dense.len()], dense);
        assert!(heights.len() <= 21, "{heights:?}");
    }
}

/// Blocks on a branch whose target changes, some seconds apart.
fn lively(branch: &mut Vec<Header>, count: usize, gap_s: u32) {
    let rules = forge::lively_rules();
    for _ in 0..count {
        let last = branch[branch.len() - 1];
        let time_s = last.time + gap_s;
        let bits = model::next_bits(branch, time_s, &rules);
        let header = forge::header(last.block_hash(), time_s, bits, gap_s);
        branch.push(forge::ground(header, true));
    }
}

#[test]
fn work_is_known_everywhere_on_a_long_chain_that_was_reorganised() {
    let mut chain = HeaderChain::with_rules(forge::lively_rules());
    let mut old = vec![chain.header(0).unwrap()];
    lively(&mut old, 2_020, 3);
    let mut new = old.clone();
    lively(&mut old, 50, 3);
    lively(&mut new, 60, 2);
    accept(&mut chain, &old);
    let change = accept(&mut chain, &new);
    assert_eq!(change.disconnected.len(), 50);
    assert_eq!(change.tip.work, model::work(&new));
    for fork in [2_030, 2_047, 2_048, 2_049, 2_060] {
        let mut side = new[..=fork].to_vec();
        lively(&mut side, 1, 4);
        accept(&mut chain, &side[fork..]);
        let tip = side[fork + 1].block_hash();
        let tips = chain.side_tips();
        let known = tips.iter().find(|one| one.hash == tip).unwrap();
        assert_eq!(known.work, model::work(&side), "{fork}");
    }
}
