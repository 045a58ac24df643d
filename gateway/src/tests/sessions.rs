//! Signing in by a one-time URL, the cookie, forms, signing out.

use axum::{body::Body, http::Request};

use super::{App, ORIGIN, TOKEN, bearer, get, request, write};
use crate::{ClientAddr, OverTls, node::Viewer};

async fn sign_in(app: &App) -> String {
    let answer = app
        .get(&format!("/signin/{}", app.gate.auth().new_once()))
        .await;
    assert_eq!(answer.status, 200);
    answer
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned()
}

fn csrf(app: &App, cookie: &str) -> String {
    let request = request("GET", "/", &[("cookie", cookie)], Body::empty());
    app.gate
        .auth()
        .session(request.headers())
        .unwrap()
        .csrf()
        .to_owned()
}

fn sign_out(cookie: &str, origin: &str, form: &str) -> Request<Body> {
    let kind = "application/x-www-form-urlencoded";
    let headers = [
        ("cookie", cookie),
        ("origin", origin),
        ("content-type", kind),
    ];
    request("POST", "/signout", &headers, form.to_owned())
}

#[tokio::test]
async fn a_sign_in_url_works_once_and_sets_a_strict_cookie() {
    let app = App::new();
    let url = app.send(write("POST", "/api/v1/signin", "")).await.json()["url"].clone();
    let path = url
        .as_str()
        .unwrap()
        .strip_prefix(ORIGIN)
        .unwrap()
        .to_owned();
    let first = app.get(&path).await;
    assert_eq!(first.status, 200);
    let cookie = first.header("set-cookie");
    assert!(cookie.starts_with("datt-session-8420="), "{cookie}");
    for flag in ["; Path=/", "; HttpOnly", "; SameSite=Strict"] {
        assert!(cookie.contains(flag), "{flag} not in {cookie}");
    }
    assert!(
        !cookie.contains("Secure"),
        "plain HTTP would never send it back"
    );
    assert_eq!(first.header("cache-control"), "no-store");
    assert_eq!(first.header("referrer-policy"), "no-referrer");
    let second = app.get(&path).await;
    assert_eq!(second.status, 401);
    assert_eq!(second.header("set-cookie"), "");
    assert_eq!(app.get("/signin/guess").await.status, 401);
}

#[tokio::test]
async fn looking_ahead_does_not_use_the_url_up() {
    let app = App::new();
    let path = format!("/signin/{}", app.gate.auth().new_once());
    let head = request("HEAD", &path, &[], Body::empty());
    assert_eq!(app.send(head).await.status, 403);
    let prefetch = request("GET", &path, &[("sec-purpose", "prefetch")], Body::empty());
    assert_eq!(app.send(prefetch).await.status, 403);
    assert_eq!(app.get(&path).await.status, 200);
}

#[tokio::test]
async fn cookies_are_secure_where_the_world_comes_by_tls() {
    let app = App::with(|settings| {
        settings.public_url = Some("https://forum.example/".into());
        settings.trusted_proxies = vec!["10.0.0.1".parse().unwrap()];
    });
    let by_host = |host: &'static str, proto: &str, ip: &str| {
        let path = format!("/signin/{}", app.gate.auth().new_once());
        let mut request = request("GET", &path, &[("x-forwarded-proto", proto)], Body::empty());
        request
            .headers_mut()
            .insert("host", http::HeaderValue::from_static(host));
        request
            .extensions_mut()
            .insert(ClientAddr(format!("{ip}:1").parse().unwrap()));
        request
    };
    let local = "127.0.0.1:8420";
    let table = [
        (by_host("forum.example", "http", "192.0.2.1"), true),
        (by_host(local, "https", "10.0.0.1"), true),
        (by_host(local, "https", "192.0.2.1"), false),
        (by_host(local, "http", "10.0.0.1"), false),
    ];
    for (request, secure) in table {
        let answer = app.send(request).await;
        assert_eq!(answer.header("set-cookie").contains("; Secure"), secure);
    }
    // TLS that ends here; a proxy that is believed knows better how the world came.
    for (proto, ip, secure) in [
        ("http", "192.0.2.1", true),
        ("http", "10.0.0.1", false),
        ("https", "10.0.0.1", true),
    ] {
        let mut request = by_host(local, proto, ip);
        request.extensions_mut().insert(OverTls);
        let answer = app.send(request).await;
        assert_eq!(answer.header("set-cookie").contains("; Secure"), secure);
    }
}

