//! What strangers and clumsy programs send: a clear error each, and the node goes on.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::cli::NOBODY;
use crate::node::Node;
use crate::scene::{Scene, board, reply, thread};

/// The answer must be this status with this code, and a message that says something.
fn refused(
    node: &Node,
    method: &str,
    path: &str,
    body: &Value,
    status: u16,
    code: &str,
) -> Result<()> {
    let sent = body.to_string();
    let (headers, bytes): (&[(&str, &str)], &[u8]) = if body.is_null() {
        (&[], b"")
    } else {
        (&[("content-type", "application/json")], sent.as_bytes())
    };
    let answer = node.client()?.send(method, path, headers, bytes)?;
    let what = format!("{method} {path}");
    ensure!(
        answer.status == status,
        "{what}: {} instead of {status}: {}",
        answer.status,
        answer.text()
    );
    let error = answer.json()?;
    ensure!(error["error"]["code"] == code, "{what}: {error}");
    let message = error["error"]["message"].as_str().unwrap_or_default();
    ensure!(message.len() > 10, "{what}: no message: {error}");
    Ok(())
}

#[test]
fn requests_that_make_no_sense() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let thread = thread(&a, &board, "Goes on")?;
    let long = |length: usize| "x".repeat(length);
    let many: Vec<&str> = vec![NOBODY; 17];
    let none = Value::Null;
    let post = |change: Value| {
        let mut body = json!({"space": board.space, "title": "T", "body": "B"});
        for (name, value) in change.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        body
    };
    for (method, path, body, status, code) in [
        (
            "GET",
            "/api/v1/posts/not-a-cid".to_owned(),
            none.clone(),
            400,
            "invalid",
        ),
        (
            "GET",
            format!("/api/v1/posts/{NOBODY}"),
            none.clone(),
            404,
            "not_found",
        ),
        (
            "GET",
            format!("/api/v1/posts/{}", long(5000)),
            none.clone(),
            400,
            "invalid",
        ),
        (
            "GET",
            format!("/api/v1/threads/{thread}?limit=-1"),
            none.clone(),
            400,
            "invalid",
        ),
        (
            "GET",
            format!("/api/v1/threads/{thread}?after=nonsense"),
            none.clone(),
            400,
            "invalid",
        ),
        (
            "GET",
            "/api/v1/nothing".to_owned(),
            none.clone(),
            404,
            "not_found",
        ),
        (
            "DELETE",
            "/api/v1/status".to_owned(),
            none.clone(),
            405,
            "wrong_method",
        ),
        (
            "POST",
            "/api/v1/join".to_owned(),
            json!({"target": "dattnonsense"}),
            400,
            "invalid",
        ),
        (
            "POST",
            "/api/v1/join".to_owned(),
            json!({"target": long(100_000)}),
            400,
            "invalid",
        ),
        (
            "POST",
            "/api/v1/posts".to_owned(),
            post(json!({"body": long(32_769)})),
            413,
            "too_large",
        ),
        (
            "POST",
            "/api/v1/posts".to_owned(),
            post(json!({"title": long(301)})),
            400,
            "invalid",
        ),
        (
            "POST",
            "/api/v1/posts".to_owned(),
            post(json!({"url": "javascript:alert(1)"})),
            400,
            "invalid",
        ),
        (
            "POST",
            "/api/v1/posts".to_owned(),
            post(json!({"media": many})),
            400,
            "invalid",
        ),
        (
            "POST",
            "/api/v1/posts".to_owned(),
            post(json!({"colour": "red"})),
            400,
            "invalid",
        ),
        (
            "POST",
            "/api/v1/posts".to_owned(),
            json!({"reply_to": NOBODY, "body": "B"}),
            404,
            "not_found",
        ),
        (
            "POST",
            "/api/v1/posts".to_owned(),
            json!([1, 2]),
            400,
            "invalid",
        ),
        (
            "PUT",
            format!("/api/v1/votes/{thread}"),
            json!({"dir": 2}),
            400,
            "invalid",
        ),
        (
            "POST",
            "/api/v1/spaces".to_owned(),
            json!({"title": "T", "schema": "schema x { nonsense"}),
            400,
            "invalid",
        ),
        (
            "POST",
            "/api/v1/spaces".to_owned(),
            json!({"title": long(101)}),
            400,
            "invalid",
        ),
        (
            "PUT",
            format!("/api/v1/pins/{NOBODY}"),
            json!({"media": "some"}),
            400,
            "invalid",
        ),
    ] {
        refused(&a, method, &path, &body, status, code)?;
    }
    reply(&a, &thread, "Still here.")?;
    Ok(())
}

