//! Liars, beside an honest peer and alone.

use super::*;
use crate::source::{BlockError, BlockFault, Lie};

async fn beside(behaviour: Behaviour) -> (Miner, [MockPeer; 2], Spv, tempfile::TempDir) {
    let miner = chain_of(60);
    let peers = [peer(&miner, behaviour), peer(&miner, Behaviour::Honest)];
    let folder = tempfile::tempdir().unwrap();
    let spv = with_nakamoto(options(folder.path(), &[&peers[0], &peers[1]]));
    let mut changes = spv.changes();
    reaches(&spv, miner.tip().block_hash()).await;
    for _ in 0..3 {
        let block = miner.mine(Vec::new());
        reaches(&spv, block.block_hash()).await;
    }
    let mut shown = Vec::new();
    while let Ok(change) = changes.try_recv() {
        shown.extend(change.connected);
    }
    for (height, hash) in shown {
        let true_one = miner.block_at(height).map(|one| one.block_hash());
        // A stale or a lighter branch may be all there is for a moment; a forged one never is.
        let may_be = matches!(behaviour, Behaviour::LowerWork);
        assert!(
            may_be || true_one == Some(hash),
            "{height} of {behaviour:?}"
        );
    }
    assert_eq!(spv.chain().tip().height, 63);
    (miner, peers, spv, folder)
}

#[tokio::test]
async fn beside_a_peer_with_a_stale_tip_the_most_work_is_reached() {
    beside(Behaviour::StaleTip).await;
}

#[tokio::test]
async fn beside_a_peer_with_less_work_the_most_work_is_reached() {
    beside(Behaviour::LowerWork).await;
}

#[tokio::test]
async fn beside_a_peer_that_forges_headers_the_most_work_is_reached() {
    let (_, [liar, honest], spv, _folder) = beside(Behaviour::ForgedHeaders).await;
    // Once the liar is found out all is begun again without him.
    assert!(honest.wait_connections(2, DEADLINE) >= 2);
    let last = spv.status().last_error.unwrap();
    assert!(last.contains(&liar.address().to_string()), "{last}");
}

#[tokio::test]
async fn beside_a_peer_that_is_silent_the_most_work_is_reached() {
    beside(Behaviour::Silent).await;
}

#[tokio::test]
async fn beside_a_peer_that_sends_garbage_the_most_work_is_reached() {
    let (miner, [liar, _honest], spv, _folder) = beside(Behaviour::Garbage).await;
    // Each connection brings garbage of another kind; one ends in each.
    assert!(liar.wait_connections(3, DEADLINE) >= 3);
    let block = miner.mine(Vec::new());
    reaches(&spv, block.block_hash()).await;
    assert_eq!(spv.status().restarts, 0);
}

#[tokio::test]
async fn beside_a_peer_that_forges_blocks_true_ones_come() {
    let (miner, [liar, honest], spv, _folder) = beside(Behaviour::ForgedBlocks).await;
    // Whoever is asked first: at the latest the second block is asked from the liar.
    for height in 1..=6 {
        let block = miner.block_at(height).unwrap();
        let came = in_time(spv.block(block.block_hash())).await.unwrap();
        assert_eq!(came, block);
    }
    assert!(honest.blocks_served() >= 6);
    if liar.blocks_served() > 0 {
        let last = spv.status().last_error.unwrap();
        assert!(last.contains(&liar.address().to_string()), "{last}");
        assert_eq!(liar.blocks_served(), 1);
    }
}

#[tokio::test]
async fn beside_a_silent_peer_blocks_come_from_the_other() {
    let (miner, _peers, spv, _folder) = beside(Behaviour::Silent).await;
    for height in 1..=4 {
        let block = miner.block_at(height).unwrap();
        assert_eq!(in_time(spv.block(block.block_hash())).await, Ok(block));
    }
}

#[tokio::test]
async fn a_forged_block_is_refused_and_its_fault_is_named() {
    let miner = chain_of(20);
    let liar = peer(&miner, Behaviour::ForgedBlocks);
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), &[&liar]);
    options.patience.block = Duration::from_secs(3);
    let spv = with_nakamoto(options);
    let tip = miner.tip().block_hash();
    reaches(&spv, tip).await;
    let Err(BlockError::Deadline { last, .. }) = in_time(spv.block(tip)).await else {
        panic!("a forged block was taken");
    };
    let fault = last.unwrap();
    assert_eq!(fault.peer, Some(liar.address()));
    let merkle = Lie::Block {
        block: tip,
        fault: BlockFault::MerkleRoot,
    };
    assert_eq!(fault.fault, merkle);
    assert_eq!(liar.blocks_served(), 1);
}
