//! Sample data of swarms and mirrors for the tests of the pages.

use crate::data::*;
use crate::fixture::{NOW, cid, media};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// A file that is being fetched, of which the author said an infohash.
pub fn fetched() -> Media {
    let mut media = media("video/webm", "heron.webm");
    media.availability.held_bytes = 600;
    media.ipfs = Some(cid("ipfs"));
    media.shares = shares();
    media.torrent = Some(TorrentName {
        infohash: "ab".repeat(20),
        magnet: magnet("heron.webm"),
        claim: Claim::Verified,
        has_file: true,
    });
    media
}

pub fn ways(i: u64) -> Ways {
    let carried = |seed: u64, scale: u64| Traffic {
        in_bytes: (i * seed % 97) * scale,
        out_bytes: (i * (seed + 4) % 89) * scale * 2,
    };
    Ways {
        peers: carried(7_919, 40_000),
        relay: carried(11, 2_000),
        http: carried(104_729, 9_000),
        torrent: carried(31, 30_000 * u64::from(i > 20)),
    }
}

pub fn mirror() -> MirrorStatus {
    let rule = |what: &str, missing: u64| MirrorRule {
        what: what.to_owned(),
        media: "all".to_owned(),
        max_bytes: 200_000_000_000,
        min_score: Some(5),
        max_age: Some("30d".to_owned()),
        replicas: 3,
        matched: 1_204,
        held: 1_204 - missing,
        missing,
        reached: 1_100,
        held_bytes: 90_000_000_000,
        missing_bytes: missing * 40_000_000,
        evicted: 12,
    };
    MirrorStatus {
        rules: vec![rule("popular", 0), rule(&cid("Field recordings"), 31)],
        quota: MirrorQuota {
            used_bytes: 412_000_000_000,
            max_bytes: 500_000_000_000,
            disk_free_bytes: 120_000_000_000,
            entries_bytes: 4_000_000_000,
            pinned_bytes: 150_000_000_000,
            mirrored_bytes: 180_000_000_000,
            cached_bytes: 70_000_000_000,
        },
        promised: 2_439,
        held: 2_408,
        missing: 31,
        promised_bytes: 181_240_000_000,
        held_bytes: 180_000_000_000,
        missing_bytes: 1_240_000_000,
        mirrors: vec![
            Mirror {
                endpoint: "5e".repeat(32),
                spaces: vec![cid("Field recordings"), cid("Maps")],
                held: 1_190,
                answered: 58,
                asked: 60,
                within_ms: Some(2_140),
                audited_ms: Some(NOW - 12 * MINUTE),
            },
            Mirror {
                endpoint: "77".repeat(32),
                spaces: vec![cid("Maps")],
                held: 40,
                ..Mirror::default()
            },
        ],
        missing_blobs: vec![MissingBlob {
            id: cid("lost"),
            promise: "rule 2".to_owned(),
            post: Some(cid("root")),
            size_bytes: 40_000_000,
            since_ms: NOW - 30 * HOUR,
            held_by: vec!["77".repeat(32)],
        }],
        problems: vec!["the rules ask for more than the quota holds".to_owned()],
        evaluated_ms: NOW - MINUTE,
    }
}

pub fn audits() -> Vec<AuditRow> {
    let row = AuditRow {
        mirror: "5e".repeat(32),
        auditor: "9f".repeat(32),
        at_ms: NOW - 12 * MINUTE,
        asked: 30,
        answered: 28,
        late: 1,
        unanswered: 1,
        within_ms: Some(2_140),
        deadline_ms: 5_000,
        id: Some(cid("root")),
        records: vec!["c2lnbmVk".to_owned(); 30],
        ..AuditRow::default()
    };
    let wrong = AuditRow {
        answered: 29,
        wrong: 1,
        late: 0,
        unanswered: 0,
        failure: Some(("it sent wrong bytes".to_owned(), NOW - 12 * MINUTE)),
        ..row.clone()
    };
    let silent = AuditRow {
        problem: Some("it could not be reached".to_owned()),
        ..AuditRow::default()
    };
    vec![row, wrong, silent]
}

pub fn asked() -> Vec<PinAsked> {
    let ours = PinAsked {
        id: cid("root"),
        kind: "thread".to_owned(),
        media: "all".to_owned(),
        with: "5e".repeat(32),
        is_ours: true,
        accepted: true,
        reason: String::new(),
        max_bytes: 1 << 30,
        asked_ms: NOW - 2 * HOUR,
        until_ms: Some(NOW + 700 * HOUR),
    };
    let refused = PinAsked {
        accepted: false,
        reason: "this mirror keeps 512 MiB for one request".to_owned(),
        until_ms: None,
        ..ours.clone()
    };
    let theirs = PinAsked {
        is_ours: false,
        with: cid("Ada"),
        ..ours.clone()
    };
    vec![ours, refused, theirs]
}

fn magnet(name: &str) -> String {
    format!("magnet:?xt=urn:btih:{}&dn={name}", "ab".repeat(20))
}

pub fn torrents() -> Vec<Torrent> {
    let heron = Torrent {
        infohash: "ab".repeat(20),
        name: "heron.webm".to_owned(),
        magnet: magnet("heron.webm"),
        size_bytes: 734_003_200,
        blobs: vec![cid("blob")],
        is_live: true,
        is_paused: false,
        peers: 14,
        sent_bytes: 9_400_000_000,
        received_bytes: 0,
        publicity: Publicity::Swarm,
        claim: Claim::Verified,
    };
    let idle = Torrent {
        infohash: "cd".repeat(20),
        name: "Trains at night, an album of forty recordings through an open window".to_owned(),
        is_live: false,
        peers: 0,
        blobs: vec![cid("a"), cid("b"), cid("c")],
        claim: Claim::False,
        ..heron.clone()
    };
    vec![heron, idle]
}

pub fn shares() -> Vec<Share> {
    let share = |label: &str, kind, state, scale: u64, from: u64| {
        let samples: Vec<u64> = (0..60)
            .map(|i| (i * 7_919 % 31 + 20) * scale * u64::from(i >= from))
            .collect();
        Share {
            label: label.to_owned(),
            kind,
            bytes: samples.iter().sum(),
            bytes_per_s: samples.last().copied().unwrap_or(0),
            state,
            samples,
        }
    };
    vec![
        share("5e5e5e5e", ShareKind::Peer, ShareState::Active, 60_000, 0),
        share("77777777", ShareKind::Peer, ShareState::Active, 30_000, 12),
        share(
            "203.0.113.7:51413",
            ShareKind::Swarm,
            ShareState::Active,
            90_000,
            25,
        ),
        share(
            "198.51.100.20:6881",
            ShareKind::Swarm,
            ShareState::Banned,
            0,
            0,
        ),
        share(
            "gw.example.org",
            ShareKind::Gateway,
            ShareState::Idle,
            9_000,
            40,
        ),
    ]
}
