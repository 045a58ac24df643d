//! Pages of large threads and boards, a late joiner, and a node that only sits there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread as threads;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::http::Client;
use crate::node::Node;
use crate::row::{Row, quantile};
use crate::stage::{Stage, board, follow, post, seconds, thread};

/// Posts of the thread whose page is timed.
const PAGE_POSTS: u64 = 1_000;
/// Requests of each page.
const REQUESTS: usize = 60;
/// Writers that fill a node.
const WRITERS: u64 = 16;

/// A node that joins when the thread is long already.
pub fn late_joiner(stage: &Stage) -> Result<()> {
    let a = stage
        .setup("a")
        .env("DATT_BUDGETS_AUTHOR_BYTES", "4 GiB")
        .start()?;
    let (space, ticket) = board(&a)?;
    let root = thread(&a.client()?, &space, "Long")?;
    let replies = stage.many() - 1;
    fill(
        &a,
        replies,
        &|number| json!({"reply_to": root, "body": format!("number {number}")}),
    )?;
    let b = stage
        .setup("b")
        .env("DATT_BUDGETS_AUTHOR_BYTES", "4 GiB")
        .start()?;
    let ((), took) = seconds(|| follow(&b, &ticket, &root, replies + 1))?;
    let what = format!("late joiner, thread of {} entries", stage.many());
    Row::new("late-joiner", what.clone()).below(took, 30.0, "s");
    let peak = mib(b.memory_kib("VmHWM")?);
    Row::new("late-joiner", format!("{what}, most memory")).below(peak, 300.0, "MiB");
    Ok(())
}

/// Pages by the server's side, and what is left when nothing happens.
pub fn run(stage: &Stage) -> Result<()> {
    let a = stage
        .setup("a")
        .env("DATT_BUDGETS_AUTHOR_BYTES", "4 GiB")
        .start()?;
    let (space, _) = board(&a)?;
    let root = thread(&a.client()?, &space, "A thousand posts")?;
    fill(
        &a,
        PAGE_POSTS - 1,
        &|number| json!({"reply_to": root, "body": format!("number **{number}**")}),
    )?;
    let client = a.reader()?;
    let page = timed(&client, &format!("/t/{root}"))?;
    Row::new("pages", format!("thread page, {PAGE_POSTS} posts")).below(page, 30.0, "ms");

    fill(
        &a,
        stage.many(),
        &|number| json!({"space": space, "title": format!("Thread {number}"), "body": "Words."}),
    )?;
    let what = format!("front page, {} threads", stage.many());
    Row::new("pages", what).below(timed(&client, "/")?, 20.0, "ms");

    let (setup, ..) = a.stop()?;
    let (again, took) = seconds(|| setup.start())?;
    let what = format!("with {} entries", stage.many() + PAGE_POSTS);
    Row::new("pages", format!("ready after a start, {what}")).below(took, 1.0, "s");
    Row::new("pages", format!("anonymous memory of an idle node, {what}")).below(
        mib(again.memory_kib("RssAnon")?),
        80.0,
        "MiB",
    );
    Ok(())
}

/// Posts so many times, by several writers.
fn fill(node: &Node, posts: u64, what: &(dyn Fn(u64) -> serde_json::Value + Sync)) -> Result<()> {
    let next = AtomicU64::new(0);
    let client = node.client()?;
    let ((), took) = seconds(|| {
        threads::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|_| {
                    scope.spawn(|| {
                        loop {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            if number >= posts {
                                return Ok(());
                            }
                            post(&client, &what(number))?;
                        }
                    })
                })
                .collect();
            writers.into_iter().try_for_each(|writer| {
                writer
                    .join()
                    .map_err(|_| anyhow::anyhow!("a writer panicked"))?
            })
        })
    })?;
    #[expect(clippy::cast_precision_loss, reason = "a rate for the log")]
    let rate = posts as f64 / took;
    eprintln!("   {posts} posts in {took:.1} s ({rate:.0} a second)");
    Ok(())
}

/// Milliseconds of a page, by half of the requests.
fn timed(client: &Client, path: &str) -> Result<f64> {
    let mut samples_ms = Vec::new();
    for _ in 0..REQUESTS {
        let (page, took) = seconds(|| client.get(path))?;
        ensure!(page.status == 200, "{path} answered {}", page.status);
        samples_ms.push(took * 1000.0);
    }
    samples_ms.first().context("at least one request")?;
    Ok(quantile(&mut samples_ms, 0.5))
}

#[expect(clippy::cast_precision_loss, reason = "sizes in MiB")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
