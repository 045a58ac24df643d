//! How much memory importing and serving a large file takes above an idle node.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::files;
use crate::node::Node;
use crate::row::Row;
use crate::stage::{Stage, add};

/// Pause between two looks.
const SAMPLE: Duration = Duration::from_millis(10);

pub fn run(stage: &Stage) -> Result<()> {
    let file = stage.path("large.bin");
    files::make(&file, stage.large_bytes())?;
    let node = stage.setup("memory").start()?;
    let idle = node.memory_kib("RssAnon")?;
    let (blob, peak) = peak_during(&node, || add(&node, &file))?;
    Row::new("memory", "anonymous memory above idle, importing").below(
        above(idle, peak),
        64.0,
        "MiB",
    );

    let reader = node.reader()?;
    let ((), peak) = peak_during(&node, || {
        let hash = files::hash(&file)?;
        let served = reader.get(&format!("/ipfs/{blob}"))?;
        ensure!(
            blake3::hash(&served.body) == hash,
            "what was served differs"
        );
        Ok(())
    })?;
    Row::new("memory", "anonymous memory above idle, serving").below(
        above(idle, peak),
        64.0,
        "MiB",
    );
    Ok(())
}

/// MiB of the peak above idle.
pub fn above(idle_kib: u64, peak_kib: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "sizes in MiB")]
    let kib = peak_kib.saturating_sub(idle_kib) as f64;
    kib / 1024.0
}

/// The most anonymous memory, in KiB, that the node had while something was done.
pub fn peak_during<T>(node: &Node, work: impl FnOnce() -> Result<T>) -> Result<(T, u64)> {
    let peak = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    let done = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if let Ok(now) = node.memory_kib("RssAnon") {
                    peak.fetch_max(now, Ordering::Relaxed);
                }
                thread::sleep(SAMPLE);
            }
        });
        let done = work();
        over.store(true, Ordering::Relaxed);
        done
    })?;
    Ok((done, peak.load(Ordering::Relaxed)))
}
