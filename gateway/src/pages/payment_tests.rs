//! Pages and forms of paid votes, over a node of one thread.
#![allow(clippy::unwrap_used)]

use http::StatusCode;

use super::{
    fake_node::{FakeNode, entry, space},
    swarm_tests::notice,
    tests::App,
};

fn app() -> App {
    App::new(FakeNode::default())
}

fn hostile(body: &str) -> bool {
    [
        "<script>x",
        "<b>Payer",
        "<i>",
        "<b>three",
        "<b>here",
        "style=\"",
    ]
    .iter()
    .any(|bad| body.contains(bad))
}

#[tokio::test]
async fn what_belongs_to_the_payer_is_the_owners() {
    let app = app();
    let (post, awaited) = (entry(2), entry(6));
    for path in [
        "/payments".to_owned(),
        format!("/pay/{post}"),
        "/settings".to_owned(),
    ] {
        let answer = app.get(&path).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        let page = app.get_signed_in(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(!hostile(&page.body), "{path}: {}", page.body);
    }
    let unknown = app.get(&format!("/payment/{awaited}")).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let own = app.get_signed_in(&format!("/payment/{awaited}")).await;
    assert_eq!(own.status, StatusCode::OK);
    assert!(own.body.contains("href=\"bitcoin:bcrt1pexample"));
    assert!(own.body.contains("<svg class=\"qr\"") && !hostile(&own.body));
}

#[tokio::test]
async fn strangers_see_what_is_proved_without_addresses() {
    let app = app();
    for path in [
        format!("/payment/{}", entry(7)),
        format!("/payments/{}", entry(2)),
        "/chain".to_owned(),
    ] {
        let answer = app.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        for secret in [
            "bitcoin:",
            "bcrt1pexample",
            "class=\"qr\"",
            "name=\"csrf\"",
            "changed",
            "no route",
        ] {
            assert!(!answer.body.contains(secret), "{path} tells {secret}");
        }
        assert!(!hostile(&answer.body), "{path}");
        let owners = app.get_signed_in(&path).await;
        assert_eq!(owners.status, StatusCode::OK, "{path}");
        assert!(!hostile(&owners.body), "{path}");
    }
    let list = app.get(&format!("/payments/{}", entry(2))).await;
    assert!(list.body.contains("2,100") && list.body.contains("Because &#60;script&#62;"));
    let chain = app.get_signed_in("/chain").await;
    assert!(chain.body.contains("no route") && chain.body.contains("aria-current=\"page\">Chain"));
}

#[tokio::test]
async fn a_dialog_votes_and_leads_to_how_to_pay() {
    let app = app();
    let path = format!("/pay/{}", entry(2));
    let dialog = app
        .get_signed_in(&format!("{path}?to=board&sats=500"))
        .await;
    assert!(dialog.body.contains("value=\"500\""));
    assert!(dialog.body.contains("<option value=\"board\" selected>"));
    let paid = app.form(&path, "sats=2100&to=board&dir=-1").await;
    assert_eq!(paid.status, StatusCode::SEE_OTHER, "{}", paid.body);
    assert_eq!(paid.location(), format!("/payment/{}", entry(6)));
    assert_eq!(app.written(), ["pay -1 2100 board anyway=false"]);
}

#[tokio::test]
async fn a_refused_amount_keeps_what_was_typed() {
    let app = app();
    let path = format!("/pay/{}", entry(2));
    for sats in ["", "0", "-5", "1.5", "much", "2100000000000001"] {
        let answer = app.form(&path, &format!("sats={sats}&to=board")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{sats}");
        assert!(answer.body.contains("Not asked for."), "{sats}");
        assert!(answer.body.contains(&format!("value=\"{sats}\"")), "{sats}");
        assert!(answer.body.contains("<option value=\"board\" selected>"));
    }
    let answer = app.form(&path, "sats=5&to=everybody").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(app.written().is_empty());
}

#[tokio::test]
async fn forms_of_a_payment_do_what_they_say() {
    let app = app();
    let vote = entry(6);
    let table = [
        (
            format!("/payment/{vote}/anyway"),
            "",
            format!("anyway {vote}"),
            format!("/payment/{vote}"),
        ),
        (
            format!("/payment/{vote}/forget"),
            "",
            format!("forget {vote}"),
            "/payments".to_owned(),
        ),
        (
            format!("/payment/{vote}/transaction"),
            "transaction=+0aFF%0A",
            "transaction 0aFF".to_owned(),
            format!("/payment/{vote}"),
        ),
        (
            "/settings/payment-key".to_owned(),
            "key=&address=&off=1",
            "key  off=true".to_owned(),
            "/settings#payments".to_owned(),
        ),
    ];
    for (path, fields, written, leads_to) in table {
        let answer = app.form(&path, fields).await;
        assert_eq!(
            answer.status,
            StatusCode::SEE_OTHER,
            "{path}: {}",
            answer.body
        );
        assert_eq!(answer.location(), leads_to, "{path}");
        assert_eq!(app.written().pop(), Some(written), "{path}");
    }
    let key = "cd".repeat(32);
    app.form("/settings/payment-key", &format!("key={key}&address="))
        .await;
    assert_eq!(app.written().pop(), Some(format!("key {key} off=false")));
}

#[tokio::test]
async fn a_transaction_that_pays_nothing_leads_back_with_a_notice() {
    let app = app();
    let path = format!("/payment/{}", entry(6));
    let answer = app
        .form(&format!("{path}/transaction"), "transaction=00")
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(answer.location(), path);
    assert_eq!(notice(&answer), "There is no such entry here.");
}

#[tokio::test]
async fn what_is_not_paid_is_folded_in_lists_and_not_in_feeds() {
    let app = app();
    for path in ["/".to_owned(), format!("/s/{}", space())] {
        let list = app.get(&path).await.body;
        assert!(
            list.contains("Not paid yet: 500 sats to post here"),
            "{path}"
        );
        assert!(!list.contains("Buy this"), "{path}");
    }
    let feed = app.get("/feed.xml").await.body;
    assert!(feed.contains(&entry(1).to_string()) && !feed.contains(&entry(3).to_string()));
}

#[tokio::test]
async fn what_is_no_transaction_and_no_key_is_refused() {
    let app = app();
    let vote = entry(6);
    for hex in ["", "0", "xy", "00 00"] {
        let path = format!("/payment/{vote}/transaction");
        let answer = app.form(&path, &format!("transaction={hex}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{hex}");
    }
    for key in ["", "cd", &"zz".repeat(32), &"cd".repeat(34)] {
        let answer = app
            .form("/settings/payment-key", &format!("key={key}"))
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{key}");
    }
    assert!(app.written().is_empty());
}

#[tokio::test]
async fn writes_without_the_token_of_the_page_change_nothing() {
    let app = app();
    let vote = entry(6);
    for path in [
        format!("/pay/{}", entry(2)),
        format!("/payment/{vote}/anyway"),
        format!("/payment/{vote}/forget"),
        format!("/payment/{vote}/transaction"),
        "/payments/batch".to_owned(),
        "/settings/payment-key".to_owned(),
    ] {
        let answer = app.form_without_token(&path, "sats=5&transaction=00").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert!(app.written().is_empty());
}

#[tokio::test]
async fn a_batch_is_the_answer_to_its_form() {
    let app = app();
    let page = app.form("/payments/batch", "max_votes=7").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("cHNidP8=") && page.body.contains("bcrt1pexample"));
    assert!(!hostile(&page.body));
    assert_eq!(app.written(), ["batch Some(7)"]);
    let refused = app.form("/payments/batch", "max_votes=many").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_board_may_be_made_with_a_price() {
    let app = app();
    let make = |price: &'static str| {
        let fields = [
            ("csrf", app.csrf.clone()),
            ("title", "Dear".to_owned()),
            ("price_sats", price.to_owned()),
        ];
        let app = &app;
        async move {
            let fields: Vec<(&str, &str)> = fields
                .iter()
                .map(|(name, text)| (*name, text.as_str()))
                .collect();
            app.multipart("/space/new", &fields).await
        }
    };
    assert_eq!(make("500").await.location(), format!("/s/{}", space()));
    make("").await;
    assert_eq!(app.written(), ["space Dear open 500", "space Dear open"]);
    for price in ["0", "-1", "free", "2100000000000001"] {
        assert_eq!(make(price).await.status, StatusCode::BAD_REQUEST, "{price}");
    }
}
