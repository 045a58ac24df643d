//! Pages and forms of swarms and mirrors, over a node of one thread.
#![allow(clippy::unwrap_used)]

use data_encoding::BASE64URL_NOPAD;
use http::{StatusCode, header};
use model::{BlobId, EntryId};

use super::{
    fake_node::FakeNode,
    tests::{Answer, App},
};

fn app() -> App {
    App::new(FakeNode::default())
}

/// The notice that a redirect carries.
pub(super) fn notice(answer: &Answer) -> String {
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    let value = cookie.split(['=', ';']).nth(1).unwrap();
    String::from_utf8(BASE64URL_NOPAD.decode(value.as_bytes()).unwrap()).unwrap()
}

#[tokio::test]
async fn the_pages_of_the_operator_are_the_owners() {
    let app = app();
    for (path, words) in [
        ("/operator", "Traffic by network"),
        ("/pins", "Asked of mirrors"),
        ("/torrents", "&#60;b&#62;clip&#60;/b&#62;.webm"),
    ] {
        assert_eq!(
            app.get(path).await.status,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
        let page = app.get_signed_in(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.body.contains(words), "{path}");
        assert!(page.body.contains("aria-current=\"page\">"), "{path}");
        assert!(
            page.body.contains("name=\"robots\" content=\"noindex\""),
            "{path}"
        );
    }
}

#[tokio::test]
async fn sources_are_drawn_for_everybody_and_named_for_the_owner() {
    let app = app();
    let path = format!("/sources/{}", BlobId::of(b"a file"));
    let page = app.get(&path).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("class=\"sources live\"") && page.body.contains("s-swarm"));
    assert!(page.body.contains("a peer") && page.body.contains("7 MiB from 1 source"));
    let page = app.get_signed_in(&path).await;
    assert!(page.body.contains("192.0.2.7:6881&#60;i&#62;"));
    assert_eq!(
        app.get("/sources/nothing").await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn publicity_is_set_by_a_form_that_leads_back() {
    let app = app();
    let blob = BlobId::of(b"a file");
    let fields = format!("blob={blob}&publicity=swarm&back=/t/x");
    let answer = app.form("/publicity", &fields).await;
    assert_eq!(
        (answer.status, answer.location()),
        (StatusCode::SEE_OTHER, "/t/x")
    );
    assert_eq!(notice(&answer), "Who may carry it: BitTorrent too.");
    assert_eq!(app.written(), [format!("publicity {blob} swarm")]);
    for bad in [
        format!("blob={blob}&publicity=world"),
        format!("blob={blob}&publicity="),
        "blob=x&publicity=peers".to_owned(),
    ] {
        let answer = app.form("/publicity", &bad).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    assert_eq!(app.written().len(), 1);
}

#[tokio::test]
async fn mirrors_are_asked_and_their_answer_is_shown_as_it_is() {
    let app = app();
    let id = EntryId::of(b"a thread");
    let answer = app
        .form(
            "/pins/ask",
            &format!("mirror=+dattx&id={id}&media=thumbs&max_mib=3"),
        )
        .await;
    assert_eq!(answer.location(), "/pins#asked");
    assert_eq!(notice(&answer), "The mirror refused: no room⟨U+202E⟩ left.");
    app.form("/pins/ask", &format!("mirror=dattx&id={id}&max_mib="))
        .await;
    let answer = app
        .form("/pins/release", &format!("mirror=dattx&id={id}"))
        .await;
    assert_eq!(notice(&answer), "Taken back: the mirror may drop it.");
    assert_eq!(
        app.written(),
        [
            format!("ask dattx {id} thumbs Some(3145728)"),
            format!("ask dattx {id} all None"),
            format!("release dattx {id}"),
        ]
    );
    for limit in ["0", "-1", "much", "99999999999999999999"] {
        let fields = format!("mirror=dattx&id={id}&max_mib={limit}");
        assert_eq!(
            app.form("/pins/ask", &fields).await.status,
            StatusCode::BAD_REQUEST,
            "{limit}"
        );
    }
}

#[tokio::test]
async fn an_audit_by_form_says_what_came_of_it() {
    let app = app();
    let answer = app.form("/operator/audit", "").await;
    assert_eq!(answer.location(), "/operator#audits");
    assert_eq!(notice(&answer), "2 mirrors answered 58 of 60 challenges.");
}

#[tokio::test]
async fn each_upload_of_a_post_says_who_may_carry_it() {
    let app = app();
    let fields = [
        ("csrf", app.csrf.as_str()),
        ("space", &super::fake_node::space().to_string()),
        ("title", "Three files"),
        ("file@a.txt", "one"),
        ("publicity", "swarm"),
        ("alt", "the first"),
        ("file@b.txt", "two"),
        ("publicity", ""),
        ("alt", ""),
        ("file@c.txt", "three"),
        ("file@d.txt", "four"),
        ("publicity", "gateway"),
        ("alt", "the last two"),
    ]
    .map(|(name, text)| (name, text.to_owned()));
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let answer = app.multipart("/post", &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let post = app.written().pop().unwrap();
    for file in [
        "a.txt:the first:swarm",
        "b.txt:-\"",
        "c.txt:the last two:gateway",
        "d.txt:the last two:gateway",
    ] {
        assert!(post.contains(file), "{file} is not in {post}");
    }
    let mut wrong = fields.clone();
    wrong[4].1 = "everybody";
    let answer = app.multipart("/post", &wrong).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}
