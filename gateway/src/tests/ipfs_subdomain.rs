//! Roots on origins of their own.

use axum::{
    body::Body,
    http::{Request, Version},
};
use cid::Cid;

use super::{
    Answer, App, TOKEN, bearer,
    ipfs_fake::{DAG_PB, RAW, Thing, long_name, name},
};
use crate::{ClientAddr, node::Viewer};

const PARENT: &str = "localhost:8420";

fn app() -> App {
    App::with(|settings| {
        settings.subdomain_hosts = vec!["Web.example".into()];
        settings.hosts = vec!["plain.example".into()];
        settings.trusted_proxies = vec!["10.0.0.1".parse().unwrap()];
    })
}

fn asked(method: &str, host: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

impl App {
    async fn at(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(asked("GET", host, path, headers)).await
    }
}

#[tokio::test]
async fn navigation_to_a_path_is_led_to_the_roots_own_origin() {
    let app = app();
    let cid = name(DAG_PB, b"root");
    let v0 = Cid::new_v0(*cid.hash()).unwrap();
    let table = [
        (
            PARENT,
            format!("/ipfs/{cid}"),
            format!("http://{cid}.ipfs.localhost:8420/"),
        ),
        (
            PARENT,
            format!("/ipfs/{v0}/"),
            format!("http://{cid}.ipfs.localhost:8420/"),
        ),
        (
            PARENT,
            format!("/ipfs/{cid}/a%252C+b=c%20d/?x=1&y"),
            format!("http://{cid}.ipfs.localhost:8420/a%252C+b=c%20d/?x=1&y"),
        ),
        (
            "WEB.example",
            format!("/ipfs/{cid}/a"),
            format!("http://{cid}.ipfs.web.example/a"),
        ),
    ];
    for (host, path, location) in table {
        let answer = app.at(host, &path, &[]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (301, location.as_str())
        );
        assert_eq!(answer.header("cache-control"), "private, no-cache");
    }
    for dest in ["document", "iframe", "embed", "object"] {
        let answer = app
            .at(PARENT, &format!("/ipfs/{cid}"), &[("sec-fetch-dest", dest)])
            .await;
        assert_eq!(answer.status, 301, "{dest}");
    }
}

#[tokio::test]
async fn what_pages_embed_and_what_programs_verify_stays_on_the_path() {
    let app = app();
    let file = app.node.ipfs.file(b"words");
    let blob = app.node.hold_bytes(b"a blob");
    let path = format!("/ipfs/{file}");
    for dest in ["image", "video", "audio", "track", "empty"] {
        let answer = app.at(PARENT, &path, &[("sec-fetch-dest", dest)]).await;
        assert_eq!(answer.status, 200, "{dest}");
    }
    for query in ["?format=raw", "?format=car"] {
        assert_eq!(
            app.at(PARENT, &format!("{path}{query}"), &[]).await.status,
            200
        );
    }
    let raw = [("accept", "application/vnd.ipld.raw")];
    assert_eq!(app.at(PARENT, &path, &raw).await.status, 200);
    assert_eq!(
        app.at(PARENT, &format!("/ipfs/{blob}"), &[]).await.status,
        200
    );
    for host in ["plain.example", "127.0.0.1:8420"] {
        assert_eq!(app.at(host, &path, &[]).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn errors_before_the_redirect_are_text_and_name_the_path() {
    let app = app();
    let answer = app.at(PARENT, "/ipfs/QmInvalidCID", &[]).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert!(
        answer
            .text()
            .contains("invalid path \"/ipfs/QmInvalidCID\""),
        "{}",
        answer.text()
    );
    let long = long_name(b"long");
    let label = format!("{long}.ipfs.{PARENT}");
    for (host, path) in [
        (PARENT, format!("/ipfs/{long}/")),
        (label.as_str(), "/".to_owned()),
    ] {
        let answer = app.at(host, &path, &[]).await;
        assert_eq!(answer.status, 400);
        assert!(
            answer
                .text()
                .contains("CID incompatible with DNS label length limit of 63")
        );
    }
}

#[tokio::test]
async fn a_root_is_served_at_the_top_of_its_origin() {
    let app = app();
    let world = &app.node.ipfs;
    let file = world.file(b"words");
    let script = world.put(name(RAW, b"script"), Thing::File("alert(1)".into()));
    let page = world.put(name(RAW, b"page"), Thing::File("<script src=a.js>".into()));
    let inner = world.directory(&[("bar", file)]);
    let sneaky = world.directory(&[("ipns", inner), ("file.txt", file)]);
    let site = world.directory(&[("index.html", page), ("a.js", script)]);
    let root = world.directory(&[("ipfs", sneaky), ("ą", inner), ("site", site)]);
    let host = format!("{root}.ipfs.{PARENT}");

    let file_host = format!("{file}.ipfs.{PARENT}");
    assert_eq!(app.at(&file_host, "/", &[]).await.text(), "words");
    let nested = app.at(&file_host, &format!("/ipfs/{file}/"), &[]).await;
    assert_eq!(nested.status, 404, "there is no /ipfs/ below a root");
    assert_eq!(app.at(&host, "/ipfs/file.txt", &[]).await.text(), "words");
    assert_eq!(app.at(&host, "/ipfs/ipns/bar", &[]).await.text(), "words");
    let slash = app.at(&host, "/%C4%85", &[]).await;
    assert_eq!(
        (slash.status.as_u16(), slash.header("location")),
        (301, "/%C4%85/")
    );

    let top = app.at(&host, "/", &[]).await.text();
    assert!(
        top.contains("<a href=\"/ipfs\">ipfs</a>") && !top.contains(">..<"),
        "{top}"
    );
    let list = app.at(&host, "/ipfs/ipns/", &[]).await;
    assert!(list.header("x-ipfs-path") == format!("/ipfs/{root}/ipfs/ipns/"));
    let html = list.text();
    let base = format!("//{PARENT}/ipfs/");
    for part in [
        "Index of",
        "<a href=\"/ipfs/ipns/..\">..</a>",
        "<a href=\"/ipfs/ipns/bar\">bar</a>",
        &format!(
            "/ipfs/<a href=\"{base}{root}\">{root}</a>/<a href=\"{base}{root}/ipfs\">ipfs</a>/<a href=\"{base}{root}/ipfs/ipns\">ipns</a>"
        ),
        &format!("<a class=\"ipfs-hash\" translate=\"no\" href=\"{base}{file}?filename=bar\">"),
    ] {
        assert!(html.contains(part), "{part}\n{html}");
    }
    // Here a site may be one.
    let page = app.at(&host, "/site/", &[]).await;
    assert_eq!(page.header("content-type"), "text/html");
    assert_eq!(page.header("content-security-policy"), "");
    assert_eq!(page.header("x-frame-options"), "");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let script = app
        .at(&host, "/site/a.js", &[("service-worker", "script")])
        .await;
    assert_eq!(
        script.header("content-type"),
        "text/javascript; charset=utf-8"
    );
    let head = app.send(asked("HEAD", &host, "/site/a.js", &[])).await;
    assert_eq!((head.header("content-length"), head.body.len()), ("8", 0));
    assert_eq!(
        app.send(asked("OPTIONS", &host, "/", &[])).await.status,
        204
    );
}

#[tokio::test]
async fn nothing_of_this_node_is_on_a_roots_origin() {
    let app = app();
    let root = app.node.ipfs.directory(&[]);
    let host = format!("{root}.ipfs.{PARENT}");
    let token = bearer(TOKEN);
    let headers = [("authorization", token.as_str())];
    for path in [
        "/node",
        "/signin",
        "/api/v1/status",
        "/metrics",
        "/healthz",
        "/assets/style.css",
    ] {
        let answer = app.at(&host, path, &headers).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.header("set-cookie"), "");
    }
    assert_eq!(app.at(&host, "/", &headers).await.status, 200);
    let viewer = *app.node.last_viewer.lock().unwrap();
    assert_eq!(viewer, Some(Viewer::Stranger), "a token is not looked at");
    for method in ["POST", "PUT", "DELETE"] {
        let answer = app
            .send(asked(method, &host, "/api/v1/posts", &headers))
            .await;
        assert_eq!(answer.status, 405, "{method}");
    }
    assert_eq!(app.node.writes.load(std::sync::atomic::Ordering::SeqCst), 0);
    let origin = format!("http://{host}");
    let write = [
        ("origin", origin.as_str()),
        ("content-type", "application/json"),
    ];
    let answer = app
        .send(asked("POST", PARENT, "/api/v1/posts", &write))
        .await;
    assert_eq!(
        answer.status, 403,
        "its scripts may not write elsewhere either"
    );
}

#[tokio::test]
async fn hosts_that_are_none_of_ours_are_refused_with_any_label() {
    let app = app();
    let cid = app.node.ipfs.file(b"words");
    let refused = [
        format!("{cid}.ipfs.evil.example"),
        format!("{cid}.ipfs.localhost"),
        format!("{cid}.ipfs.localhost:8421"),
        format!("{cid}.ipfs.plain.example"),
        format!("{cid}.ipfs.127.0.0.1:8420"),
        format!("{cid}.ipfs.localhost:8420.evil.example"),
        format!("a.{cid}.ipfs.{PARENT}"),
        format!("{cid}.ipns.{PARENT}"),
        format!(".ipfs.{PARENT}"),
        format!("ipfs.{PARENT}"),
    ];
    for host in refused {
        assert_eq!(app.at(&host, "/", &[]).await.status, 421, "{host}");
    }
    let bad = app.at(&format!("nonsense.ipfs.{PARENT}"), "/", &[]).await;
    assert_eq!(bad.status, 400);
    let forwarded = [("x-forwarded-host", PARENT)];
    let path = format!("/ipfs/{cid}");
    assert_eq!(app.at("evil.example", &path, &forwarded).await.status, 421);
    let served = app.at("plain.example", &path, &forwarded).await;
    assert_eq!(
        served.status, 200,
        "a stranger's X-Forwarded-Host counts for nothing"
    );
}

#[tokio::test]
async fn a_trusted_proxy_says_host_and_scheme() {
    let app = app();
    let cid = app.node.ipfs.file(b"words");
    let table = [("https", "https"), ("http", "http")];
    for (proto, scheme) in table {
        let headers = [
            ("x-forwarded-host", "web.example"),
            ("x-forwarded-proto", proto),
        ];
        let mut request = asked("GET", "inside:1", &format!("/ipfs/{cid}"), &headers);
        let proxy = ClientAddr("10.0.0.1:5000".parse().unwrap());
        request.extensions_mut().insert(proxy);
        let answer = app.send(request).await;
        assert_eq!(
            answer.header("location"),
            format!("{scheme}://{cid}.ipfs.web.example/")
        );
    }
}

#[tokio::test]
async fn http_2_names_the_root_in_its_authority() {
    let app = app();
    let cid = app.node.ipfs.file(b"words");
    let request = Request::builder()
        .version(Version::HTTP_2)
        .uri(format!("https://{cid}.ipfs.{PARENT}/"));
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.text(), "words");
    // One root has one origin: other spellings of it lead there.
    let upper = cid
        .to_string_of_base(cid::multibase::Base::Base36Lower)
        .unwrap();
    let answer = app.at(&format!("{upper}.ipfs.{PARENT}"), "/a?b", &[]).await;
    assert_eq!(
        answer.header("location"),
        format!("http://{cid}.ipfs.{PARENT}/a?b")
    );
}
