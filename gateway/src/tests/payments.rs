//! The API of paid votes.

use data_encoding::BASE64;
use model::EntryId;

use super::{App, TOKEN, bearer, get, request, write};

fn id() -> EntryId {
    EntryId::of(b"a vote")
}

fn asked(app: &App) -> Vec<String> {
    app.node.swarm.asked.lock().unwrap().clone()
}

#[tokio::test]
async fn a_vote_is_paid_within_bounds() {
    let app = App::new();
    let path = format!("/api/v1/votes/{}/pay", id());
    let answer = app
        .send(write(
            "PUT",
            &path,
            r#"{"dir": 1, "sats": 2100, "to": "board"}"#,
        ))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let paid = answer.json();
    assert_eq!(paid["state"], "unpaid");
    let qr = paid["qr"].as_str().unwrap();
    assert!(qr.starts_with("<svg class=\"qr\""), "{qr}");
    for body in [
        r#"{"dir": 0, "sats": 1}"#,
        r#"{"dir": 2, "sats": 1}"#,
        r#"{"dir": 1, "sats": 0}"#,
        r#"{"dir": 1, "sats": 2100000000000001}"#,
        r#"{"dir": 1, "sats": -1}"#,
        r#"{"dir": 1, "sats": 1, "to": "everybody"}"#,
        r#"{"dir": 1}"#,
    ] {
        let answer = app.send(write("PUT", &path, body)).await;
        assert_eq!(answer.status, 400, "{body}");
    }
    assert_eq!(asked(&app), ["pay 1 2100 board"]);
}

#[tokio::test]
async fn strangers_are_told_of_what_is_proved_only() {
    let app = App::new();
    let token = bearer(TOKEN);
    let headers = [("authorization", token.as_str())];
    for path in [
        format!("/api/v1/payments/{}", id()),
        format!("/api/v1/posts/{}/payments", id()),
    ] {
        let text = app.send(get(&path)).await.text();
        assert!(text.contains("\"sats\":2100"), "{text}");
        assert!(
            !text.contains("bcrt1pexample") && !text.contains("svg"),
            "{text}"
        );
        let text = app.send(request("GET", &path, &headers, "")).await.text();
        assert!(text.contains("bcrt1pexample"), "{text}");
    }
    let awaited = format!("/api/v1/payments/{}", EntryId::of(b"awaited"));
    assert_eq!(app.send(get(&awaited)).await.status, 404);
    let answer = app.send(request("GET", &awaited, &headers, "")).await;
    assert_eq!(answer.json()["state"], "unpaid");
}

