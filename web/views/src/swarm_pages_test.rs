//! Tests of the pages of swarms and mirrors: what an operator and a reader must know.

use crate::chart::sources::Sources;
use crate::data::*;
use crate::fixture::*;
use crate::operator::OperatorPage;
use crate::pages_test::{HOSTILE, assert_balanced, frame, html, thread_page};
use crate::pins::PinsPage;
use crate::swarm_fixture::*;
use crate::torrents::{SourcesPage, TorrentsPage};

fn operator(mirror: Option<&MirrorStatus>, status: &Status, audits: &[AuditRow]) -> String {
    html(&OperatorPage {
        frame: &frame(true),
        status,
        mirror,
        mirror_problem: "mirrors are switched off",
        torrents: &torrents(),
        audits,
    })
}

fn healths(mirror: &MirrorStatus, status: &Status, audits: &[AuditRow]) -> Vec<(String, String)> {
    let page = OperatorPage {
        frame: &frame(true),
        status,
        mirror: Some(mirror),
        mirror_problem: "",
        torrents: &[],
        audits,
    };
    let health = page.health();
    health
        .into_iter()
        .map(|one| (one.class.to_owned(), one.text))
        .collect()
}

fn thread_with(media: Media) -> Thread {
    let mut thread = thread();
    thread.posts[0].media = vec![media];
    thread
}

#[test]
fn an_operator_sees_what_is_missing_before_what_is_well() {
    let mut status = status();
    status.caps = Caps {
        max_out_bytes_per_s: 1_000_000,
        max_month_bytes: 1_000,
        month_bytes: 950,
        ..Caps::default()
    };
    let health = healths(&mirror(), &status, &audits());
    let text = |class: &str| -> Vec<&str> {
        let of = health.iter().filter(|(found, _)| found == class);
        of.map(|(_, text)| text.as_str()).collect()
    };
    assert_eq!(health[0].0, "bad");
    assert_eq!(
        text("bad"),
        ["Mirrors answered 57 of 60 challenges within 2140 ms, 1 with wrong bytes."]
    );
    assert!(text("warn").contains(&"31 of 2439 promised files are not here: 1.1 GiB missing."));
    assert!(text("warn").contains(&"95 % of this month's traffic used."));
    assert!(text("ok").contains(&"82 % of the quota used."));
    status.caps.month_bytes = 1_000;
    status.connected = 0;
    let health = healths(&MirrorStatus::default(), &status, &[]);
    assert!(
        health
            .iter()
            .any(|(class, text)| class == "bad" && text.contains("used up"))
    );
    assert!(
        health
            .iter()
            .any(|(_, text)| text == "No other node is connected.")
    );
}

#[test]
fn the_dashboard_stands_without_mirrors() {
    let page = operator(None, &status(), &[]);
    assert_balanced(&page);
    assert!(page.contains("mirrors are switched off"));
    assert!(page.contains("No mirror was challenged yet."));
    let whole = operator(Some(&mirror()), &status(), &audits());
    assert_balanced(&whole);
    for words in [
        "58 of 60",
        "What is popular",
        "it could not be reached",
        "w-torrent",
        "q-cached",
    ] {
        assert!(whole.contains(words), "{words}");
    }
}

#[test]
fn pins_say_what_was_promised_and_what_is_missing() {
    let page = html(&PinsPage {
        frame: &frame(true),
        pins: &pins(),
        mirror: Some(&mirror()),
        asked: &asked(),
    });
    assert_balanced(&page);
    for words in [
        "1 file missing, 286 MiB",
        "667 MiB of 953 MiB held",
        "Missing: 1.1 GiB in 31 files.",
        "this mirror keeps 512 MiB for one request",
        "Asked of this node",
        "rule 2",
        "1 other node",
        "Take back",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn a_file_shows_its_names_and_whether_they_are_true() {
    let page = |claim, signed_in| {
        let mut media = fetched();
        if let Some(torrent) = &mut media.torrent {
            torrent.claim = claim;
        }
        thread_page(&thread_with(media), signed_in)
    };
    let infohash = "ab".repeat(20);
    let verified = page(Claim::Verified, false);
    assert_balanced(&verified);
    assert!(verified.contains(&format!("/torrent/{infohash}")));
    assert!(verified.contains("href=\"magnet:?xt=urn:btih:"));
    assert!(verified.contains(&cid("ipfs")));
    assert!(
        !verified.contains("action=\"/publicity\""),
        "that is the owner's"
    );
    assert!(page(Claim::Verified, true).contains("action=\"/publicity\""));
    assert!(page(Claim::Unchecked, false).contains("not checked yet"));
    let lie = page(Claim::False, false);
    assert!(lie.contains("The author&#39;s infohash is not that of these bytes."));
    assert!(lie.contains(&infohash), "the claim is shown as such");
    assert!(!lie.contains("magnet:?") && !lie.contains("/torrent/"));
}

#[test]
fn where_bytes_come_from_is_drawn_without_scripts() {
    let page = thread_page(&thread_with(fetched()), false);
    for words in [
        "s-peer",
        "s-swarm",
        "203.0.113.7:51413",
        "sent wrong bytes",
        "from 4 sources",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(page.contains("class=\"sources live\""));
    let quiet = thread_page(&thread_with(media("video/webm", "held.webm")), false);
    assert!(
        !quiet.contains("data-sources"),
        "nothing came, nothing is missing"
    );
    let blob = cid("blob");
    let shares = shares();
    let page = html(&SourcesPage {
        frame: &frame(false),
        s: Sources::new(&blob, &shares),
    });
    assert_balanced(&page);
    let empty = html(&SourcesPage {
        frame: &frame(false),
        s: Sources::new(&blob, &[]),
    });
    assert!(empty.contains("Nothing of this file was fetched"));
}

#[test]
fn strangers_names_are_escaped_on_pages_of_swarms() {
    let hostile = || HOSTILE.to_owned();
    let mut torrents = torrents();
    torrents[0].name = hostile();
    torrents[0].magnet = "javascript:alert(1)".to_owned();
    let mut asked = asked();
    for one in &mut asked {
        one.reason = hostile();
    }
    let mut media = fetched();
    media.shares[0].label = hostile();
    if let Some(torrent) = &mut media.torrent {
        torrent.magnet = "javascript:alert(1)".to_owned();
    }
    let mut audits = audits();
    audits[0].problem = Some(hostile());
    let mut status = status();
    status.warnings = vec![hostile()];
    for page in [
        html(&TorrentsPage {
            frame: &frame(true),
            torrents: &torrents,
        }),
        html(&PinsPage {
            frame: &frame(true),
            pins: &pins(),
            mirror: None,
            asked: &asked,
        }),
        thread_page(&thread_with(media), true),
        operator(Some(&mirror()), &status, &audits),
    ] {
        assert_balanced(&page);
        assert_eq!(page.matches("<script").count(), 1);
        for bad in [
            "alert(1)</script>",
            "href=\"javascript:",
            "style=",
            "\u{202E}",
        ] {
            assert!(!page.contains(bad), "{bad}");
        }
    }
}
