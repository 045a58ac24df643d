//! Sample data for the tests of the pages.

use crate::data::*;
use crate::swarm_fixture::ways;

pub const NOW: u64 = 1_795_243_904_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

pub fn cid(name: &str) -> String {
    let tail: String = name
        .bytes()
        .cycle()
        .take(44)
        .map(|b| char::from(b'a' + b % 23))
        .collect();
    format!("bafyr4ia{name}{tail}")
}

pub fn author(name: &str) -> Author {
    Author {
        identity: cid(name),
        name: Some(name.to_owned()),
        avatar: None,
    }
}

pub fn board(title: &str) -> Board {
    Board {
        space: cid(title),
        title: title.to_owned(),
        about: format!("Recordings and talk about *{title}*. Bring your own, keep those of others."),
        rules: "1. Say where a recording was made.\n2. Describe pictures for those who can't see them.\n3. Be kind."
            .to_owned(),
        icon: None,
        lang: "en".to_owned(),
        policy: "open".to_owned(),
        homes: Vec::new(),
        owner: author("Ada"),
        threads: 42,
        last_ms: Some(NOW - 5 * MINUTE),
        unlisted: false,
        can_admin: true,
        mirrors: 0,
        price_sats: None,
    }
}

pub fn availability(held_by: u32) -> Availability {
    Availability {
        sent_to: 3,
        held_by,
        held_bytes: 1_000,
        total_bytes: 1_000,
    }
}

pub fn media(kind: &str, name: &str) -> Media {
    Media {
        blob: format!(
            "{}.{}",
            cid("blob"),
            name.rsplit('.').next().unwrap_or("bin")
        ),
        name: name.to_owned(),
        media_type: kind.to_owned(),
        size_bytes: 5_242_880,
        alt: Some("A heron lands on a jetty at dawn".to_owned()),
        width: kind.starts_with("video").then_some(1280),
        height: kind.starts_with("video").then_some(720),
        duration_ms: Some(83_000),
        thumb: kind
            .starts_with("video")
            .then(|| format!("{}.jpg", cid("thumb"))),
        captions: Vec::new(),
        availability: availability(2),
        denied: false,
        ipfs: None,
        torrent: None,
        publicity: None,
        shares: Vec::new(),
    }
}

pub fn post(id: &str, level: u32, who: &str, body: &str) -> Post {
    Post {
        id: cid(id),
        space: cid("Field recordings"),
        root: cid("root"),
        parent: (level > 0).then(|| cid("root")),
        level,
        author: author(who),
        time_ms: NOW - 7 * HOUR + u64::from(level) * 31 * MINUTE,
        edited_ms: None,
        title: None,
        url: None,
        body: body.to_owned(),
        media: Vec::new(),
        lang: None,
        nsfw: false,
        score: 3,
        my_vote: 0,
        verdict: Verdict::Valid,
        hidden: None,
        locked: false,
        pinned: false,
        erased: false,
        mine: false,
        paid: None,
        unpaid_price: None,
        own_price: None,
        claimed_price: None,
    }
}

pub fn thread() -> Thread {
    let mut first = post(
        "root",
        0,
        "Mei",
        "Two minutes before sunrise, from the boathouse. Recorded with a pair of omnis on the rail, the heron comes in at **0:41**.\n\nNo processing apart from a gentle high-pass. If somebody has the *same lake in winter*, I would love to hear it: https://example.org/lake_sounds",
    );
    first.title = Some("A heron lands at dawn, and the whole lake answers".to_owned());
    first.media = vec![media("video/webm", "heron.webm")];
    first.score = 128;
    first.my_vote = 1;
    let mut two = post(
        "two",
        2,
        "Ioana",
        "The one after it is a great crested grebe.\n\n> the heron comes in at 0:41\n\nListen at 0:52 with headphones.",
    );
    two.media = vec![media("audio/flac", "grebe.flac")];
    two.media[0].availability.held_by = 0;
    two.my_vote = -1;
    let mut hidden = post("hidden", 1, "promo4u", "Buy now");
    hidden.hidden = Some("advertising".to_owned());
    let mut covered = post("covered", 2, "Bo", "A dead fish, up close.");
    covered.nsfw = true;
    let mut mine = post(
        "mine",
        3,
        "You",
        "Which microphones are those? I tried the same with a `stereo pair` on the jetty:\n\n```\nORTF, 17 cm, 110 degrees\n```\n\nand got mostly wind.",
    );
    mine.mine = true;
    let mut disputed = post(
        "disputed",
        1,
        "Twice",
        "I wrote this on two devices at once.",
    );
    disputed.verdict = Verdict::Disputed;
    let mut erased = post("erased", 2, "Gone", "");
    erased.erased = true;
    let mut link = post(
        "link",
        1,
        "Ravi",
        "There is a map of all the places where people record herons.",
    );
    link.url = Some("https://maps.example.org/herons/all?view=list".to_owned());
    Thread {
        board: BoardLink {
            space: cid("Field recordings"),
            title: "Field recordings".to_owned(),
        },
        posts: vec![
            first,
            post(
                "one",
                1,
                "Samuel",
                "What is the call that follows? It sounds like an answer.",
            ),
            two,
            mine,
            post(
                "deep",
                4,
                "Ioana",
                "A blimp, or get lower. Wind is mostly above the rail.",
            ),
            covered,
            hidden,
            link,
            disputed,
            erased,
            post("arabic", 1, "ليلى", "تسجيل رائع! أين هذه البحيرة؟"),
        ],
        total: 11,
        next: Some("cursor/1".to_owned()),
        availability: availability(0),
        pin: false,
        ticket: Some(format!("datt{}", "abcdefgh2345".repeat(14))),
    }
}