#[tokio::test]
async fn reads_that_belong_to_the_owner_need_the_token() {
    let app = App::new();
    for path in [
        format!("/api/v1/votes/{}/pay", id()),
        "/api/v1/payments".to_owned(),
        "/api/v1/payments/key".to_owned(),
        "/api/v1/payments/keys".to_owned(),
        "/api/v1/payments/received".to_owned(),
    ] {
        assert_eq!(app.send(get(&path)).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn transactions_come_in_hex_up_to_what_the_network_relays() {
    let app = App::new();
    let path = "/api/v1/payments/transactions";
    let send = |hex: String| write("POST", path, &format!(r#"{{"transaction": "{hex}"}}"#));
    assert_eq!(app.send(send("00".repeat(400_000))).await.status, 200);
    assert_eq!(app.send(send("00".repeat(400_001))).await.status, 413);
    for bad in ["", "0", "zz", "00 00"] {
        assert_eq!(app.send(send(bad.to_owned())).await.status, 400, "{bad}");
    }
    assert_eq!(asked(&app), ["transaction of 800000"]);
}

#[tokio::test]
async fn proofs_travel_in_base64_up_to_their_limit() {
    let app = App::new();
    let body = |bytes: usize| format!(r#"{{"proof": "{}"}}"#, BASE64.encode(&vec![7; bytes]));
    let verify = "/api/v1/payments/verify";
    let report = app.send(write("POST", verify, &body(8192))).await;
    assert_eq!(
        (report.status.as_u16(), &report.json()["sats"]),
        (200, &8192.into())
    );
    for path in [verify, "/api/v1/payments/proofs"] {
        let answer = app.send(write("POST", path, &body(8193))).await;
        assert_eq!(answer.status, 413, "{path}");
        let answer = app.send(write("POST", path, r#"{"proof": "*"}"#)).await;
        assert_eq!(answer.status, 400, "{path}");
    }
    let answer = app
        .send(write("POST", "/api/v1/payments/proofs", &body(2)))
        .await;
    assert_eq!(answer.json()["id"], "an entry");
    assert_eq!(asked(&app), ["proof of 2"]);
    let held = app.get(&format!("/api/v1/payments/{}/proof", id())).await;
    assert_eq!(held.json()[0]["proof"], BASE64.encode(b"de"));
}

#[tokio::test]
async fn a_payment_is_proved_from_a_block_by_the_owner_alone() {
    let app = App::new();
    let path = format!("/api/v1/payments/{}/prove", id());
    let answer = app.send(write("POST", &path, r#"{"block": "7"}"#)).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["height"]),
        (200, &7.into())
    );
    let body = r#"{"block": "8", "unpublished": true}"#;
    assert_eq!(app.send(write("POST", &path, body)).await.status, 200);
    assert_eq!(asked(&app), ["prove 7 false", "prove 8 true"]);
    let long = format!(r#"{{"block": "{}"}}"#, "a".repeat(301));
    for body in [&long, "{}", r#"{"block": 7}"#] {
        assert_eq!(app.send(write("POST", &path, body)).await.status, 400);
    }
    let stranger = request("POST", &path, &[], r#"{"block": "7"}"#);
    assert_eq!(app.send(stranger).await.status, 401);
}

#[tokio::test]
async fn keys_and_batches_are_bounded() {
    let app = App::new();
    let key = "/api/v1/payments/key";
    let hex = "cd".repeat(32);
    for (body, status) in [
        (format!(r#"{{"key": "{hex}"}}"#), 200),
        (format!(r#"{{"key": "02{hex}"}}"#), 200),
        (r#"{"off": true}"#.to_owned(), 200),
        ("{}".to_owned(), 400),
        (r#"{"key": "cd"}"#.to_owned(), 400),
        (format!(r#"{{"key": "{}"}}"#, "zz".repeat(32)), 400),
        (
            format!(r#"{{"key": "{hex}", "address": "{}"}}"#, "a".repeat(301)),
            400,
        ),
        (format!(r#"{{"key": "{hex}", "secret": "x"}}"#), 400),
    ] {
        let answer = app.send(write("PUT", key, &body)).await;
        assert_eq!(answer.status, status, "{body}");
    }
    let batches = "/api/v1/payments/batches";
    let coin = format!(r#"{{"outpoint": "{hex}:0", "sats": 5, "script_hex": "51"}}"#);
    let coins =
        |count: usize| format!(r#"{{"inputs": [{}]}}"#, vec![coin.clone(); count].join(","));
    assert_eq!(app.send(write("POST", batches, "{}")).await.status, 200);
    assert_eq!(
        app.send(write("POST", batches, &coins(500))).await.status,
        200
    );
    assert_eq!(
        app.send(write("POST", batches, &coins(501))).await.status,
        400
    );
    let long = format!(r#"{{"change_address": "{}"}}"#, "a".repeat(301));
    assert_eq!(app.send(write("POST", batches, &long)).await.status, 400);
}

#[tokio::test]
async fn events_tell_strangers_of_proved_payments_only() {
    let app = App::new();
    let post = id();
    let path = format!("/api/v1/payments/events?post={post}");
    let stranger = app.get(&path).await;
    assert_eq!(stranger.header("content-type"), "text/event-stream");
    let text = stranger.text();
    assert!(text.contains("event: payment") && text.contains("\"state\":\"confirmed\""));
    assert!(
        text.contains(&post.to_string()) && !text.contains("seen"),
        "{text}"
    );
    let token = bearer(TOKEN);
    let headers = [("authorization", token.as_str())];
    let owner = app.send(request("GET", &path, &headers, "")).await.text();
    assert!(owner.contains("\"state\":\"seen\"") && owner.contains("event: error"));
    let bad = app.get("/api/v1/payments/events?post=x").await;
    assert_eq!(bad.status, 400);
}

#[tokio::test]
async fn strangers_see_the_chain_without_its_faults() {
    let app = App::new();
    let chain = app.get("/api/v1/chain").await.json();
    assert_eq!(
        (&chain["network"], &chain["last_error"]),
        (&"regtest".into(), &().into())
    );
    let token = bearer(TOKEN);
    let headers = [("authorization", token.as_str())];
    let chain = app
        .send(request("GET", "/api/v1/chain", &headers, ""))
        .await;
    assert_eq!(chain.json()["last_error"], "a fault");
}