#[test]
fn writing_needs_the_token() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let body = json!({"space": board.space, "title": "T", "body": "B"}).to_string();
    let json_type = ("content-type", "application/json");
    let strangers = [
        vec![json_type],
        vec![json_type, ("authorization", "Bearer wrong")],
        vec![json_type, ("authorization", "Basic abc")],
        vec![json_type, ("cookie", "datt-session=guess")],
    ];
    for headers in strangers {
        let answer = a
            .reader()?
            .send("POST", "/api/v1/posts", &headers, body.as_bytes())?;
        ensure!(
            answer.status == 401 || answer.status == 403,
            "{headers:?}: {answer:?}"
        );
    }
    let answer = a.client()?.send(
        "POST",
        "/api/v1/posts",
        &[("content-type", "text/plain")],
        body.as_bytes(),
    )?;
    ensure!(
        answer.status == 415,
        "a form of another site could send this: {answer:?}"
    );
    let threads = a
        .client()?
        .get_json(&format!("/api/v1/threads?space={}", board.space))?;
    ensure!(
        threads["items"].as_array().is_some_and(Vec::is_empty),
        "something was written: {threads}"
    );
    Ok(())
}

#[test]
fn host_and_origin_are_exact() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let port = a.url.rsplit(':').next().unwrap_or_default().to_owned();
    for host in [
        "evil.example",
        &format!("evil.example:{port}"),
        "127.0.0.1",
        "127.0.0.1:1",
        "",
    ] {
        let answer = a.reader()?.send("GET", "/", &[("host", host)], b"")?;
        ensure!(
            matches!(answer.status, 400 | 421),
            "host {host:?}: {}",
            answer.status
        );
    }
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        let headers = [("origin", origin), ("content-type", "application/json")];
        let answer = a
            .client()?
            .send("POST", "/api/v1/spaces", &headers, b"{\"title\":\"T\"}")?;
        ensure!(answer.status == 403, "origin {origin:?}: {answer:?}");
    }
    let own = [
        ("origin", a.url.as_str()),
        ("content-type", "application/json"),
    ];
    let answer = a
        .client()?
        .send("POST", "/api/v1/spaces", &own, b"{\"title\":\"T\"}")?;
    ensure!(answer.status / 100 == 2, "the own origin: {answer:?}");
    Ok(())
}

#[test]
fn a_sign_in_link_works_once_and_forms_need_their_token() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let reader = a.reader()?;
    let once = a
        .sign_in_url
        .strip_prefix(&a.url)
        .unwrap_or_default()
        .to_owned();
    let guess = reader.get("/signin/guessed")?;
    ensure!(guess.status >= 400, "a guessed link: {guess:?}");
    let page = reader.get(&once)?;
    // a page with a button, so that link previews don't use it up; or the cookie at once
    let signed_in = if page.header("set-cookie").is_some() {
        page
    } else {
        reader.send(
            "POST",
            &once,
            &[
                ("origin", &a.url),
                ("content-type", "application/x-www-form-urlencoded"),
            ],
            b"",
        )?
    };
    let cookie = signed_in
        .header("set-cookie")
        .unwrap_or_default()
        .to_owned();
    ensure!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{signed_in:?}"
    );
    let cookie = cookie.split(';').next().unwrap_or_default();
    let again = reader.get(&once)?;
    ensure!(
        again.header("set-cookie").is_none(),
        "the link worked twice"
    );

    let form = [
        ("cookie", cookie),
        ("origin", &a.url),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    for token in ["", "&csrf=wrong"] {
        let body = format!("up={NOBODY}{token}");
        let answer = reader.send("POST", "/vote", &form, body.as_bytes())?;
        ensure!(
            answer.status == 403,
            "a form without its token: {}",
            answer.status
        );
    }
    Ok(())
}

#[test]
fn what_was_uploaded_never_runs() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let page = b"<!doctype html><script>alert(document.cookie)</script>";
    let drawing = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    for (name, bytes) in [
        ("page.html", &page[..]),
        ("drawing.svg", drawing),
        ("film.webm", page),
    ] {
        let added = a
            .client()?
            .send("POST", &format!("/api/v1/blobs?name={name}"), &[], bytes)?
            .json()?;
        let blob = crate::scene::text(&added, "blob")?;
        let answer = a.reader()?.get(&format!("/ipfs/{blob}"))?;
        let header = |name| answer.header(name).unwrap_or_default().to_owned();
        ensure!(answer.status == 200 && answer.body == bytes, "{name}");
        ensure!(
            header("x-content-type-options") == "nosniff",
            "{name}: {answer:?}"
        );
        ensure!(
            header("content-security-policy").contains("sandbox"),
            "{name}: {answer:?}"
        );
        let kind = header("content-type");
        ensure!(
            !kind.contains("html") && !kind.contains("svg") && !kind.contains("xml"),
            "{name} as {kind}"
        );
    }
    Ok(())
}

#[test]
fn connections_that_send_garbage_or_nothing() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let authority = a.reader()?.authority().to_owned();
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/v1/posts HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n",
        &[0; 70_000],
    ] {
        let mut stream = TcpStream::connect(&authority)?;
        // the node may close its side before everything is sent
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        ensure!(
            !answer.starts_with(b"HTTP/1.1 2"),
            "{:?}",
            String::from_utf8_lossy(&answer)
        );
    }
    let silent: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(&authority))
        .collect::<Result<_, _>>()?;
    ensure!(
        a.reader()?.get("/healthz")?.status == 200,
        "a hundred silent connections"
    );
    drop(silent);
    Ok(())
}
