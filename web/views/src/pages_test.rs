//! Tests of whole pages: structure, escaping, and what must not be missing.

use askama::Template;

use crate::board::BoardPage;
use crate::compose::{Attached, ComposePage, Draft, Target};
use crate::data::*;
use crate::feed::Feed;
use crate::fixture::*;
use crate::frame::{Frame, NodeChip, Preview, Theme, Viewer};
use crate::front::FrontPage;
use crate::list::ThreadList;
use crate::node::NodePage;
use crate::problem::ProblemPage;
use crate::profile::ProfilePage;
use crate::provenance::ProvenancePage;
use crate::thread::ThreadPage;

pub const HOSTILE: &str = "\"'><script>alert(1)</script>\u{202E}";

pub fn frame(signed_in: bool) -> Frame {
    Frame {
        title: "Page".to_owned(),
        path: "/here?x=1".to_owned(),
        base: "https://datt.example".to_owned(),
        now_ms: NOW,
        assets: "v".to_owned(),
        theme: Theme::Auto,
        viewer: signed_in.then(|| Viewer {
            author: author("You"),
            csrf: "token".to_owned(),
        }),
        chip: signed_in.then_some(NodeChip {
            peers: 1,
            offline: false,
            pays: true,
        }),
        ..Frame::default()
    }
}

pub fn html(page: &impl Template) -> String {
    page.render().expect("pages render")
}

pub fn thread_page(thread: &Thread, signed_in: bool) -> String {
    html(&ThreadPage::new(&frame(signed_in), thread, false))
}

