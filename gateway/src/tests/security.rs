//! Host, Origin, token, content type, limits, headers: each rule, and that it refuses.

use std::sync::atomic::Ordering;

use axum::{body::Body, http::Request};
use model::EntryId;

use super::{App, HOST, ORIGIN, TOKEN, bearer, get, request, write};
use crate::{ClientAddr, node::Viewer};

fn from(mut request: Request<Body>, ip: &str) -> Request<Body> {
    request
        .extensions_mut()
        .insert(ClientAddr(format!("{ip}:5000").parse().unwrap()));
    request
}

#[tokio::test]
async fn only_exact_hosts_are_answered() {
    let app = App::with(|settings| {
        settings.public_url = Some("https://forum.example".into());
        settings.hosts = vec!["Node.lan:8420".into()];
    });
    let table = [
        ("127.0.0.1:8420", 200),
        ("localhost:8420", 200),
        ("LOCALHOST:8420", 200),
        ("[::1]:8420", 200),
        ("forum.example", 200),
        ("node.lan:8420", 200),
        ("127.0.0.1", 421),
        ("localhost", 421),
        ("localhost:8421", 421),
        ("evil.example", 421),
        ("evil.example:8420", 421),
        ("forum.example.evil.example", 421),
        ("forum.example:443", 421),
        ("", 421),
        ("127.0.0.1:8420 ", 421),
    ];
    for (host, status) in table {
        let asked = Request::builder().uri("/healthz").header("host", host);
        let answer = app.send(asked.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{host}");
    }
    let nobody = Request::builder()
        .uri("/healthz")
        .body(Body::empty())
        .unwrap();
    let answer = app.send(nobody).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (421, "wrong_host")
    );
    let twice = request(
        "GET",
        "/healthz",
        &[("host", "evil.example")],
        Body::empty(),
    );
    assert_eq!(app.send(twice).await.status, 421);
}

