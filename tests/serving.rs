//! `/ipfs/{cid}` and what else programs read: ranges, caching, types, documents.

use anyhow::{Result, ensure};

use crate::http::Response;
use crate::scene::{Scene, board, fixtures, noise, text, thread, upload};

fn header(answer: &Response, name: &str) -> String {
    answer.header(name).unwrap_or_default().to_owned()
}

#[test]
fn ranges_are_exact() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let length = 300_000;
    let file = scene.path("some.bin");
    let bytes = noise(length, 9);
    std::fs::write(&file, &bytes)?;
    let path = format!("/ipfs/{}", text(&upload(&a, &file)?, "blob")?);
    let client = a.reader()?;
    for (range, part) in [
        ("bytes=0-0", 0..1),
        ("bytes=0-99", 0..100),
        ("bytes=16383-16384", 16_383..16_385),
        ("bytes=299999-", 299_999..300_000),
        ("bytes=100-999999", 100..300_000),
        ("bytes=-1", 299_999..300_000),
        ("bytes=-999999", 0..300_000),
    ] {
        let answer = client.send("GET", &path, &[("range", range)], b"")?;
        ensure!(answer.status == 206, "{range}: {}", answer.status);
        let expected = format!("bytes {}-{}/{length}", part.start, part.end - 1);
        ensure!(
            header(&answer, "content-range") == expected,
            "{range}: {}",
            header(&answer, "content-range")
        );
        ensure!(answer.body == bytes[part], "{range}: other bytes");
    }
    for range in ["bytes=300000-", "bytes=-0"] {
        let answer = client.send("GET", &path, &[("range", range)], b"")?;
        ensure!(answer.status == 416, "{range}: {}", answer.status);
        ensure!(
            header(&answer, "content-range") == format!("bytes */{length}"),
            "{range}"
        );
    }
    // what makes no sense as a range is no range
    for range in ["bytes=5-2", "lines=1-2", "bytes=a-b"] {
        let answer = client.send("GET", &path, &[("range", range)], b"")?;
        ensure!(
            answer.status == 200 || answer.status == 416,
            "{range}: {}",
            answer.status
        );
    }
    Ok(())
}

#[test]
fn what_never_changes_is_cached_for_ever() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let blob = text(&upload(&a, &fixtures()?.webm)?, "blob")?;
    let path = format!("/ipfs/{blob}");
    let client = a.reader()?;
    let whole = client.get(&path)?;
    ensure!(
        header(&whole, "content-type") == "video/webm",
        "{:?}",
        whole.headers
    );
    ensure!(
        header(&whole, "accept-ranges") == "bytes",
        "{:?}",
        whole.headers
    );
    ensure!(
        header(&whole, "cache-control").contains("immutable"),
        "{:?}",
        whole.headers
    );
    let tag = header(&whole, "etag");
    ensure!(tag.contains(&blob), "{tag}");
    let again = client.send("GET", &path, &[("if-none-match", &tag)], b"")?;
    ensure!(
        again.status == 304 && again.body.is_empty(),
        "{}",
        again.status
    );
    let stale = client.send(
        "GET",
        &path,
        &[("range", "bytes=0-9"), ("if-range", "\"other\"")],
        b"",
    )?;
    ensure!(
        stale.status == 200 && stale.body == whole.body,
        "a range of something else: {}",
        stale.status
    );
    Ok(())
}

#[test]
fn entries_and_outboards_are_served_for_checking() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let thread = thread(&a, &board, "Checked")?;
    let entry = a.reader()?.get(&format!("/ipfs/{thread}"))?;
    ensure!(entry.status == 200, "{}", entry.status);
    let id = thread.parse::<model::EntryId>()?;
    ensure!(
        blake3::hash(&entry.body).as_bytes() == id.as_bytes(),
        "not the bytes of that id"
    );
    ensure!(model::Entry::decode(&entry.body).is_ok(), "not an entry");

    let file = scene.file("large.bin", 8 << 20)?;
    let blob = text(&upload(&a, &file)?, "blob")?;
    let outboard = a.reader()?.get(&format!("/blob/{blob}/outboard"))?;
    // one pair of hashes for each inner node over groups of 16 KiB
    let pairs = ((8_usize << 20) / (16 << 10) - 1) * 64;
    ensure!(outboard.status == 200, "{}", outboard.status);
    ensure!(
        (pairs..=pairs + 8).contains(&outboard.body.len()),
        "{} bytes",
        outboard.body.len()
    );
    Ok(())
}

#[test]
fn machines_find_their_documents() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    thread(&a, &board, "In the feed")?;
    let client = a.reader()?;
    let document = client.get_json("/api/v1/openapi.json")?;
    ensure!(
        document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.")),
        "no OpenAPI"
    );
    ensure!(
        document["paths"]["/api/v1/posts"]["post"].is_object(),
        "posts are not described"
    );
    ensure!(client.get("/healthz")?.status == 200, "healthz");
    let metrics = client.get("/metrics")?.text();
    ensure!(
        metrics.contains("# TYPE") && metrics.contains("datt"),
        "{metrics}"
    );
    let feed = client.get("/feed.xml")?;
    ensure!(
        feed.status == 200 && feed.text().contains("In the feed"),
        "{}",
        feed.text()
    );
    Ok(())
}
