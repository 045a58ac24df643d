//! `/api/v1/events`: nothing lost, nothing twice, across reconnects and restarts.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::scene::{Scene, board, join, reply, shows, thread};

#[test]
fn a_cursor_resumes_exactly() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let thread = thread(&a, &board, "Events")?;
    let path = format!("/api/v1/events?root={thread}");
    let mut live = a.client()?.events(&path, &[])?;
    let mut ids = Vec::new();
    for words in ["one", "two", "three"] {
        ids.push(reply(&a, &thread, words)?);
    }
    let first = live.until(|event| event.data.contains(&ids[0]))?;
    drop(live);

    let resumed = [("last-event-id", first.id.as_str())];
    let mut again = a.client()?.events(&path, &resumed)?;
    for id in &ids[1..] {
        let event = again.next()?.context("the stream ended")?;
        let data: Value = serde_json::from_str(&event.data)?;
        ensure!(data["row"] == *id && event.event == "insert", "{event:?}");
        ensure!(data["cursor"] == event.id, "{event:?}");
    }
    // the same after a restart
    let (setup, ..) = a.stop()?;
    let a = setup.start()?;
    let mut after = a.client()?.events(&path, &resumed)?;
    let event = after.next()?.context("the stream ended")?;
    ensure!(event.data.contains(&ids[1]), "{event:?}");
    Ok(())
}

#[test]
fn a_cursor_of_another_epoch_starts_over() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let mut stream = a.client()?.events("/api/v1/events", &[])?;
    thread(&a, &board, "An event")?;
    let event = stream.next()?.context("the stream ended")?;
    let (epoch, sequence) = event.id.split_once('-').context("epoch-sequence")?;
    let first = if epoch.starts_with('1') { "2" } else { "1" };
    let foreign = format!("{first}{}-{sequence}", &epoch[1..]);
    let mut stream = a
        .client()?
        .events("/api/v1/events", &[("last-event-id", &foreign)])?;
    let event = stream.next()?.context("the stream ended")?;
    ensure!(event.event == "reset", "{event:?}");
    Ok(())
}

#[test]
fn a_reply_on_one_node_is_an_event_on_the_other() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let board = board(&a)?;
    let thread = thread(&a, &board, "Live")?;
    join(&b, &board.ticket)?;
    shows(&b, &thread, 1)?;
    let mut stream = b
        .client()?
        .events(&format!("/api/v1/events?root={thread}"), &[])?;
    let id = reply(&a, &thread, "Do you see this?")?;
    let event = stream.until(|event| event.data.contains(&id))?;
    ensure!(event.event == "insert", "{event:?}");
    Ok(())
}