pub fn summary(id: &str, title: &str) -> ThreadSummary {
    ThreadSummary {
        root: cid(id),
        board: BoardLink {
            space: cid("Field recordings"),
            title: "Field recordings".to_owned(),
        },
        author: author("Mei"),
        title: title.to_owned(),
        url: None,
        time_ms: NOW - 7 * HOUR,
        last_ms: NOW - 3 * MINUTE,
        score: 128,
        my_vote: 0,
        replies: 11,
        thumb: None,
        media_type: None,
        nsfw: false,
        pinned: false,
        locked: false,
        paid: None,
        unpaid_price: None,
    }
}

pub fn threads() -> Page<ThreadSummary> {
    let mut heron = summary("root", "A heron lands at dawn, and the whole lake answers");
    heron.thumb = Some(format!("{}.jpg", cid("thumb")));
    heron.media_type = Some("video/webm".to_owned());
    heron.my_vote = 1;
    let mut rules = summary("rules", "Read this first: how to describe a recording");
    rules.pinned = true;
    rules.locked = true;
    rules.score = 40;
    let mut map = summary("map", "A map of all the places where people record herons");
    map.url = Some("https://maps.example.org/herons".to_owned());
    map.replies = 1;
    map.score = -2;
    map.my_vote = -1;
    let mut covered = summary("fish", "What the otter left");
    covered.nsfw = true;
    covered.thumb = Some(cid("fish"));
    let mut audio = summary(
        "audio",
        "Trains at night through an open window, 40 minutes, for those who fall asleep to them and for those who don't",
    );
    audio.media_type = Some("audio/flac".to_owned());
    audio.replies = 0;
    audio.score = 5_210;
    Page {
        items: vec![
            rules,
            heron,
            map,
            covered,
            audio,
            summary("ar", "ما هو أفضل ميكروفون للطيور؟"),
        ],
        next: Some("n/2".to_owned()),
    }
}

pub fn profile() -> Profile {
    let mut reply = post("one", 1, "Mei", "What is the call that follows?");
    reply.media = vec![media("audio/flac", "call.flac")];
    Profile {
        author: author("Mei"),
        about: "I record water. **Lakes** mostly.".to_owned(),
        homes: vec![
            "https://mei.example.org".to_owned(),
            "datt…ticket".to_owned(),
        ],
        devices: vec![Device {
            key: "9f".repeat(32),
            name: "laptop".to_owned(),
        }],
        mine: false,
        followed: false,
        posts: Page {
            items: vec![thread().posts.remove(0), reply],
            next: None,
        },
    }
}

pub fn provenance() -> Provenance {
    Provenance {
        id: cid("root"),
        size_bytes: 412,
        author: author("Mei"),
        device: "9f".repeat(32),
        signature: "ab".repeat(64),
        signature_ok: true,
        seq: 17,
        backlink: Some(cid("before")),
        parents: vec![cid("parent")],
        depth: 9,
        root: Some(cid("root")),
        space: Some(cid("Field recordings")),
        grant: None,
        schema: cid("schema"),
        table: "post".to_owned(),
        time_ms: NOW - 7 * HOUR,
        payload: cid("payload"),
        payload_bytes: 900,
        payload_ok: true,
        verdict: Verdict::Valid,
        verdict_reason: "Signature, schema, references and authority all check out.".to_owned(),
        source: "5e".repeat(32),
        received_ms: NOW - 6 * HOUR,
        held_by: Vec::new(),
    }
}

pub fn status() -> Status {
    let traffic = (0..60u64)
        .map(|i| TrafficSample {
            time_ms: NOW - (60 - i) * MINUTE,
            in_bytes: (i * 7919 % 97) * 40_000 * u64::from(i > 20),
            out_bytes: (i * 104_729 % 89) * 25_000,
            ways: ways(i),
        })
        .collect();
    let peer = |name: &str, connected: bool| Peer {
        id: name.repeat(32),
        path: "192.168.1.20:41641".to_owned(),
        rtt_ms: connected.then_some(1.26),
        entries_in: 1_204,
        entries_out: 88,
        seen_ms: NOW - 20_000,
        connected,
    };
    Status {
        version: "0.1.0".to_owned(),
        endpoint: "5e".repeat(32),
        addresses: vec!["192.168.1.4:41641".to_owned()],
        identity: cid("You"),
        device: "9f".repeat(32),
        offline: false,
        uptime_ms: 93 * HOUR,
        connected: 2,
        peers: vec![peer("5e", true), peer("77", true), peer("c0", false)],
        topics: 12,
        spaces: 3,
        entries: 10_482,
        pending: 2,
        forks: 0,
        blobs: 311,
        pins: 1,
        used_bytes: 18_400_000_000,
        max_bytes: 20_000_000_000,
        store: "redb".to_owned(),
        clock_skew_ms: Some(-12),
        traffic,
        caps: Caps::default(),
        torrent_addr: None,
        warnings: vec![
            "ffmpeg is not installed: videos get no thumbnail and no duration.".to_owned(),
        ],
    }
}

pub fn pins() -> Vec<Pin> {
    vec![Pin {
        id: cid("root"),
        kind: "thread".to_owned(),
        media: "all".to_owned(),
        max_bytes: None,
        held_bytes: 700_000_000,
        total_bytes: 1_000_000_000,
        since_ms: NOW - 50 * HOUR,
        promised_bytes: 1_000_000_000,
        missing: 1,
        missing_since_ms: Some(NOW - HOUR),
        asked_by: None,
    }]
}
