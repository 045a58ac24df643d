//! What people do with their browser, with JavaScript and without.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::scene::{
    Scene, board, fixtures, held_by, holds, join, post, reply, shows, text, thread, thread_with,
};
use crate::webdriver::Browser;

/// Something that only a script adds to a page.
const ADDED_BY_SCRIPT: &str = "button.theme";

/// Signs in with a fresh link and waits for the page behind it.
async fn sign_in(browser: &Browser, node: &crate::node::Node) -> Result<()> {
    let link = node
        .client()?
        .send_json("POST", "/api/v1/signin", &json!({}))?;
    browser.goto(&text(&link, "url")?).await?;
    browser.find(".me a.self").await?;
    Ok(())
}

/// Presses play and waits until the picture or sound moves.
async fn plays(browser: &Browser, css: &str) -> Result<()> {
    browser
        .until("the player has loaded", async || {
            Ok(browser.number(css, "readyState").await? >= 1.0)
        })
        .await?;
    // the space bar plays and pauses, as a keyboard user does it
    browser.type_into(css, " ").await?;
    let from = browser.number(css, "currentTime").await?;
    browser
        .until("the player moves", async || {
            Ok(browser.number(css, "currentTime").await? > from + 0.3)
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_one_reads_plays_signs_in_replies_and_votes() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let media = fixtures()?;
    let (thread, _) = thread_with(&a, &board, "A film", &[&media.webm, &media.flac])?;
    reply(&a, &thread, "*Nice* film.")?;

    let browser = Browser::without_scripts().await?;
    browser.goto(&a.url).await?;
    ensure!(
        browser.text(".threads h2 a").await? == "A film",
        "the front page lists the thread"
    );
    ensure!(
        browser.count(".threads .thumb img").await? == 1,
        "with its thumbnail"
    );
    browser.click(".threads h2 a").await?;
    ensure!(
        browser.text("article.op h1").await? == "A film",
        "the thread page"
    );
    ensure!(browser.count(ADDED_BY_SCRIPT).await? == 0, "scripts run");
    ensure!(browser.text(".post .body em").await? == "Nice", "markdown");
    ensure!(
        browser.count("form[action='/post']").await? == 0,
        "a stranger is offered to reply"
    );
    plays(&browser, "article.op video").await?;
    plays(&browser, "article.op audio").await?;

    sign_in(&browser, &a).await?;
    browser.goto(&format!("{}/t/{thread}", a.url)).await?;
    browser.click("article.op details.reply > summary").await?;
    browser
        .type_into(
            "article.op details.reply textarea",
            "With a picture and no script.",
        )
        .await?;
    browser
        .type_into(
            "article.op details.reply input[type=file]",
            &media.jpeg.canonicalize()?.to_string_lossy(),
        )
        .await?;
    browser
        .click("article.op details.reply button.primary")
        .await?;
    browser
        .until("the reply with its picture", async || {
            Ok(browser.count(".post .media img").await? == 1)
        })
        .await?;
    ensure!(
        browser.number(".post .media img", "naturalWidth").await? > 0.0,
        "the picture is shown"
    );
    shows(&a, &thread, 3)?;

    browser.goto(&format!("{}/t/{thread}", a.url)).await?;
    browser.click("article.op .vote .up").await?;
    browser
        .until("the vote", async || {
            Ok(browser.text("article.op .vote b").await? == "1")
        })
        .await?;
    browser.click("article.op .acts a.know").await?;
    ensure!(browser.text("h1").await? == "How do I know?", "provenance");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_one_starts_a_thread_and_joins_by_ticket() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let made = board(&a)?;
    let browser = Browser::without_scripts().await?;
    sign_in(&browser, &a).await?;
    browser
        .goto(&format!("{}/compose?space={}", a.url, made.space))
        .await?;
    browser
        .type_into("input[name=title]", "Written by hand")
        .await?;
    browser
        .type_into("textarea[name=body]", "No script was harmed.")
        .await?;
    let film = fixtures()?.webm.canonicalize()?;
    browser
        .type_into(".filerow input[type=file]", &film.to_string_lossy())
        .await?;
    browser.click("button[name=go]").await?;
    browser.find("article.op video").await?;
    let page = browser.address().await?;
    let thread = page.rsplit("/t/").next().unwrap_or_default();
    let thread = thread
        .split(['?', '#'])
        .next()
        .unwrap_or_default()
        .to_owned();
    let ticket = browser
        .find("details.ticket code")
        .await?
        .prop("textContent")
        .await?
        .context("a ticket")?;

    sign_in(&browser, &b).await?;
    browser.goto(&format!("{}/settings", b.url)).await?;
    browser
        .type_into("#join input[name=target]", &ticket)
        .await?;
    browser.click("#join button.primary").await?;
    let seen = shows(&b, &thread, 1)?;
    ensure!(seen["posts"][0]["title"] == "Written by hand", "{seen}");
    let blob = text(&seen["posts"][0]["media"][0], "blob")?;
    holds(&b, &blob)?;
    browser
        .until(
            "the first node's page says that another holds it",
            async || {
                browser.goto(&page).await?;
                Ok(browser
                    .text("article.op figure .where")
                    .await?
                    .contains("held in full by 1"))
            },
        )
        .await?;
    a.kill()?;
    browser.goto(&format!("{}/t/{thread}", b.url)).await?;
    plays(&browser, "article.op video").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_appears_on_the_other_nodes_page_by_itself() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let board = board(&a)?;
    let thread = thread(&a, &board, "Live")?;
    join(&b, &board.ticket)?;
    shows(&b, &thread, 1)?;

    let (writer, reader) = (Browser::open().await?, Browser::open().await?);
    reader.goto(&format!("{}/t/{thread}", b.url)).await?;
    reader.find(ADDED_BY_SCRIPT).await?;
    reader.run("window.stayed = true").await?;
    sign_in(&writer, &a).await?;
    writer.goto(&format!("{}/t/{thread}", a.url)).await?;
    writer.find(ADDED_BY_SCRIPT).await?;
    writer.click("article.op details.reply > summary").await?;
    writer
        .type_into("article.op details.reply textarea", "Do you see this?")
        .await?;
    writer
        .click("article.op details.reply button.primary")
        .await?;
    reader
        .until("the reply", async || {
            Ok(reader.text(".post .body").await? == "Do you see this?")
        })
        .await?;
    ensure!(
        reader.run("return window.stayed === true").await? == true,
        "the page was loaded again"
    );
    // and a vote changes the number in place
    writer.click("article.op .vote .up").await?;
    reader
        .until("the score", async || {
            Ok(reader.text("article.op .vote b").await? == "1")
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_shows_how_far_it_is() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let browser = Browser::open().await?;
    sign_in(&browser, &a).await?;
    browser
        .goto(&format!("{}/compose?space={}", a.url, board.space))
        .await?;
    browser.find(ADDED_BY_SCRIPT).await?;
    // every value that the bar ever shows
    browser
        .run(
            "window.seen = []; new MutationObserver(() => document.querySelectorAll('.attached progress')\
             .forEach((bar) => { if (bar.value !== window.seen.at(-1)) window.seen.push(bar.value); }))\
             .observe(document.body, {subtree: true, childList: true, attributes: true})",
        )
        .await?;
    let film = fixtures()?.long_webm.canonicalize()?;
    browser
        .type_into(".filerow input[type=file]", &film.to_string_lossy())
        .await?;
    browser
        .until("the upload is done", async || {
            Ok(browser.count(".attached input[name=media]").await? == 1)
        })
        .await?;
    let seen = browser.run("return window.seen").await?;
    let between = seen
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(serde_json::Value::as_f64)
        .filter(|value| *value > 0.0 && *value < 1.0)
        .count();
    ensure!(between > 0, "the bar jumped: {seen}");
    browser.type_into("input[name=title]", "Long").await?;
    browser.click("button[name=go]").await?;
    browser.find("article.op video").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_seeks_into_a_film_that_is_not_here_yet() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let b = scene
        .setup("b")
        .env("DATT_AUTO_FETCH_MAX_BYTES", "1000000")
        .start()?;
    let board = board(&a)?;
    let (thread, blobs) = thread_with(&a, &board, "Ten minutes", &[&fixtures()?.long_webm])?;
    join(&b, &board.ticket)?;
    shows(&b, &thread, 1)?;
    let state = format!("/api/v1/blobs/{}", blobs[0]);
    let before = b.client()?.get_json(&state)?;
    ensure!(
        before["held_bytes"].as_u64() < Some(1_000_000),
        "it is here already: {before}"
    );

    let browser = Browser::open().await?;
    sign_in(&browser, &b).await?;
    browser.goto(&format!("{}/t/{thread}", b.url)).await?;
    browser.find("article.op video").await?;
    browser
        .until("the length is known", async || {
            Ok(browser.number("article.op video", "duration").await? > 590.0)
        })
        .await?;
    browser
        .run("const film = document.querySelector('article.op video'); film.currentTime = 300; film.play()")
        .await?;
    browser
        .until("it plays in the middle", async || {
            Ok(browser.number("article.op video", "currentTime").await? > 300.5)
        })
        .await?;
    let after = b.client()?.get_json(&state)?;
    ensure!(
        after["complete"] == false,
        "all of it was fetched in order to seek: {after}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_strangers_write_does_not_run() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let nasty = "<script>window.ran = 1</script> <img src=x onerror='window.ran = 2'> \
        [click](javascript:window.ran=3) <svg onload='window.ran=4'></svg> ![x](http://192.0.2.1/track.png)";
    let thread = post(
        &a,
        &json!({"space": board.space, "title": "<b onclick='window.ran=5'>T</b>", "body": nasty}),
    )?;
    let browser = Browser::open().await?;
    browser.goto(&format!("{}/t/{thread}", a.url)).await?;
    browser.find(ADDED_BY_SCRIPT).await?;
    ensure!(
        browser.run("return window.ran ?? null").await?.is_null(),
        "it ran"
    );
    ensure!(
        browser.text("h1").await?.contains("<b onclick"),
        "the title is text"
    );
    ensure!(
        browser
            .count(".body script, .body img, .body svg, .body a[href^=javascript]")
            .await?
            == 0,
        "it is on the page"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_look_right_on_telephones_and_desks() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    for (node, name) in [(&a, "Ada"), (&b, "Grace")] {
        node.client()?.send_json(
            "PUT",
            "/api/v1/profile",
            &json!({"name": name, "about": "I *like* films."}),
        )?;
    }
    let board = board(&a)?;
    let media = fixtures()?;
    let (film, blobs) = thread_with(
        &a,
        &board,
        "A film that outlives its node",
        &[&media.webm, &media.flac],
    )?;
    join(&b, &board.ticket)?;
    shows(&b, &film, 1)?;
    let first = reply(
        &b,
        &film,
        "It does play here, with the first node gone. **Well done.**",
    )?;
    shows(&a, &film, 2)?;
    let question =
        "And seeking? On a slow line, too?\n\n> I'd like to know before I show it to others.";
    let second = reply(&a, &first, question)?;
    shows(&b, &film, 3)?;
    reply(&b, &second, "`datt get --range` does what the player does.")?;
    reply(
        &a,
        &film,
        "Here is a list:\n\n1. one\n2. two\n\nand a [link](https://example.org).",
    )?;
    b.client()?
        .send_json("PUT", &format!("/api/v1/votes/{film}"), &json!({"dir": 1}))?;
    shows(&a, &film, 5)?;
    for blob in &blobs {
        held_by(&a, blob, 1)?;
    }
    thread_with(&a, &board, "Pictures", &[&media.jpeg, &media.png])?;
    post(
        &a,
        &json!({"space": board.space, "title": "A link", "url": "https://example.org/a/long/path", "body": ""}),
    )?;
    post(
        &a,
        &json!({"space": board.space, "title": "Sensitive", "body": "Covered.", "nsfw": true}),
    )?;
    let identity = text(&a.client()?.get_json("/api/v1/status")?, "identity")?;

    let browser = Browser::open().await?;
    sign_in(&browser, &a).await?;
    for (name, path) in [
        ("front", "/".to_owned()),
        ("board", format!("/s/{}", board.space)),
        ("thread", format!("/t/{film}")),
        ("how-do-i-know", format!("/e/{film}")),
        ("profile", format!("/@{identity}")),
        ("compose", format!("/compose?space={}", board.space)),
        ("settings", "/settings".to_owned()),
        ("node", "/node".to_owned()),
    ] {
        browser.goto(&format!("{}{path}", a.url)).await?;
        browser.find(ADDED_BY_SCRIPT).await?;
        for (width, dark) in [(390, false), (390, true), (1280, false), (1280, true)] {
            browser.look(width, dark).await?;
            browser.settle().await?;
            let scheme = if dark { "dark" } else { "light" };
            let shot = browser.picture(&format!("{name}-{width}-{scheme}")).await?;
            ensure!(
                fs::metadata(&shot)?.len() > 5_000,
                "{} is empty",
                shot.display()
            );
            let wide = browser
                .run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
                .await?;
            ensure!(
                wide.as_i64() <= Some(0),
                "{name} at {width} is {wide} pixels too wide"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_reached_by_keyboard() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let thread = thread(&a, &board, "Keys")?;
    let browser = Browser::without_scripts().await?;
    sign_in(&browser, &a).await?;
    browser.goto(&format!("{}/t/{thread}", a.url)).await?;
    // Enter opens the form; Tab leads to its text and then to its button
    let tab = "\u{e004}";
    browser
        .type_into("article.op details.reply > summary", "\u{e007}")
        .await?;
    browser
        .type_into(
            "article.op details.reply textarea",
            &format!("Typed only.{tab}\u{e007}"),
        )
        .await?;
    shows(&a, &thread, 2)?;
    Ok(())
}
