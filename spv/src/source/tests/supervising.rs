//! Sources that die in every way.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Instant,
};

use super::*;
use crate::{
    regtest::InProcess,
    source::{BlockError, HeaderSource, Link, SourceError, SubmitError},
};

/// How a source behaves before its successor works.
#[derive(Clone, Copy, Debug)]
enum Fails {
    Panics,
    Ends,
    Errs,
    Hangs,
    IsNotMade,
}

/// Fails in its way; hangs until its sender is dropped.
struct Faulty(Fails, Arc<Mutex<mpsc::Receiver<()>>>);

impl HeaderSource for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn run(self: Box<Self>, link: Link) -> Result<(), SourceError> {
        match self.0 {
            Fails::Panics => panic!("as a test wants it, at {}", link.tip().height),
            Fails::Ends => Ok(()),
            Fails::Errs | Fails::IsNotMade => Err(SourceError::ClientEnded),
            Fails::Hangs => {
                // Until the test is over.
                self.1.lock().unwrap().recv().ok();
                Ok(())
            }
        }
    }
}

/// A client whose first two sources fail, and the way to let hanging ones go.
fn failing(fails: Fails, miner: &Miner, folder: &Path) -> (Spv, mpsc::SyncSender<()>) {
    let mut options = options(folder, &[]);
    options.patience.silence = Duration::from_millis(200);
    let made = AtomicU32::new(0);
    let (release, held) = mpsc::sync_channel(0);
    let held = Arc::new(Mutex::new(held));
    let in_process = InProcess::new(miner);
    let spv = Spv::start(options, move || {
        if made.fetch_add(1, Ordering::Relaxed) >= 2 {
            return Box::new(in_process.clone());
        }
        assert!(!matches!(fails, Fails::IsNotMade), "not made");
        Box::new(Faulty(fails, Arc::clone(&held)))
    });
    (spv.unwrap(), release)
}

#[tokio::test]
async fn a_source_that_dies_is_replaced_however_it_dies() {
    let cases = [
        (Fails::Panics, "panicked: as a test wants it, at 0"),
        (Fails::Ends, "ended by itself"),
        (Fails::Errs, "the client ended by itself"),
        (Fails::Hangs, "no sign of life for 200 ms"),
        (Fails::IsNotMade, "panicked: not made"),
    ];
    let miner = chain_of(5);
    for (fails, why) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (spv, _release) = failing(fails, &miner, folder.path());
        reaches(&spv, miner.tip().block_hash()).await;
        let status = spv.status();
        assert_eq!(
            (status.restarts, status.source),
            (2, Some("in process")),
            "{fails:?}"
        );
        let last = status.last_error.unwrap();
        assert!(last.contains(why), "{fails:?}: {last}");
        let block = in_time(spv.block(miner.tip().block_hash())).await;
        assert_eq!(block, Ok(miner.tip()));
    }
}

#[tokio::test]
async fn it_stops_in_time_even_where_a_source_hangs() {
    let miner = chain_of(5);
    let folder = tempfile::tempdir().unwrap();
    let (_release, held) = mpsc::sync_channel(0);
    let held = Arc::new(Mutex::new(held));
    let source = move || Box::new(Faulty(Fails::Hangs, Arc::clone(&held))) as Box<dyn HeaderSource>;
    let spv = Spv::start(options(folder.path(), &[]), source).unwrap();
    let started = Instant::now();
    spv.stop().await;
    assert!(started.elapsed() < Duration::from_millis(2_500));

    let honest = peer(&miner, Behaviour::Honest);
    let spv = with_nakamoto(options(folder.path(), &[&honest]));
    reaches(&spv, miner.tip().block_hash()).await;
    let started = Instant::now();
    spv.stop().await;
    println!("stop: {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_millis(2_000));
    let after = spv.block(miner.tip().block_hash()).await;
    assert_eq!(after, Err(BlockError::Stopped));
    let transaction = miner.tip().txdata[0].clone();
    assert_eq!(spv.submit(transaction).await, Err(SubmitError::Stopped));
}

#[tokio::test]
async fn whoever_waits_is_told_when_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let miner = chain_of(5);
    let (_release, held) = mpsc::sync_channel(0);
    let held = Arc::new(Mutex::new(held));
    let source = move || Box::new(Faulty(Fails::Hangs, Arc::clone(&held))) as Box<dyn HeaderSource>;
    let spv = Spv::start(options(folder.path(), &[]), source).unwrap();
    let headers: Vec<_> = miner
        .blocks()
        .iter()
        .skip(1)
        .map(|one| one.header)
        .collect();
    spv.accept(&headers).unwrap();
    let hash = miner.tip().block_hash();
    let (block, ()) = tokio::join!(in_time(spv.block(hash)), spv.stop());
    assert_eq!(block, Err(BlockError::Stopped));
}
