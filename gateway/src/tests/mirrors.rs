//! The API of mirrors.

use model::EntryId;

use super::{App, write};

#[tokio::test]
async fn the_state_of_a_mirror_has_the_words_of_the_configuration() {
    let app = App::new();
    let state = app.send(write("GET", "/api/v1/mirror", "")).await.json();
    assert_eq!(state["rules"][0]["match"], "popular");
}

#[tokio::test]
async fn audits_are_bounded_and_past_ones_listed() {
    let app = App::new();
    let path = "/api/v1/mirror/audit";
    for body in [
        r#"{"challenges": 4000000000}"#,
        r#"{"challenges": 0}"#,
        "{}",
    ] {
        assert_eq!(app.send(write("POST", path, body)).await.status, 200);
    }
    assert_eq!(
        *app.node.swarm.asked.lock().unwrap(),
        ["audit Some(256)", "audit Some(1)", "audit None"]
    );
    let past = app.send(write("GET", path, "")).await.json();
    assert_eq!(past.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_refusal_of_a_mirror_is_an_answer() {
    let app = App::new();
    let id = EntryId::of(b"a thread").to_string();
    let path = "/api/v1/mirror/requests";
    let body = format!(r#"{{"mirror": "dattx", "id": "{id}", "media": "thumbs"}}"#);
    let answer = app.send(write("POST", path, &body)).await;
    assert_eq!(answer.status, 200);
    let said = answer.json();
    assert_eq!(
        (&said["accepted"], &said["left_bytes"]),
        (&false.into(), &5.into())
    );
    let release = format!("{path}?mirror=dattx&id={id}");
    assert_eq!(app.send(write("DELETE", &release, "")).await.status, 200);
    assert_eq!(
        *app.node.swarm.asked.lock().unwrap(),
        [
            format!("ask dattx for {id}"),
            format!("release {id} at dattx")
        ]
    );
}

#[tokio::test]
async fn requests_that_name_no_mirror_or_nothing_are_refused() {
    let app = App::new();
    let id = EntryId::of(b"a thread").to_string();
    let path = "/api/v1/mirror/requests";
    for body in [
        format!(r#"{{"mirror": "", "id": "{id}"}}"#),
        format!(r#"{{"mirror": "{}", "id": "{id}"}}"#, "d".repeat(5_000)),
        r#"{"mirror": "dattx", "id": "nothing"}"#.to_owned(),
    ] {
        let answer = app.send(write("POST", path, &body)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (400, "invalid")
        );
    }
    assert!(app.node.swarm.asked.lock().unwrap().is_empty());
}