#[tokio::test]
async fn http_2_authority_is_the_host_and_must_agree_with_the_header() {
    let app = App::new();
    let by_authority = |uri: &str, host: Option<&str>| {
        let mut request = Request::builder().uri(uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        request.body(Body::empty()).unwrap()
    };
    let own = "http://127.0.0.1:8420/healthz";
    assert_eq!(app.send(by_authority(own, None)).await.status, 200);
    assert_eq!(app.send(by_authority(own, Some(HOST))).await.status, 200);
    assert_eq!(
        app.send(by_authority(own, Some("evil.example")))
            .await
            .status,
        421
    );
    assert_eq!(
        app.send(by_authority("http://evil.example/healthz", None))
            .await
            .status,
        421
    );
    assert_eq!(
        app.send(by_authority("http://evil.example/healthz", Some(HOST)))
            .await
            .status,
        421
    );
}

#[tokio::test]
async fn forwarded_headers_count_only_from_trusted_proxies() {
    let app = App::with(|settings| {
        settings.public_url = Some("https://forum.example".into());
        settings.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    });
    let forwarded = |host, via| {
        let headers = [("x-forwarded-host", via)];
        let mut request = request("GET", "/healthz", &headers, Body::empty());
        request
            .headers_mut()
            .insert("host", http::HeaderValue::from_static(host));
        request
    };
    let (inner, public) = ("inner:1", "forum.example");
    assert_eq!(
        app.send(from(forwarded(inner, public), "10.1.2.3"))
            .await
            .status,
        200
    );
    assert_eq!(
        app.send(from(forwarded(inner, public), "192.0.2.1"))
            .await
            .status,
        421
    );
    assert_eq!(app.send(forwarded(inner, public)).await.status, 421);
    assert_eq!(
        app.send(from(forwarded(public, "evil.example"), "10.1.2.3"))
            .await
            .status,
        421
    );
}

#[tokio::test]
async fn writing_needs_the_token_and_loopback_grants_nothing() {
    let app = App::new();
    let join = |headers: &[(&str, &str)]| {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/json"));
        from(
            request("POST", "/api/v1/join", &headers, r#"{"target":"x"}"#),
            "127.0.0.1",
        )
    };
    let answer = app.send(join(&[])).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (401, "unauthorized")
    );
    let (near, far) = (bearer(&TOKEN[1..]), bearer("wrong"));
    let basic = format!("Basic {TOKEN}");
    for wrong in [
        near.as_str(),
        far.as_str(),
        basic.as_str(),
        TOKEN,
        "Bearer ",
        "Bearer",
        "",
    ] {
        assert_eq!(
            app.send(join(&[("authorization", wrong)])).await.status,
            401,
            "{wrong}"
        );
    }
    assert_eq!(app.node.writes.load(Ordering::SeqCst), 0);
    assert_eq!(
        app.send(join(&[("authorization", &bearer(TOKEN))]))
            .await
            .status,
        200
    );
    assert_eq!(app.node.writes.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn every_write_of_the_api_refuses_without_the_token() {
    use crate::api::routes;
    let app = App::with(|settings| settings.limits.write_burst = 1000);
    let cid = EntryId::of(b"x").to_string();
    let (answers, streams) = (routes::answers(), routes::streams());
    let mut tried = 0;
    for (method, path) in answers.mounted().iter().chain(streams.mounted()) {
        if matches!(method.as_str(), "GET" | "OPTIONS") {
            continue;
        }
        let path = path.replace("{cid}", &cid);
        let json = [("content-type", "application/json")];
        let answer = app.send(request(method.as_str(), &path, &json, "{}")).await;
        assert_eq!(answer.status, 401, "{method} {path}");
        tried += 1;
    }
    assert!(tried > 15);
    assert_eq!(app.node.writes.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_wrong_token_is_no_stranger_and_the_right_one_is_the_owner() {
    let app = App::new();
    let read = |token: &str| {
        let token = bearer(token);
        request(
            "GET",
            "/api/v1/spaces",
            &[("authorization", &token)],
            Body::empty(),
        )
    };
    assert_eq!(app.send(read("wrong")).await.status, 401);
    assert_eq!(app.get("/api/v1/spaces").await.status, 200);
    assert_eq!(
        *app.node.last_viewer.lock().unwrap(),
        Some(Viewer::Stranger)
    );
    assert_eq!(app.send(read(TOKEN)).await.status, 200);
    assert_eq!(*app.node.last_viewer.lock().unwrap(), Some(Viewer::Owner));
}

#[tokio::test]
async fn a_write_from_another_origin_is_refused_even_with_the_token() {
    let app = App::new();
    let vote = format!("/api/v1/votes/{}", EntryId::of(b"x"));
    let request = |origin: &'static str| {
        let mut request = write("PUT", &vote, r#"{"dir":1}"#);
        request
            .headers_mut()
            .insert("origin", http::HeaderValue::from_static(origin));
        request
    };
    let foreign = [
        "http://evil.example",
        "null",
        "",
        "https://127.0.0.1:8420",
        "http://127.0.0.1:8421",
        "http://127.0.0.1",
        "http://127.0.0.1:8420.evil.example",
    ];
    for origin in foreign {
        let answer = app.send(request(origin)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (403, "forbidden"),
            "{origin}"
        );
    }
    assert_eq!(app.node.writes.load(Ordering::SeqCst), 0);
    assert_eq!(app.send(request(ORIGIN)).await.status, 200);
    assert_eq!(
        app.send(write("PUT", &vote, r#"{"dir":1}"#)).await.status,
        200
    );
}

#[tokio::test]
async fn bodies_are_json_with_their_type_their_fields_and_their_limit() {
    let app = App::new();
    let token = bearer(TOKEN);
    let typed = |kind: &str, body: String| {
        let headers = [("authorization", token.as_str()), ("content-type", kind)];
        request("POST", "/api/v1/join", &headers, body)
    };
    let fine = r#"{"target":"x"}"#.to_owned();
    let huge = format!(r#"{{"target":"{}"}}"#, "x".repeat(300_000));
    let table = [
        (typed("text/plain", fine.clone()), 415, "wrong_type"),
        (
            typed("application/x-www-form-urlencoded", fine.clone()),
            415,
            "wrong_type",
        ),
        (typed("application/json", "{".into()), 400, "invalid"),
        (typed("application/json", "{}".into()), 400, "invalid"),
        (
            typed("application/json", r#"{"target":"x","more":1}"#.into()),
            400,
            "invalid",
        ),
        (typed("application/json", huge), 413, "too_large"),
        (
            write("PUT", "/api/v1/votes/nonsense", r#"{"dir":1}"#),
            400,
            "invalid",
        ),
        (
            write(
                "PUT",
                &format!("/api/v1/votes/{}", EntryId::of(b"x")),
                r#"{"dir":2}"#,
            ),
            400,
            "invalid",
        ),
        (write("DELETE", "/api/v1/pins/nonsense", ""), 400, "invalid"),
        (get("/api/v1/threads/nonsense"), 400, "invalid"),
        (get("/api/v1/threads?space=nonsense"), 400, "invalid"),
        (get("/api/v1/threads?unknown=1"), 400, "invalid"),
        (get("/api/v1/nothing"), 404, "not_found"),
        (write("DELETE", "/api/v1/status", ""), 405, "wrong_method"),
    ];
    for (request, status, code) in table {
        let what = format!("{} {}", request.method(), request.uri());
        let answer = app.send(request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (status, code),
            "{what}"
        );
    }
    assert_eq!(app.node.writes.load(Ordering::SeqCst), 0);
    assert_eq!(app.send(typed("application/json", fine)).await.status, 200);
}

#[tokio::test]
async fn lists_are_never_longer_than_their_limit() {
    let app = App::new();
    for (asked, given) in [
        ("0", "1"),
        ("1", "1"),
        ("200", "200"),
        ("4000000000", "200"),
    ] {
        let answer = app.get(&format!("/api/v1/threads?limit={asked}")).await;
        assert_eq!(answer.json()["next"], given);
    }
}

#[tokio::test]
async fn writes_without_the_token_are_rated_by_network() {
    let app = App::with(|settings| {
        settings.limits.write_burst = 2;
        settings.limits.writes_per_second = 1;
    });
    let attempt = |ip: &str| {
        let json = [("content-type", "application/json")];
        from(request("POST", "/api/v1/join", &json, "{}"), ip)
    };
    assert_eq!(app.send(attempt("192.0.2.1")).await.status, 401);
    assert_eq!(app.send(attempt("192.0.2.2")).await.status, 401);
    let answer = app.send(attempt("192.0.2.3")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (429, "busy")
    );
    assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
    assert_eq!(app.send(attempt("198.51.100.1")).await.status, 401);
    let owner = from(
        write("POST", "/api/v1/join", r#"{"target":"x"}"#),
        "192.0.2.3",
    );
    assert_eq!(app.send(owner).await.status, 200);
}

#[tokio::test]
async fn no_more_requests_than_places() {
    let app = App::with(|settings| settings.limits.requests = 0);
    let answer = app.get("/healthz").await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (503, "unavailable")
    );
    assert!(!answer.header("retry-after").is_empty());
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let app = App::with(|settings| settings.public_url = Some("https://forum.example".into()));
    for path in [
        "/healthz",
        "/api/v1/spaces",
        "/api/v1/nothing",
        "/no/such/page",
        "/metrics",
    ] {
        let answer = app.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{path}: {policy}"
        );
        assert!(policy.ends_with("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(
            answer.header("cross-origin-resource-policy"),
            "same-origin",
            "{path}"
        );
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
        assert_eq!(
            answer.header("strict-transport-security"),
            "max-age=31536000",
            "{path}"
        );
    }
    let wrong_host = Request::builder().uri("/").header("host", "evil.example");
    let answer = app.send(wrong_host.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    use crate::metrics::NodeGauge;
    let app = App::new();
    app.gate.metrics().set(NodeGauge::Peers, 3);
    app.get("/api/v1/spaces").await;
    app.get(&format!("/api/v1/posts/{}", EntryId::of(b"x")))
        .await;
    let text = app.get("/metrics").await.text();
    for line in [
        "datt_peers 3",
        r#"datt_http_requests_total{method="GET",route="/api/v1/spaces",status="200"} 1"#,
        r#"datt_http_requests_total{method="GET",route="/api/v1/posts/{cid}",status="404"} 1"#,
        r#"datt_http_answer_seconds_count{route="/api/v1/spaces"} 1"#,
    ] {
        assert!(text.contains(line), "{line} not in\n{text}");
    }
}
