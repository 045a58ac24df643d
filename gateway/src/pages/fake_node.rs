//! A node of one board and one thread, for the tests of the pages.
#![allow(clippy::unwrap_used)]

use std::{ops::Range, sync::Mutex};

use bytes::Bytes;
use cid::Cid;
use futures_lite::StreamExt;
use model::{BlobId, EntryId, IdentityId, SpaceId};
use tokio::sync::watch;
use views::data;

use crate::{
    api::types::*,
    ipfs::types::*,
    node::{ByteStream, EventBatch, Items, Node, NodeError, OpenBlob, Reply, Viewer},
};

/// What was written through the pages, in words.
#[derive(Default)]
pub(super) struct FakeNode {
    pub written: Mutex<Vec<String>>,
    /// Imports fail as with a full disk.
    pub full: bool,
}

pub(super) fn entry(byte: u8) -> EntryId {
    EntryId::from_bytes([byte; 32])
}

pub(super) fn space() -> SpaceId {
    SpaceId::from_bytes([9; 32])
}

pub(super) fn owner() -> IdentityId {
    IdentityId::from_bytes([7; 32])
}

fn author() -> data::Author {
    data::Author {
        identity: owner().to_string(),
        name: Some("<b>Mei</b>\u{202E}".to_owned()),
        avatar: None,
    }
}

pub(super) fn post(id: u8, level: u32) -> data::Post {
    data::Post {
        id: entry(id).to_string(),
        space: space().to_string(),
        root: entry(1).to_string(),
        parent: (level > 0).then(|| entry(1).to_string()),
        level,
        author: author(),
        time_ms: 1_000,
        edited_ms: None,
        title: (level == 0).then(|| "A title with <script>alert(1)</script>".to_owned()),
        url: (level == 0).then(|| "javascript:alert(1)".to_owned()),
        body: "Words <img src=x onerror=alert(1)>".to_owned(),
        media: Vec::new(),
        lang: Some("en\" onload=\"x".to_owned()),
        nsfw: false,
        score: 2,
        my_vote: 0,
        verdict: data::Verdict::Valid,
        hidden: None,
        locked: false,
        pinned: false,
        erased: false,
        mine: true,
        paid: None,
        unpaid_price: None,
        own_price: None,
        claimed_price: None,
    }
}

fn board() -> data::Board {
    data::Board {
        space: space().to_string(),
        title: "Field & <forest>".to_owned(),
        about: "About <script>x</script>".to_owned(),
        rules: String::new(),
        icon: None,
        lang: String::new(),
        policy: "open".to_owned(),
        homes: Vec::new(),
        owner: author(),
        threads: 1,
        last_ms: None,
        unlisted: false,
        can_admin: true,
        mirrors: 0,
        price_sats: None,
    }
}

fn summary() -> data::ThreadSummary {
    data::ThreadSummary {
        root: entry(1).to_string(),
        board: data::BoardLink {
            space: space().to_string(),
            title: "Field".to_owned(),
        },
        author: author(),
        title: "<script>alert(1)</script>".to_owned(),
        url: None,
        time_ms: 1_000,
        last_ms: 1_000,
        score: 2,
        my_vote: 0,
        replies: 1,
        thumb: None,
        media_type: None,
        nsfw: false,
        pinned: false,
        locked: false,
        paid: None,
        unpaid_price: None,
    }
}

/// A thread whose author did not pay what its board asks for.
fn unpaid() -> data::ThreadSummary {
    data::ThreadSummary {
        root: entry(3).to_string(),
        title: "Buy this".to_owned(),
        unpaid_price: Some(500),
        ..summary()
    }
}

fn status() -> data::Status {
    data::Status {
        version: "0".to_owned(),
        endpoint: "e".to_owned(),
        addresses: Vec::new(),
        identity: owner().to_string(),
        device: "d".to_owned(),
        offline: true,
        uptime_ms: 0,
        connected: 0,
        peers: Vec::new(),
        topics: 0,
        spaces: 1,
        entries: 1,
        pending: 0,
        forks: 0,
        blobs: 0,
        pins: 0,
        used_bytes: 0,
        max_bytes: 1 << 20,
        store: "redb".to_owned(),
        clock_skew_ms: None,
        traffic: Vec::new(),
        caps: data::Caps::default(),
        torrent_addr: None,
        warnings: Vec::new(),
    }
}

pub(super) fn ready<'a, T: Send + 'a>(value: T) -> Reply<'a, T> {
    Box::pin(async { Ok(value) })
}

pub(super) fn absent<'a, T: Send + 'a>() -> Reply<'a, T> {
    Box::pin(async {
        Err(NodeError::NotFound(
            "there is no such entry here".to_owned(),
        ))
    })
}

impl FakeNode {
    pub(super) fn write<T: Send + 'static>(&self, what: String, value: T) -> Reply<'_, T> {
        self.written.lock().unwrap().push(what);
        ready(value)
    }