/// Tags that are opened are closed, in order (void elements and SVG shapes aside).
pub fn assert_balanced(html: &str) {
    const VOID: [&str; 8] = [
        "meta", "link", "input", "img", "br", "hr", "track", "!doctype",
    ];
    let mut open: Vec<&str> = Vec::new();
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        let name = tag
            .trim_start_matches('/')
            .split([' ', '\n'])
            .next()
            .unwrap_or_default();
        if tag.starts_with('/') {
            assert_eq!(
                open.pop(),
                Some(name),
                "in …{}",
                &html[..html.len().min(200)]
            );
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn the_tree_nests_as_the_levels_say() {
    let html = thread_page(&thread(), true);
    assert_balanced(&html);
    let levels: Vec<(usize, usize)> = ["one", "two", "mine", "deep", "covered", "hidden"]
        .iter()
        .map(|id| {
            html.split_once(&format!("class=\"post\" id=\"{}\"", cid(id)))
                .or_else(|| html.split_once(&format!("class=\"post hid\" id=\"{}\"", cid(id))))
                .expect("every post is shown")
                .0
        })
        .map(|before| {
            (
                before.matches("<details").count(),
                before.matches("</details>").count(),
            )
        })
        .collect();
    // Elements open before each post, its own not counted.
    let depth: Vec<usize> = levels
        .iter()
        .map(|(open, closed)| open - closed - 1)
        .collect();
    assert_eq!(depth, [0, 1, 2, 3, 1, 0]);
}

#[test]
fn any_levels_give_a_sound_tree() {
    let mut seed = 7_u32;
    for _ in 0..50 {
        let mut thread = thread();
        thread.posts.truncate(1);
        for index in 0..40 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let level = seed >> 27;
            thread
                .posts
                .push(post(&format!("p{index}"), level, "A", "words"));
        }
        let html = thread_page(&thread, false);
        assert_balanced(&html);
        assert_eq!(html.matches("<details class=\"post\"").count(), 40);
    }
}

#[test]
fn a_deep_thread_stays_shallow_and_says_what_it_answers() {
    let mut thread = thread();
    thread.posts.truncate(1);
    for level in 1..200 {
        thread
            .posts
            .push(post(&format!("p{level}"), level, "A", "deeper"));
    }
    let html = thread_page(&thread, false);
    assert_balanced(&html);
    assert!(html.contains("In reply to"));
    let deepest = html
        .split("<details")
        .map(|part| part.matches("</details>").count())
        .max();
    assert!(deepest <= Some(10), "{deepest:?}");
}

#[test]
fn threads_show_what_a_reader_must_know() {
    let html = thread_page(&thread(), false);
    for words in [
        "Keep this node running",
        "Sent to 3 nodes · held in full by no other node",
        "held in full by 2 other nodes",
        "Hidden by a moderator: advertising",
        "Marked as sensitive",
        "Disputed:",
        "Only the signed header is held",
        "<video controls preload=\"metadata\"",
        "<audio controls",
        "10 replies",
        "href=\"/t/bafyr4iaroot",
        "?after=cursor%2F1",
        "maps.example.org",
    ] {
        assert!(html.contains(words), "{words} is missing");
    }
    assert!(!html.contains("<form"), "strangers get no forms");
    let html = thread_page(&thread(), true);
    for words in [
        "name=\"reply_to\"",
        "action=\"/edit\"",
        "name=\"clear\"",
        "aria-pressed=\"true\"",
        "enctype=\"multipart/form-data\"",
    ] {
        assert!(html.contains(words), "{words} is missing");
    }
    assert_eq!(
        html.matches("action=\"/edit\"").count(),
        1,
        "only one's own post can be edited"
    );
}

#[test]
fn a_player_loads_nothing_that_is_not_held() {
    let mut thread = thread();
    thread.posts.truncate(1);
    thread.posts[0].media[0].availability.held_bytes = 10;
    let html = thread_page(&thread, false);
    assert!(html.contains("preload=\"none\"") && html.contains("10 B of 1000 B here"));
    assert!(
        thread_page(&thread, true).contains("preload=\"metadata\""),
        "the owner may ask for it"
    );
    thread.posts[0].media[0].denied = true;
    let html = thread_page(&thread, false);
    assert!(!html.contains("<video") && html.contains("denylist"));
}

#[test]
fn a_locked_thread_takes_no_replies() {
    let mut thread = thread();
    thread.posts[0].locked = true;
    let html = thread_page(&thread, true);
    assert!(html.contains("takes no new replies") && !html.contains("name=\"reply_to\""));
}

#[test]
fn a_later_part_leads_to_the_start() {
    let mut thread = thread();
    thread.posts.remove(0);
    let html = thread_page(&thread, false);
    assert_balanced(&html);
    assert!(html.contains(&format!(
        "<a href=\"/t/{}\">Go to its start</a>",
        cid("root")
    )));
}

/// Every text that a stranger chooses, hostile at once, on every page.
#[test]
fn strangers_texts_are_escaped_everywhere() {
    let hostile = || HOSTILE.to_owned();
    let mut thread = thread();
    for post in &mut thread.posts {
        post.author.name = Some(hostile());
        post.title = Some(hostile());
        post.body = hostile();
        post.url = Some(format!("https://example.org/{HOSTILE}"));
        post.lang = Some(hostile());
        post.mine = false;
        post.hidden = post.hidden.as_ref().map(|_| hostile());
        for media in &mut post.media {
            media.name = hostile();
            media.alt = Some(hostile());
        }
    }
    thread.board.title = hostile();
    let mut list = threads();
    for line in &mut list.items {
        line.title = hostile();
        line.board.title = hostile();
        line.url = Some(hostile());
        line.author.name = Some(hostile());
    }
    let mut board = board("Board");
    board.title = hostile();
    board.about = hostile();
    board.rules = hostile();
    board.lang = hostile();
    let mut profile = profile();
    profile.about = hostile();
    profile.devices[0].name = hostile();
    profile.homes = vec![hostile(), "javascript:alert(1)".to_owned()];
    let mut entry = provenance();
    entry.table = hostile();
    entry.verdict_reason = hostile();
    entry.source = hostile();
    let mut frame = frame(true);
    frame.title = crate::text::visible(HOSTILE).into_owned();
    frame.preview = Some(Preview {
        description: crate::text::excerpt(HOSTILE),
        image: None,
        kind: "article",
    });
    let lines = ThreadList {
        path: "/",
        sort: Sort::Hot,
        threads: &list,
        continued: false,
        boards: true,
    };
    let boards = std::slice::from_ref(&board);
    let pages = [
        html(&ThreadPage::new(&frame, &thread, true)),
        html(&FrontPage {
            frame: &frame,
            boards,
            list: lines,
        }),
        html(&BoardPage {
            frame: &frame,
            board: &board,
            list: lines,
            ticket: None,
        }),
        html(&ProfilePage {
            frame: &frame,
            profile: &profile,
        }),
        html(&ProvenancePage::new(&frame, &entry)),
        html(&ProblemPage {
            frame: &frame,
            status: 404,
            message: HOSTILE,
            ways: &[],
            sign_in: false,
        }),
    ];
    for page in pages {
        assert_balanced(&page);
        assert_eq!(
            page.matches("<script").count(),
            1,
            "only the page's own script"
        );
        for bad in [
            "alert(1)</script>",
            "href=\"javascript:",
            "style=\"",
            "\u{202E}",
        ] {
            assert!(
                !page.contains(bad),
                "{bad} in {}",
                &page[page.find(bad).unwrap_or_default() - 200..]
            );
        }
    }
    let feed = Feed {
        title: HOSTILE,
        base: "https://x",
        path: "/",
        feed_path: "/feed.xml",
        threads: &list.items,
        now_ms: NOW,
    };
    assert!(!html(&feed).contains("<script"));
}

#[test]
fn nothing_needs_inline_script_or_style() {
    for page in [
        thread_page(&thread(), true),
        html(&NodePage {
            frame: &frame(true),
            status: &status(),
            pins: &pins(),
            ticket: None,
        }),
    ] {
        assert!(!page.contains("style=") && !page.contains(" onclick") && !page.contains("<style"));
        assert!(page.contains("<a class=\"skip\" href=\"#main\">"));
    }
}

#[test]
fn the_composer_keeps_what_was_typed() {
    let boards = [board("One"), board("Two")];
    let draft = Draft {
        title: "T\"".to_owned(),
        body: "</textarea><b>".to_owned(),
        nsfw: true,
        media: vec![Attached {
            blob: "bafk".to_owned(),
            name: "a.webm".to_owned(),
            alt: "what".to_owned(),
            publicity: Some(Publicity::Swarm),
        }],
        ..Draft::default()
    };
    let chosen = cid("Two");
    let page = html(&ComposePage {
        frame: &frame(true),
        target: Target::Thread {
            boards: &boards,
            chosen: &chosen,
        },
        draft: &draft,
        problem: Some("too large"),
        preview: false,
    });
    assert_balanced(&page);
    for words in [
        "T&#34;",
        "&#60;/textarea&#62;&#60;b&#62;",
        "checked",
        "value=\"bafk\"",
        "value=\"what\"",
        "value=\"swarm\" selected",
        "Not posted.",
        &format!("value=\"{chosen}\" selected"),
    ] {
        assert!(page.contains(words), "{words} is missing");
    }
    assert_eq!(
        page.matches("type=\"file\"").count(),
        15,
        "16 files, one of which is there"
    );
    assert!(
        page.find("name=\"csrf\"") < page.find("name=\"title\""),
        "the token comes first"
    );
}

#[test]
fn how_do_i_know_says_what_failed() {
    let good = html(&ProvenancePage::new(&frame(false), &provenance()));
    assert!(
        good.contains("Its author signed it")
            && good.contains("As far as is known, this is the only copy")
    );
    let mut entry = provenance();
    entry.signature_ok = false;
    entry.payload_ok = false;
    entry.verdict = Verdict::Disputed;
    let bad = html(&ProvenancePage::new(&frame(false), &entry));
    assert!(bad.contains("The signature is wrong") && !bad.contains("Its author signed it"));
    assert!(bad.contains("What it says is not held here"));
}

#[test]
fn empty_pages_say_what_to_do() {
    let none = Page {
        items: Vec::new(),
        next: None,
    };
    let list = ThreadList {
        path: "/",
        sort: Sort::New,
        threads: &none,
        continued: false,
        boards: true,
    };
    let page = html(&FrontPage {
        frame: &frame(true),
        boards: &[],
        list,
    });
    assert!(page.contains("Make a board") && page.contains("/settings#join"));
    let page = html(&FrontPage {
        frame: &frame(false),
        boards: &[],
        list,
    });
    assert!(page.contains("Nothing here yet") && !page.contains("Make a board"));
}

#[test]
fn previews_and_feeds_are_linked() {
    let mut frame = frame(false);
    frame.feed = Some("/feed.xml".to_owned());
    frame.preview = Some(Preview {
        description: "Words".to_owned(),
        image: Some("/ipfs/x".to_owned()),
        kind: "article",
    });
    let thread = thread();
    let page = html(&ThreadPage::new(&frame, &thread, false));
    for words in [
        "<meta property=\"og:title\" content=\"Page\">",
        "<meta property=\"og:description\" content=\"Words\">",
        "<meta property=\"og:image\" content=\"https://datt.example/ipfs/x\">",
        "type=\"application/atom+xml\"",
    ] {
        assert!(page.contains(words), "{words} is missing");
    }
}
