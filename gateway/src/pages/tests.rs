//! Routing, escaping, CSRF and redirects of the pages, over a node of one thread.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::fake_node::{FakeNode, entry, owner, space};
use crate::{auth::Session, gate::Gate, metrics::Metrics, settings::Settings};

const HOST: &str = "127.0.0.1:8420";
const ORIGIN: &str = "http://127.0.0.1:8420";
const BOUNDARY: &str = "----boundary";

pub(super) struct App {
    router: Router,
    node: Arc<FakeNode>,
    cookie: String,
    pub csrf: String,
}

pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub(super) fn location(&self) -> &str {
        self.headers
            .get(header::LOCATION)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl App {
    pub(super) fn new(node: FakeNode) -> Self {
        let settings = Settings::new(HOST.parse().unwrap(), "token");
        let node = Arc::new(node);
        let (router, gate) = crate::router(node.clone(), settings, Metrics::new());
        let (cookie, session) = sign_in(&gate);
        Self {
            router,
            node,
            cookie,
            csrf: session.csrf().to_owned(),
        }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (head, body) = self
            .router
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(
            Request::get(path)
                .header(header::HOST, HOST)
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    pub(super) async fn get_signed_in(&self, path: &str) -> Answer {
        let request = Request::get(path)
            .header(header::HOST, HOST)
            .header(header::COOKIE, &self.cookie);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    fn post(&self, path: &str, kind: &str, body: String) -> Request<Body> {
        Request::post(path)
            .header(header::HOST, HOST)
            .header(header::ORIGIN, ORIGIN)
            .header(header::COOKIE, &self.cookie)
            .header(header::CONTENT_TYPE, kind)
            .header(header::CONTENT_LENGTH, body.len())
            .body(Body::from(body))
            .unwrap()
    }

    /// A small form, as a browser without scripts sends it.
    pub(super) async fn form(&self, path: &str, fields: &str) -> Answer {
        let body = format!("csrf={}&{fields}", self.csrf);
        self.send(self.post(path, "application/x-www-form-urlencoded", body))
            .await
    }

    /// A small form of another site's making.
    pub(super) async fn form_without_token(&self, path: &str, fields: &str) -> Answer {
        let kind = "application/x-www-form-urlencoded";
        self.send(self.post(path, kind, fields.to_owned())).await
    }

    /// A form with files: `(name, text)`, or `(name@file name, content)`.
    pub(super) async fn multipart(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = multipart(fields);
        self.send(self.post(
            path,
            &format!("multipart/form-data; boundary={BOUNDARY}"),
            body,
        ))
        .await
    }

    pub(super) fn written(&self) -> Vec<String> {
        self.node.written.lock().unwrap().clone()
    }
}

fn sign_in(gate: &Gate) -> (String, Session) {
    let once = gate.auth().new_once();
    let cookie = gate.auth().sign_in(&once, false).unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, cookie.parse().unwrap());
    let session = gate.auth().session(&headers).unwrap();
    (cookie, session)
}

fn multipart(fields: &[(&str, &str)]) -> String {
    let mut body = String::new();
    for (name, text) in fields {
        let head = match name.split_once('@') {
            Some((name, file)) => {
                format!("name=\"{name}\"; filename=\"{file}\"\r\nContent-Type: text/plain")
            }
            None => format!("name=\"{name}\""),
        };
        body.push_str(&format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n"
        ));
    }
    body.push_str(&format!("--{BOUNDARY}--\r\n"));
    body
}

/// Every page, for a stranger and for the owner.
fn pages() -> Vec<String> {
    let (space, identity) = (space(), owner());
    vec![
        "/".to_owned(),
        "/?sort=new&after=a%20b".to_owned(),
        format!("/s/{space}"),
        format!("/t/{}", entry(1)),
        format!("/@{identity}"),
        "/node".to_owned(),
        "/signin".to_owned(),
    ]
}

fn owners_pages() -> Vec<String> {
    vec![
        "/settings".to_owned(),
        "/compose".to_owned(),
        format!("/compose?reply={}", entry(2)),
        format!("/report?on={}", entry(2)),
        format!("/mark?on={}", entry(2)),
    ]
}

#[tokio::test]
async fn pages_are_html_and_escape_what_strangers_wrote() {
    let app = App::new(FakeNode::default());
    for path in pages().into_iter().chain(owners_pages()) {
        for answer in [app.get(&path).await, app.get_signed_in(&path).await] {
            assert!(
                answer.headers[header::CONTENT_TYPE]
                    .to_str()
                    .unwrap()
                    .starts_with("text/html"),
                "{path}"
            );
            for bad in [
                "<script>",
                "<img src=x",
                "<b>Mei",
                "href=\"javascript:",
                "<forest>",
                "\u{202E}",
                " onload=\"",
                "style=\"",
            ] {
                // One's own name stands in its field as it is.
                let own = path == "/settings" && bad == "\u{202E}";
                assert!(own || !answer.body.contains(bad), "{path} has {bad}");
            }
            assert_eq!(
                answer.body.matches("<script").count(),
                1,
                "{path}: only the page's own script"
            );
        }
        assert_eq!(
            app.get_signed_in(&path).await.status,
            StatusCode::OK,
            "{path}"
        );
    }
}

#[tokio::test]
async fn strangers_read_and_are_told_how_to_sign_in() {
    let app = App::new(FakeNode::default());
    for path in pages() {
        let answer = app.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(
            !answer.body.contains("name=\"csrf\""),
            "{path} has forms for strangers"
        );
    }
    for path in owners_pages() {
        let answer = app.get(&path).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(answer.body.contains("datt signin"), "{path}");
    }
}

#[tokio::test]
async fn what_is_missing_or_malformed_is_a_page_that_says_so() {
    let app = App::new(FakeNode::default());
    let table = [
        ("/t/nonsense", StatusCode::BAD_REQUEST, "nonsense"),
        (
            "/s/%3Cscript%3E",
            StatusCode::BAD_REQUEST,
            "&#60;script&#62;",
        ),
        ("/@nobody", StatusCode::BAD_REQUEST, "nobody"),
        ("/favicon.ico", StatusCode::NOT_FOUND, "favicon.ico"),
        ("/assets/other.css", StatusCode::NOT_FOUND, "other.css"),
    ];
    for (path, status, words) in table {
        let answer = app.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.body.contains(words), "{path}: {}", answer.body);
    }
    let missing = app.get(&format!("/t/{}", entry(77))).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(missing.body.contains("There is no such entry here."));
}

#[tokio::test]
async fn permalinks_lead_into_the_thread() {
    let app = App::new(FakeNode::default());
    let (root, reply) = (entry(1), entry(2));
    assert_eq!(
        app.get(&format!("/p/{root}")).await.location(),
        format!("/t/{root}")
    );
    assert_eq!(
        app.get(&format!("/p/{reply}")).await.location(),
        format!("/t/{root}#{reply}")
    );
    assert_eq!(
        app.get(&format!("/t/{reply}")).await.location(),
        format!("/p/{reply}")
    );
}

#[tokio::test]
async fn small_forms_do_what_they_say_and_lead_back() {
    let app = App::new(FakeNode::default());
    let (post, person) = (entry(2), owner());
    let table = [
        (
            "/vote",
            format!("up={post}&back=/t/x"),
            "vote 1",
            format!("/t/x#{post}"),
        ),
        (
            "/vote",
            format!("down={post}&back=//evil.example"),
            "vote -1",
            format!("/p/{post}#{post}"),
        ),
        (
            "/vote",
            format!("on={post}&dir=0"),
            "vote 0",
            format!("/p/{post}#{post}"),
        ),
        (
            "/pin",
            "pin=x&media=thumbs".to_owned(),
            "pin x",
            "/node#pins".to_owned(),
        ),
        (
            "/pin",
            "unpin=x&back=/t/y".to_owned(),
            "unpin x",
            "/t/y".to_owned(),
        ),
        (
            "/follow",
            format!("follow={person}"),
            "follow true",
            format!("/@{person}"),
        ),
        (
            "/follow",
            format!("unfollow={person}"),
            "follow false",
            format!("/@{person}"),
        ),
        (
            "/mark",
            format!("on={post}&act=hide&why=spam"),
            "mark hide off=false",
            format!("/p/{post}"),
        ),
        (
            "/mark",
            format!("on={post}&undo=lock"),
            "mark lock off=true",
            format!("/p/{post}"),
        ),
        (
            "/report",
            format!("on={post}&why=rude"),
            "report rude",
            format!("/p/{post}"),
        ),
        (
            "/join",
            "target=dattabc".to_owned(),
            "join dattabc",
            format!("/s/{}", space()),
        ),
    ];
    for (path, fields, written, location) in table {
        let answer = app.form(path, &fields).await;
        assert_eq!(
            answer.status,
            StatusCode::SEE_OTHER,
            "{path} {fields}: {}",
            answer.body
        );
        assert_eq!(answer.location(), location, "{path} {fields}");
        assert_eq!(app.written().last().unwrap(), written, "{path} {fields}");
    }
}

#[tokio::test]
async fn nothing_is_written_without_session_and_token() {
    let mut app = App::new(FakeNode::default());
    let right = std::mem::replace(&mut app.csrf, "0".repeat(64));
    let post = entry(2);
    for (path, fields) in [
        ("/vote", format!("up={post}")),
        ("/pin", "pin=x".to_owned()),
        ("/report", format!("on={post}&why=x")),
    ] {
        assert_eq!(
            app.form(path, &fields).await.status,
            StatusCode::FORBIDDEN,
            "{path}"
        );
    }
    let wrong = app.csrf.clone();
    let forms: [&[(&str, &str)]; 3] = [
        &[("csrf", &wrong), ("file@a.txt", "abc"), ("title", "x")],
        &[("file@a.txt", "abc"), ("csrf", &right)],
        &[("title", "x")],
    ];
    for path in ["/post", "/edit", "/upload", "/settings", "/space/new"] {
        for form in forms {
            let answer = app.multipart(path, form).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {form:?}");
        }
    }
    assert!(app.written().is_empty(), "{:?}", app.written());
    app.csrf = right;
    app.cookie = "datt-session-8420=0".to_owned();
    assert_eq!(
        app.form("/vote", &format!("up={post}")).await.status,
        StatusCode::UNAUTHORIZED
    );
    let csrf = app.csrf.clone();
    assert_eq!(
        app.multipart("/post", &[("csrf", &csrf)]).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert!(app.written().is_empty());
}

#[tokio::test]
async fn a_post_with_files_is_imported_published_and_shown() {
    let app = App::new(FakeNode::default());
    let (csrf, space) = (app.csrf.as_str(), space().to_string());
    let answer = app
        .multipart(
            "/post",
            &[
                ("csrf", csrf),
                ("space", &space),
                ("title", " Rain "),
                ("body", "one\r\ntwo\r\n"),
                ("file@C:\\sounds\\rain.txt", "drip drop"),
                ("alt", "Rain on tin"),
                ("file@", ""),
                ("alt", "of nothing"),
                ("go", "1"),
            ],
        )
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(answer.location(), format!("/t/{}", entry(1)));
    assert_eq!(
        app.written(),
        [
            "blob rain.txt 9",
            "post \"Rain\" \"one\\ntwo\" [\"rain.txt:Rain on tin\"]"
        ]
    );
    let note = answer.headers[header::SET_COOKIE]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    let request = Request::get(answer.location())
        .header(header::HOST, HOST)
        .header(header::COOKIE, note);
    let shown = app.send(request.body(Body::empty()).unwrap()).await;
    assert!(shown.body.contains("keep this node running") && shown.body.contains("no thumbnail"));
    assert!(
        shown.headers[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age=0"),
        "shown once only"
    );
}

#[tokio::test]
async fn a_reply_leads_to_its_place_and_scripts_get_json() {
    let app = App::new(FakeNode::default());
    let (csrf, parent) = (app.csrf.clone(), entry(2).to_string());
    let fields = [
        ("csrf", csrf.as_str()),
        ("reply_to", parent.as_str()),
        ("body", "Yes"),
    ];
    let answer = app.multipart("/post", &fields).await;
    assert_eq!(answer.location(), format!("/t/{}#{}", entry(1), entry(5)));
    let mut request = app.post(
        "/post",
        &format!("multipart/form-data; boundary={BOUNDARY}"),
        multipart(&fields),
    );
    request
        .headers_mut()
        .insert(header::ACCEPT, "application/json".parse().unwrap());
    let answer = app.send(request).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(
        answer.body.contains(&entry(5).to_string()) && answer.body.starts_with('{'),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_refused_post_keeps_everything_that_was_typed() {
    let app = App::new(FakeNode {
        full: true,
        ..FakeNode::default()
    });
    let (csrf, space) = (app.csrf.as_str(), space().to_string());
    let fields = [
        ("csrf", csrf),
        ("space", space.as_str()),
        ("title", "Rain \"<"),
        ("body", "two hours"),
        ("file@rain.txt", "drip"),
    ];
    let answer = app.multipart("/post", &fields).await;
    assert_eq!(answer.status, StatusCode::INSUFFICIENT_STORAGE);
    for kept in ["Rain &#34;&#60;", "two hours", "storage.max_bytes"] {
        assert!(
            answer.body.contains(kept),
            "{kept} is missing: {}",
            answer.body
        );
    }
    assert!(app.written().is_empty());
    let long = "x".repeat(40_000);
    let answer = app
        .multipart(
            "/post",
            &[
                ("csrf", csrf),
                ("space", &space),
                ("title", "t"),
                ("body", &long),
            ],
        )
        .await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(
        answer.body.contains(&long),
        "the text is still there to be shortened"
    );
    let huge = "x".repeat(80_000);
    let answer = app
        .multipart("/post", &[("csrf", csrf), ("body", &huge)])
        .await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_preview_publishes_nothing_and_keeps_the_files() {
    let app = App::new(FakeNode::default());
    let (csrf, space) = (app.csrf.as_str(), space().to_string());
    let fields = [
        ("csrf", csrf),
        ("space", space.as_str()),
        ("title", "Rain"),
        ("body", "**loud**"),
        ("file@rain.txt", "drip"),
        ("preview", "1"),
    ];
    let answer = app.multipart("/post", &fields).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(
        answer.body.contains("<strong>loud</strong>") && answer.body.contains("name=\"media\"")
    );
    assert_eq!(app.written(), ["blob rain.txt 4"]);
}

#[tokio::test]
async fn a_script_uploads_with_its_token_in_a_header() {
    let app = App::new(FakeNode::default());
    let upload = |token: &str| {
        let mut request = app.post(
            "/upload?name=a%2Fb.txt",
            "application/octet-stream",
            "abc".to_owned(),
        );
        request
            .headers_mut()
            .insert("x-csrf-token", token.parse().unwrap());
        request
            .headers_mut()
            .insert(header::ACCEPT, "application/json".parse().unwrap());
        request
    };
    assert_eq!(
        app.send(upload("wrong")).await.status,
        StatusCode::FORBIDDEN
    );
    let answer = app.send(upload(&app.csrf)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains("\"size_bytes\":3"), "{}", answer.body);
    assert_eq!(app.written(), ["blob b.txt 3"]);
    let mut large = upload(&app.csrf);
    large
        .headers_mut()
        .insert(header::CONTENT_LENGTH, "2000000".parse().unwrap());
    let answer = app.send(large).await;
    assert_eq!(
        answer.status,
        StatusCode::INSUFFICIENT_STORAGE,
        "refused by its announced length"
    );
    assert!(answer.body.starts_with('{'), "{}", answer.body);
}

#[tokio::test]
async fn settings_are_saved() {
    let app = App::new(FakeNode::default());
    let csrf = app.csrf.as_str();
    let answer = app
        .multipart(
            "/settings",
            &[
                ("csrf", csrf),
                ("name", "Mei"),
                ("about", ""),
                ("avatar@me.png", "png"),
            ],
        )
        .await;
    assert_eq!(answer.location(), "/settings");
    let answer = app
        .multipart(
            "/space/new",
            &[("csrf", csrf), ("title", "Trains"), ("policy", "members")],
        )
        .await;
    assert_eq!(answer.location(), format!("/s/{}", space()));
    let written = app.written();
    assert_eq!(
        written[1..],
        [
            "profile Some(\"Mei\") avatar=true".to_owned(),
            "space Trains members".to_owned()
        ]
    );
    let answer = app.form("/theme", "theme=dark&back=/").await;
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("theme=dark;"), "{cookie}");
    let request = Request::get("/")
        .header(header::HOST, HOST)
        .header(header::COOKIE, "theme=dark");
    assert!(
        app.send(request.body(Body::empty()).unwrap())
            .await
            .body
            .contains("data-theme=\"dark\"")
    );
}

#[tokio::test]
async fn feeds_and_assets() {
    let app = App::new(FakeNode::default());
    for path in ["/feed.xml".to_owned(), format!("/s/{}/feed.xml", space())] {
        let feed = app.get(&path).await;
        assert_eq!(
            feed.headers[header::CONTENT_TYPE],
            "application/atom+xml; charset=utf-8"
        );
        assert!(
            feed.body.contains("&#60;script&#62;")
                && feed.body.contains(&format!("{ORIGIN}/t/{}", entry(1)))
        );
    }
    for name in ["style.css", "app.js", "live.js", "logo.svg"] {
        let asset = app.get(&format!("/assets/{name}")).await;
        assert_eq!(asset.status, StatusCode::OK);
        assert!(
            asset.headers[header::CACHE_CONTROL]
                .to_str()
                .unwrap()
                .contains("immutable")
        );
    }
    assert!(
        super::assets::SCRIPT.len() < 15_000,
        "the script stays small"
    );
}