    fn id(&self, what: String) -> Reply<'_, Written> {
        self.write(
            what,
            Written {
                id: entry(5).to_string(),
            },
        )
    }
}

impl Node for FakeNode {
    fn status(&self, _: Viewer) -> Reply<'_, data::Status> {
        ready(status())
    }
    fn ticket(&self, _: Viewer, _: TicketQuery) -> Reply<'_, String> {
        ready("dattticket".to_owned())
    }
    fn spaces(&self, _: Viewer) -> Reply<'_, Vec<data::Board>> {
        ready(vec![board()])
    }
    fn space(&self, _: Viewer, id: SpaceId) -> Reply<'_, data::Board> {
        if id == space() {
            ready(board())
        } else {
            absent()
        }
    }
    fn create_space(&self, new: NewSpace) -> Reply<'_, SpaceCreated> {
        let created = SpaceCreated {
            space: space().to_string(),
            ticket: "t".to_owned(),
        };
        self.write(
            format!(
                "space {} {}{}",
                new.title,
                new.policy.as_str(),
                new.price_sats
                    .map(|sats| format!(" {sats}"))
                    .unwrap_or_default()
            ),
            created,
        )
    }
    fn join(&self, request: JoinRequest) -> Reply<'_, Joined> {
        let joined = Joined {
            kind: JoinedKind::Space,
            id: space().to_string(),
        };
        self.write(format!("join {}", request.target), joined)
    }
    fn threads(&self, _: Viewer, _: ThreadsQuery) -> Reply<'_, data::Page<data::ThreadSummary>> {
        ready(data::Page {
            items: vec![summary(), unpaid()],
            next: Some("a b".to_owned()),
        })
    }
    fn thread(&self, _: Viewer, root: EntryId, _: PageQuery) -> Reply<'_, data::Thread> {
        if root != entry(1) && root != entry(2) {
            return absent();
        }
        ready(data::Thread {
            board: data::BoardLink {
                space: space().to_string(),
                title: "Field".to_owned(),
            },
            posts: vec![post(1, 0), post(2, 1)],
            total: 2,
            next: None,
            availability: data::Availability::default(),
            pin: false,
            ticket: None,
        })
    }
    fn post(&self, _: Viewer, id: EntryId) -> Reply<'_, data::Post> {
        match id.as_bytes()[0] {
            1 => ready(post(1, 0)),
            byte @ 2..=5 => ready(post(byte, 1)),
            _ => absent(),
        }
    }
    fn entry(&self, _: Viewer, _: EntryId) -> Reply<'_, data::Provenance> {
        absent()
    }
    fn publish(&self, new: NewPost) -> Reply<'_, Published> {
        let published = Published {
            id: entry(if new.reply_to.is_some() { 5 } else { 1 }).to_string(),
            availability: data::Availability::default(),
            warnings: vec!["no thumbnail".to_owned()],
        };
        let files: Vec<String> = new
            .media
            .iter()
            .map(|media| match media {
                MediaRef::Named(named) => {
                    let reach = named.publicity.map(|publicity| publicity.as_str());
                    let words = [named.name.as_deref(), named.alt.as_deref()];
                    let mut words = words.map(|word| word.unwrap_or("-")).to_vec();
                    words.extend(reach);
                    words.join(":")
                }
                MediaRef::Blob(blob) => blob.to_string(),
            })
            .collect();
        self.write(
            format!(
                "post {:?} {:?} {files:?}",
                new.title.unwrap_or_default(),
                new.body
            ),
            published,
        )
    }
    fn revise(&self, _: EntryId, edit: Edit) -> Reply<'_, Written> {
        self.id(format!("edit {}", edit.body))
    }
    fn vote(&self, _: EntryId, vote: VoteRequest) -> Reply<'_, Voted> {
        let voted = Voted {
            id: entry(6).to_string(),
            score: 2 + i64::from(vote.dir),
        };
        self.write(format!("vote {}", vote.dir), voted)
    }
    fn mark(&self, _: EntryId, mark: MarkRequest) -> Reply<'_, Written> {
        self.id(format!("mark {} off={}", mark.act.as_str(), mark.off))
    }
    fn report(&self, _: EntryId, why: String) -> Reply<'_, Written> {
        self.id(format!("report {why}"))
    }
    fn add_blob(&self, name: String, _: Option<u64>, mut body: ByteStream) -> Reply<'_, BlobAdded> {
        if self.full {
            return Box::pin(async {
                Err(NodeError::QuotaExceeded {
                    needed_bytes: 9,
                    used_bytes: 1,
                    max_bytes: 2,
                })
            });
        }
        Box::pin(async move {
            let mut bytes = Vec::new();
            while let Some(chunk) = body.next().await {
                bytes.extend_from_slice(&chunk?);
            }
            self.written
                .lock()
                .unwrap()
                .push(format!("blob {name} {}", bytes.len()));
            Ok(BlobAdded {
                blob: BlobId::of(&bytes).to_string(),
                ipfs: "an IPFS CID".to_owned(),
                name,
                media_type: "text/plain".to_owned(),
                size_bytes: bytes.len() as u64,
                width: None,
                height: None,
                duration_ms: None,
                thumb: None,
                torrent: None,
                notes: Vec::new(),
            })
        })
    }
    fn add_path(&self, _: AddRequest) -> Reply<'_, Items<ImportProgress>> {
        absent()
    }
    fn export(&self, _: Vec<Cid>) -> Reply<'_, ByteStream> {
        absent()
    }
    fn import_path(&self, _: String) -> Reply<'_, Items<CarProgress>> {
        absent()
    }
    fn blob_state(&self, _: Viewer, _: BlobId) -> Reply<'_, BlobState> {
        absent()
    }
    fn fetch_blob(&self, _: BlobId, _: FetchRequest) -> Reply<'_, Items<FetchProgress>> {
        absent()
    }
    fn retrieve(&self, _: Cid, _: RetrieveRequest) -> Reply<'_, Items<RetrieveProgress>> {
        absent()
    }
    fn denied(&self) -> Reply<'_, Denied> {
        absent()
    }
    fn deny(&self, _: Cid, _: Option<String>) -> Reply<'_, ()> {
        absent()
    }
    fn allow(&self, _: Cid) -> Reply<'_, ()> {
        absent()
    }
    fn open_blob(&self, _: Viewer, _: BlobId) -> Reply<'_, OpenBlob> {
        absent()
    }
    fn fetch_range(&self, _: Viewer, _: BlobId, _: Range<u64>) -> Reply<'_, ByteStream> {
        absent()
    }
    fn outboard(&self, _: Viewer, _: BlobId) -> Reply<'_, OpenBlob> {
        absent()
    }
    fn block(&self, _: Viewer, _: EntryId) -> Reply<'_, Bytes> {
        absent()
    }
    fn ipfs_resolve(&self, _: Viewer, _: Cid, _: Vec<String>, _: bool) -> Reply<'_, ResolvedPath> {
        absent()
    }
    fn ipfs_open(&self, _: Viewer, _: Cid) -> Reply<'_, OpenBlob> {
        absent()
    }
    fn ipfs_range(&self, _: Viewer, _: Cid, _: Range<u64>) -> Reply<'_, ByteStream> {
        absent()
    }
    fn ipfs_block(&self, _: Viewer, _: Cid) -> Reply<'_, Bytes> {
        absent()
    }
    fn ipfs_list(&self, _: Viewer, _: Cid) -> Reply<'_, IpfsListing> {
        absent()
    }
    fn ipfs_car(&self, _: Viewer, _: CarRequest) -> Reply<'_, ByteStream> {
        absent()
    }
    fn ipfs_providers(&self, _: Cid) -> Reply<'_, Vec<IpfsProvider>> {
        absent()
    }
    fn pins(&self) -> Reply<'_, Vec<data::Pin>> {
        ready(Vec::new())
    }
    fn pin(&self, id: String, request: PinRequest) -> Reply<'_, data::Pin> {
        let pin = data::Pin {
            id: id.clone(),
            kind: "thread".to_owned(),
            media: request.media.as_str().to_owned(),
            max_bytes: None,
            held_bytes: 0,
            total_bytes: 0,
            since_ms: 0,
            promised_bytes: 0,
            missing: 0,
            missing_since_ms: None,
            asked_by: None,
        };
        self.write(format!("pin {id}"), pin)
    }
    fn unpin(&self, id: String) -> Reply<'_, ()> {
        self.write(format!("unpin {id}"), ())
    }
    fn profile(&self, _: Viewer, identity: IdentityId, _: PageQuery) -> Reply<'_, data::Profile> {
        if identity != owner() {
            return absent();
        }
        ready(data::Profile {
            author: author(),
            about: String::new(),
            homes: vec!["javascript:alert(1)".to_owned()],
            devices: Vec::new(),
            mine: true,
            followed: false,
            posts: data::Page {
                items: vec![post(2, 1)],
                next: None,
            },
        })
    }
    fn set_profile(&self, edit: ProfileEdit) -> Reply<'_, Written> {
        self.id(format!(
            "profile {:?} avatar={}",
            edit.name,
            edit.avatar.is_some()
        ))
    }
    fn follow(&self, _: IdentityId, on: bool) -> Reply<'_, Written> {
        self.id(format!("follow {on}"))
    }
    fn verify(&self) -> Reply<'_, Items<VerifyProgress>> {
        absent()
    }
    fn events(&self, _: Viewer, _: EventQuery, _: usize) -> Reply<'_, EventBatch> {
        absent()
    }
    fn event_head(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
}
