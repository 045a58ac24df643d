//! From the request that posts on one node to the event on another.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use crate::row::{Row, quantile};
use crate::stage::{Stage, board, follow, post, thread};

pub fn run(stage: &Stage) -> Result<()> {
    let (a, b) = (stage.setup("a").start()?, stage.setup("b").start()?);
    let (space, ticket) = board(&a)?;
    let client = a.client()?;
    let root = thread(&client, &space, "Latency")?;
    follow(&b, &ticket, &root, 1)?;
    let mut events = b
        .client()?
        .events(&format!("/api/v1/events?root={root}"), &[])?;
    let posts = if stage.small { 50 } else { 500 };
    let mut samples_ms = Vec::new();
    for number in 0..posts {
        let start = Instant::now();
        let id = post(
            &client,
            &json!({"reply_to": root, "body": format!("number {number}")}),
        )?;
        events.until(|event| event.data.contains(&id))?;
        samples_ms.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    // the first ones find the topic's members
    let samples = &mut samples_ms[posts / 10..];
    Row::new(
        "latency",
        "post to visible on another node, half of the posts",
    )
    .below(quantile(samples, 0.5), 50.0, "ms");
    Row::new("latency", "post to visible on another node, 99 of 100").below(
        quantile(samples, 0.99),
        250.0,
        "ms",
    );
    Ok(())
}
