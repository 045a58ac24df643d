//! CARs and delegated routing.

use axum::body::Body;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::{
    App,
    ipfs_fake::{RAW, Thing, name},
    request,
};
use crate::ipfs::types::{CarRequest, CarScope, IpfsProvider};

const CAR: &str = "application/vnd.ipld.car";

#[tokio::test]
async fn a_car_is_streamed_as_it_was_asked_for() {
    let app = App::new();
    let file = app.node.ipfs.file(b"file");
    let root = app.node.ipfs.directory(&[("a b", file)]);
    let whole = CarRequest {
        root,
        path: vec!["a b".to_owned()],
        scope: CarScope::All,
        bytes: None,
        duplicates: false,
    };
    let twice = CarRequest {
        duplicates: true,
        ..whole.clone()
    };
    let part = CarRequest {
        scope: CarScope::Entity,
        bytes: Some((-5, None)),
        ..whole.clone()
    };
    let table = [
        ("format=car", CAR, &whole, "n"),
        ("", CAR, &whole, "n"),
        (
            "",
            "application/vnd.ipld.car; version=1; order=dfs; dups=y",
            &twice,
            "y",
        ),
        (
            "format=car&car-dups=y",
            "application/vnd.ipld.car; dups=n",
            &twice,
            "y",
        ),
        (
            "format=car&dag-scope=entity&entity-bytes=-5:*",
            "*/*",
            &part,
            "n",
        ),
    ];
    let mut etags = Vec::new();
    for (query, accept, expected, dups) in table {
        let path = format!("/ipfs/{root}/a%20b?{query}");
        let asked = request("GET", &path, &[("accept", accept)], Body::empty());
        let answer = app.send(asked).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text().as_str()),
            (200, "header block")
        );
        assert_eq!(
            app.node.ipfs.cars.lock().unwrap().last(),
            Some(expected),
            "{query}"
        );
        let media_type = format!("{CAR}; version=1; order=dfs; dups={dups}");
        assert_eq!(answer.header("content-type"), media_type);
        assert_eq!(answer.header("accept-ranges"), "none");
        assert_eq!(answer.header("content-length"), "");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-ipfs-roots"), format!("{root},{file}"));
        let name = format!("attachment; filename=\"{root}_a b.car\"");
        assert!(answer.header("content-disposition").starts_with(&name));
        let etag = answer.header("etag").to_owned();
        let known = request(
            "GET",
            &path,
            &[("accept", accept), ("if-none-match", &etag)],
            Body::empty(),
        );
        assert_eq!(app.send(known).await.status, 304);
        etags.push(etag);
    }
    assert!(etags[0].starts_with(&format!("\"{file}.car.")));
    assert_eq!(etags[0], etags[1], "the same CAR");
    assert_eq!(etags[2], etags[3], "the same CAR");
    assert!(etags[0] != etags[2] && etags[2] != etags[4] && etags[0] != etags[4]);
}

#[tokio::test]
async fn a_car_that_fails_at_once_is_an_answer_and_one_that_fails_later_breaks_off() {
    let app = App::new();
    let gone = name(RAW, b"gone");
    let root = app.node.ipfs.directory(&[("gone", gone)]);
    for path in [
        format!("{gone}"),
        format!("{root}/gone"),
        format!("{root}/nothing"),
    ] {
        let answer = app.get(&format!("/ipfs/{path}?format=car")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (404, "not_found"),
            "{path}"
        );
    }
    let broken = request(
        "GET",
        &format!("/ipfs/{root}?format=car"),
        &[],
        Body::empty(),
    );
    let response = app.router.clone().oneshot(broken).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.into_body().collect().await.is_err());
    let head = request(
        "HEAD",
        &format!("/ipfs/{root}?format=car"),
        &[],
        Body::empty(),
    );
    let head = app.send(head).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert!(head.header("etag").contains(".car."));
}

#[tokio::test]
async fn a_car_takes_a_place_among_the_downloads() {
    let app = App::with(|settings| settings.limits.blob_streams = 0);
    let file = app.node.ipfs.file(b"file");
    let answer = app.get(&format!("/ipfs/{file}?format=car")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (503, "unavailable")
    );
}

#[tokio::test]
async fn what_is_denied_gives_no_byte_in_any_format() {
    let app = App::new();
    let denied = app.node.ipfs.put(name(RAW, b"denied"), Thing::Denied);
    for query in [
        "",
        "?format=raw",
        "?format=car",
        "?format=json",
        "?download=x",
    ] {
        let answer = app.get(&format!("/ipfs/{denied}{query}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (410, "denied"),
            "{query}"
        );
    }
}

#[tokio::test]
async fn providers_are_this_node_or_nobody() {
    let app = App::new();
    let file = app.node.ipfs.file(b"file");
    let provider = IpfsProvider {
        id: "12D3KooW".to_owned(),
        addrs: vec!["/dns/node.example/tcp/443/tls/http".to_owned()],
        protocols: vec!["transport-ipfs-gateway-http".to_owned()],
    };
    app.node
        .ipfs
        .providers
        .lock()
        .unwrap()
        .insert(file, provider);
    let path = format!("/routing/v1/providers/{file}");
    let one = "{\"Schema\":\"peer\",\"ID\":\"12D3KooW\",\
               \"Addrs\":[\"/dns/node.example/tcp/443/tls/http\"],\
               \"Protocols\":[\"transport-ipfs-gateway-http\"]}";
    let answer = app.get(&path).await;
    assert_eq!(answer.text(), format!("{{\"Providers\":[{one}]}}"));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(
        answer
            .header("cache-control")
            .starts_with("public, max-age=300")
    );
    let lines = [("accept", "application/x-ndjson, application/json")];
    let answer = app.send(request("GET", &path, &lines, Body::empty())).await;
    assert_eq!(answer.text(), format!("{one}\n"));
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let nobody = name(RAW, b"nobody has it");
    let answer = app.get(&format!("/routing/v1/providers/{nobody}")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (200, "{\"Providers\":[]}")
    );
    assert!(
        answer
            .header("cache-control")
            .starts_with("public, max-age=15")
    );
    assert_eq!(app.get("/routing/v1/providers/nonsense").await.status, 400);
    let preflight = request("OPTIONS", &path, &[], Body::empty());
    assert_eq!(app.send(preflight).await.status, 204);
}
