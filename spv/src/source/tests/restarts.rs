//! The light client starts again with what it left on disk.

use super::*;

#[tokio::test]
async fn it_starts_again_in_each_state() {
    let miner = chain_of(40);
    let honest = peer(&miner, Behaviour::Honest);
    let folder = tempfile::tempdir().unwrap();
    let start = || with_nakamoto(options(folder.path(), &[&honest]));

    // Before anything came.
    let spv = Spv::import_only(options(folder.path(), &[])).unwrap();
    assert_eq!(spv.chain().tip().height, 0);
    drop(spv);

    // With a chain; behind; on a branch that lost meanwhile.
    let spv = start();
    reaches(&spv, miner.tip().block_hash()).await;
    spv.stop().await;
    drop(spv);
    miner.mine_many(30);
    let spv = start();
    assert_eq!(spv.chain().tip().height, 40);
    reaches(&spv, miner.tip().block_hash()).await;
    spv.stop().await;
    drop(spv);
    miner.fork_at(64);
    miner.mine_many(8);
    let spv = start();
    assert_eq!(spv.chain().tip().height, 70);
    reaches(&spv, miner.tip().block_hash()).await;
    assert_eq!(spv.chain().tip().height, 72);
    spv.stop().await;
    drop(spv);

    // With nobody there.
    drop(honest);
    let spv = Spv::import_only(options(folder.path(), &[])).unwrap();
    assert_eq!(spv.chain().tip().hash, miner.tip().block_hash());
}

#[tokio::test]
async fn a_peer_that_hangs_up_is_connected_again() {
    let miner = chain_of(10);
    let honest = peer(&miner, Behaviour::Honest);
    let folder = tempfile::tempdir().unwrap();
    let spv = with_nakamoto(options(folder.path(), &[&honest]));
    reaches(&spv, miner.tip().block_hash()).await;
    honest.hang_up();
    let block = miner.mine(Vec::new());
    reaches(&spv, block.block_hash()).await;
    assert!(honest.connections() >= 2);
    assert_eq!(spv.status().restarts, 0);
}

#[tokio::test]
async fn files_that_nakamoto_cannot_read_do_not_cost_the_chain() {
    let miner = chain_of(10);
    let honest = peer(&miner, Behaviour::Honest);
    let folder = tempfile::tempdir().unwrap();
    let spv = with_nakamoto(options(folder.path(), &[&honest]));
    reaches(&spv, miner.tip().block_hash()).await;
    spv.stop().await;
    drop(spv);
    let theirs = folder.path().join("nakamoto/.nakamoto/regtest");
    for name in ["headers.db", "filters.db", "peers.json"] {
        std::fs::write(theirs.join(name), b"nonsense").unwrap();
    }
    let block = miner.mine(Vec::new());
    let spv = with_nakamoto(options(folder.path(), &[&honest]));
    reaches(&spv, block.block_hash()).await;
}