#[tokio::test]
async fn a_form_needs_its_own_session_token_and_origin() {
    let app = App::new();
    let (mine, other) = (sign_in(&app).await, sign_in(&app).await);
    let token = csrf(&app, &mine);
    let right = format!("csrf={token}");
    let of_other = format!("csrf={}", csrf(&app, &other));
    let table = [
        (sign_out("", ORIGIN, &right), 401),
        (sign_out("datt-session-8420=guess", ORIGIN, &right), 401),
        (sign_out(&mine.replace("8420", "8421"), ORIGIN, &right), 401),
        (sign_out(&mine, ORIGIN, ""), 403),
        (sign_out(&mine, ORIGIN, "csrf="), 403),
        (sign_out(&mine, ORIGIN, "csrf=guess"), 403),
        (sign_out(&mine, ORIGIN, &of_other), 403),
        (sign_out(&mine, "http://evil.example", &right), 403),
        (sign_out(&mine, "null", &right), 403),
    ];
    for (request, status) in table {
        assert_eq!(app.send(request).await.status.as_u16(), status);
    }
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let bare = request(
        "POST",
        "/signout",
        &[("cookie", &mine), kind],
        right.clone(),
    );
    assert_eq!(app.send(bare).await.status, 403, "a form without an Origin");

    let answer = app.send(sign_out(&mine, ORIGIN, &right)).await;
    assert_eq!(answer.status, 303);
    assert!(
        answer
            .header("set-cookie")
            .starts_with("datt-session-8420=; Path=/; Max-Age=0;")
    );
    assert_eq!(
        app.send(sign_out(&mine, ORIGIN, &right)).await.status,
        401,
        "the session is over"
    );
    assert_eq!(
        app.send(sign_out(&other, ORIGIN, &of_other)).await.status,
        303
    );
}

#[tokio::test]
async fn a_script_may_send_the_form_token_as_a_header() {
    let app = App::new();
    let cookie = sign_in(&app).await;
    let token = csrf(&app, &cookie);
    let send = |token: &str| {
        let mut request = sign_out(&cookie, ORIGIN, "");
        request
            .headers_mut()
            .insert("x-csrf-token", token.parse().unwrap());
        request
    };
    assert_eq!(app.send(send("guess")).await.status, 403);
    assert_eq!(app.send(send(&token)).await.status, 303);
}

#[tokio::test]
async fn a_session_reads_for_the_owner_and_never_writes_to_the_api() {
    let app = App::new();
    let cookie = sign_in(&app).await;
    let read = request(
        "GET",
        "/api/v1/spaces",
        &[("cookie", &cookie)],
        Body::empty(),
    );
    assert_eq!(app.send(read).await.status, 200);
    assert_eq!(*app.node.last_viewer.lock().unwrap(), Some(Viewer::Owner));
    let json = ("content-type", "application/json");
    let body = r#"{"target":"x"}"#;
    let headers = [("cookie", cookie.as_str()), ("origin", ORIGIN), json];
    assert_eq!(
        app.send(request("POST", "/api/v1/join", &headers, body))
            .await
            .status,
        401
    );
    let token = bearer(TOKEN);
    let headers = [
        ("cookie", cookie.as_str()),
        ("authorization", token.as_str()),
        json,
    ];
    assert_eq!(
        app.send(request("POST", "/api/v1/join", &headers, body))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn sessions_are_bounded_and_the_oldest_goes_first() {
    let app = App::new();
    let mut cookies = Vec::new();
    for _ in 0..65 {
        cookies.push(sign_in(&app).await);
    }
    let live = |cookie: &String| {
        let request = request("GET", "/", &[("cookie", cookie)], Body::empty());
        app.gate.auth().session(request.headers()).is_some()
    };
    assert!(!live(&cookies[0]));
    assert!(cookies[1..].iter().all(live));
}

#[tokio::test]
async fn a_failed_sign_in_is_a_page() {
    let app = App::new();
    let answer = app.send(get("/signin/guess")).await;
    assert!(
        answer.header("content-type").starts_with("text/html"),
        "{:?}",
        answer.headers
    );
    assert!(answer.text().contains("datt signin"));
}
