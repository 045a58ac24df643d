//! A node made of plain maps.

use std::{
    collections::BTreeMap,
    fs::File,
    future::ready,
    io::Write as _,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use cid::Cid;
use futures_lite::{StreamExt, stream};
use model::{BlobId, EntryId, IdentityId, SpaceId};
use tokio::sync::watch;
use views::data;

use super::{ipfs_fake::World, swarm_fake::Swarm};
use crate::{api::types::*, ipfs::types::*, node::*};

pub struct Fake {
    pub blobs: Mutex<BTreeMap<BlobId, OpenBlob>>,
    pub bytes: Mutex<BTreeMap<BlobId, Bytes>>,
    pub blocks: Mutex<BTreeMap<EntryId, Bytes>>,
    pub events: Mutex<Vec<data::Event>>,
    pub head: Mutex<Option<watch::Sender<u64>>>,
    pub writes: AtomicUsize,
    pub fetches: AtomicUsize,
    pub last_viewer: Mutex<Option<Viewer>>,
    pub ipfs: World,
    pub swarm: Swarm,
    receiver: watch::Receiver<u64>,
}

/// A blob that a peer promised and never sends.
pub const SILENT: &[u8] = b"nobody sends this";

impl Fake {
    pub fn new() -> Self {
        let (sender, receiver) = watch::channel(0);
        Self {
            blobs: Mutex::default(),
            bytes: Mutex::default(),
            blocks: Mutex::default(),
            events: Mutex::default(),
            head: Mutex::new(Some(sender)),
            writes: AtomicUsize::new(0),
            fetches: AtomicUsize::new(0),
            last_viewer: Mutex::default(),
            ipfs: World::default(),
            swarm: Swarm::default(),
            receiver,
        }
    }

    pub fn hold_file(&self, bytes: &[u8]) -> BlobId {
        let mut file: File = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        self.hold(bytes, BlobBody::File(Arc::new(file)))
    }

    pub fn hold_bytes(&self, bytes: &[u8]) -> BlobId {
        self.hold(bytes, BlobBody::Bytes(Bytes::copy_from_slice(bytes)))
    }

    pub fn hold_partly(&self, bytes: &[u8]) -> BlobId {
        self.hold(bytes, BlobBody::Partial)
    }

    pub fn hold_block(&self, bytes: &'static [u8]) -> EntryId {
        let id = EntryId::of(bytes);
        self.blocks
            .lock()
            .unwrap()
            .insert(id, Bytes::from_static(bytes));
        id
    }

    fn hold(&self, bytes: &[u8], body: BlobBody) -> BlobId {
        let id = BlobId::of(bytes);
        let open = OpenBlob {
            size_bytes: bytes.len() as u64,
            body,
        };
        self.blobs.lock().unwrap().insert(id, open);
        self.bytes
            .lock()
            .unwrap()
            .insert(id, Bytes::copy_from_slice(bytes));
        id
    }

    pub fn commit(&self, root: EntryId) {
        let mut events = self.events.lock().unwrap();
        let seq = events.len() as u64 + 1;
        events.push(data::Event {
            cursor: format!("7:{seq}"),
            kind: "insert".into(),
            space: "a space".into(),
            root: Some(root.to_string()),
            table: "post".into(),
            row: format!("row {seq}"),
            cause: "an entry".into(),
            about: None,
        });
        drop(events);
        if let Some(head) = &*self.head.lock().unwrap() {
            head.send_replace(seq);
        }
    }

    pub fn written<T>(&self, answer: T) -> Reply<'_, T>
    where
        T: Send + 'static,
    {
        self.writes.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(answer) })
    }

    fn open(&self, blob: BlobId) -> Result<OpenBlob, NodeError> {
        let open = self.blobs.lock().unwrap().get(&blob).cloned();
        open.ok_or_else(|| NodeError::NotFound(format!("blob {blob} is not known here")))
    }
}

pub fn absent<'a, T: Send + 'a>() -> Reply<'a, T> {
    Box::pin(async { Err(NodeError::NotFound("the fake has none".into())) })
}

fn id() -> Written {
    Written {
        id: "an entry".into(),
    }
}

impl Node for Fake {
    fn status(&self, viewer: Viewer) -> Reply<'_, data::Status> {
        *self.last_viewer.lock().unwrap() = Some(viewer);
        absent()
    }
    fn ticket(&self, viewer: Viewer, _: TicketQuery) -> Reply<'_, String> {
        *self.last_viewer.lock().unwrap() = Some(viewer);
        Box::pin(async { Ok("dattticket".into()) })
    }
    fn spaces(&self, viewer: Viewer) -> Reply<'_, Vec<data::Board>> {
        *self.last_viewer.lock().unwrap() = Some(viewer);
        Box::pin(async { Ok(Vec::new()) })
    }
    fn space(&self, _: Viewer, _: SpaceId) -> Reply<'_, data::Board> {
        absent()
    }
    fn create_space(&self, _: NewSpace) -> Reply<'_, SpaceCreated> {
        self.written(SpaceCreated {
            space: "a space".into(),
            ticket: "a ticket".into(),
        })
    }
    fn join(&self, _: JoinRequest) -> Reply<'_, Joined> {
        self.written(Joined {
            kind: JoinedKind::Space,
            id: "a space".into(),
        })
    }
    fn threads(
        &self,
        _: Viewer,
        query: ThreadsQuery,
    ) -> Reply<'_, data::Page<data::ThreadSummary>> {
        let next = query.limit.map(|limit| limit.to_string());
        Box::pin(async {
            Ok(data::Page {
                items: Vec::new(),
                next,
            })
        })
    }
    fn thread(&self, _: Viewer, _: EntryId, _: PageQuery) -> Reply<'_, data::Thread> {
        absent()
    }
    fn post(&self, _: Viewer, _: EntryId) -> Reply<'_, data::Post> {
        absent()
    }
    fn entry(&self, _: Viewer, _: EntryId) -> Reply<'_, data::Provenance> {
        absent()
    }
    fn publish(&self, _: NewPost) -> Reply<'_, Published> {
        let availability = data::Availability::default();
        self.written(Published {
            id: "an entry".into(),
            availability,
            warnings: Vec::new(),
        })
    }
    fn revise(&self, _: EntryId, _: Edit) -> Reply<'_, Written> {
        self.written(id())
    }
    fn vote(&self, _: EntryId, vote: VoteRequest) -> Reply<'_, Voted> {
        self.written(Voted {
            id: "a vote".into(),
            score: vote.dir.into(),
        })
    }
    fn mark(&self, _: EntryId, _: MarkRequest) -> Reply<'_, Written> {
        self.written(id())
    }
    fn report(&self, _: EntryId, _: String) -> Reply<'_, Written> {
        self.written(id())
    }
    fn add_blob(&self, name: String, _: Option<u64>, mut body: ByteStream) -> Reply<'_, BlobAdded> {
        Box::pin(async move {
            let mut bytes = Vec::new();
            while let Some(chunk) = body.next().await {
                bytes.extend_from_slice(&chunk?);
            }
            self.writes.fetch_add(1, Ordering::SeqCst);
            Ok(BlobAdded {
                blob: BlobId::of(&bytes).to_string(),
                ipfs: "an IPFS CID".into(),
                name,
                media_type: "application/octet-stream".into(),
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
    fn add_path(&self, request: AddRequest) -> Reply<'_, Items<ImportProgress>> {
        Box::pin(async move {
            let half = ImportProgress::Progress {
                stage: "copy".into(),
                done_bytes: 1,
                total_bytes: 2,
            };
            let error = NodeError::NotFound(format!("there is no file {}", request.path));
            let more = ImportProgress::Progress {
                stage: "hash".into(),
                done_bytes: 1,
                total_bytes: 2,
            };
            Ok(stream::iter([Ok(half), Err(error), Ok(more)]).boxed())
        })
    }
    fn export(&self, _: Vec<Cid>) -> Reply<'_, ByteStream> {
        let car = Bytes::from_static(b"a CAR");
        Box::pin(async { Ok(stream::once(Ok(car)).boxed()) })
    }
    fn import_path(&self, path: String) -> Reply<'_, Items<CarProgress>> {
        Box::pin(async move { Err(NodeError::NotFound(format!("there is no file {path}"))) })
    }
    fn blob_state(&self, _: Viewer, blob: BlobId) -> Reply<'_, BlobState> {
        Box::pin(async move {
            let open = self.open(blob)?;
            let complete = !matches!(open.body, BlobBody::Partial);
            Ok(BlobState {
                blob: blob.to_string(),
                size_bytes: open.size_bytes,
                held_bytes: 0,
                complete,
                media_type: String::new(),
                availability: data::Availability::default(),
                torrent: None,
            })
        })
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
    fn fetch_blob(&self, _: BlobId, _: FetchRequest) -> Reply<'_, Items<FetchProgress>> {
        Box::pin(async {
            let steps = [
                FetchProgress::Progress {
                    held_bytes: 1,
                    total_bytes: 2,
                },
                FetchProgress::Done {
                    held_bytes: 2,
                    total_bytes: 2,
                },
            ];
            Ok(stream::iter(steps.map(Ok)).boxed())
        })
    }
    fn open_blob(&self, viewer: Viewer, blob: BlobId) -> Reply<'_, OpenBlob> {
        *self.last_viewer.lock().unwrap() = Some(viewer);
        Box::pin(async move { self.open(blob) })
    }
    fn fetch_range(&self, _: Viewer, blob: BlobId, range: Range<u64>) -> Reply<'_, ByteStream> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let bytes = self.bytes.lock().unwrap()[&blob].clone();
            if bytes == SILENT {
                return Ok(stream::pending().boxed());
            }
            let part = bytes.slice(range.start as usize..range.end as usize);
            let chunks: Vec<Bytes> = part.chunks(100).map(Bytes::copy_from_slice).collect();
            Ok(stream::iter(chunks.into_iter().map(Ok)).boxed())
        })
    }
    fn outboard(&self, _: Viewer, blob: BlobId) -> Reply<'_, OpenBlob> {
        Box::pin(async move { self.open(blob) })
    }
    fn block(&self, _: Viewer, cid: EntryId) -> Reply<'_, Bytes> {
        let block = self.blocks.lock().unwrap().get(&cid).cloned();
        Box::pin(async move {
            block.ok_or_else(|| NodeError::NotFound(format!("block {cid} is not known here")))
        })
    }
    fn ipfs_resolve(
        &self,
        viewer: Viewer,
        root: Cid,
        path: Vec<String>,
        _: bool,
    ) -> Reply<'_, ResolvedPath> {
        *self.last_viewer.lock().unwrap() = Some(viewer);
        Box::pin(ready(self.ipfs.resolve(root, &path)))
    }
    fn ipfs_open(&self, _: Viewer, cid: Cid) -> Reply<'_, OpenBlob> {
        Box::pin(ready(self.ipfs.open(cid)))
    }
    fn ipfs_range(&self, _: Viewer, cid: Cid, range: Range<u64>) -> Reply<'_, ByteStream> {
        Box::pin(ready(self.ipfs.range(cid, range)))
    }
    fn ipfs_block(&self, _: Viewer, cid: Cid) -> Reply<'_, Bytes> {
        let own = EntryId::try_from(&cid).ok();
        let own = own.and_then(|id| self.blocks.lock().unwrap().get(&id).cloned());
        Box::pin(ready(match own {
            Some(block) => Ok(block),
            None => self.ipfs.block(cid),
        }))
    }
    fn ipfs_list(&self, _: Viewer, cid: Cid) -> Reply<'_, IpfsListing> {
        Box::pin(ready(self.ipfs.list(cid)))
    }
    fn ipfs_car(&self, _: Viewer, request: CarRequest) -> Reply<'_, ByteStream> {
        Box::pin(ready(self.ipfs.car(request)))
    }
    fn ipfs_providers(&self, cid: Cid) -> Reply<'_, Vec<IpfsProvider>> {
        let provider = self.ipfs.providers.lock().unwrap().get(&cid).cloned();
        Box::pin(ready(Ok(provider.into_iter().collect())))
    }
    fn pins(&self) -> Reply<'_, Vec<data::Pin>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn pin(&self, _: String, _: PinRequest) -> Reply<'_, data::Pin> {
        absent()
    }
    fn unpin(&self, _: String) -> Reply<'_, ()> {
        self.written(())
    }
    fn profile(&self, _: Viewer, _: IdentityId, _: PageQuery) -> Reply<'_, data::Profile> {
        absent()
    }
    fn set_profile(&self, _: ProfileEdit) -> Reply<'_, Written> {
        self.written(id())
    }
    fn follow(&self, _: IdentityId, _: bool) -> Reply<'_, Written> {
        self.written(id())
    }
    fn verify(&self) -> Reply<'_, Items<VerifyProgress>> {
        Box::pin(async {
            let done = VerifyProgress::Done {
                ok: true,
                problems: Vec::new(),
            };
            Ok(stream::once(Ok(done)).boxed())
        })
    }
    fn events(&self, _: Viewer, query: EventQuery, limit: usize) -> Reply<'_, EventBatch> {
        let events = self.events.lock().unwrap().clone();
        Box::pin(async move {
            let now = format!("7:{}", events.len());
            let Some(cursor) = query.cursor else {
                return Ok(EventBatch {
                    events: Vec::new(),
                    next: now,
                    reset: false,
                });
            };
            let (epoch, seq) = cursor
                .split_once(':')
                .ok_or_else(|| NodeError::Invalid(format!("`{cursor}` is no cursor")))?;
            if epoch != "7" {
                return Ok(EventBatch {
                    events: Vec::new(),
                    next: now,
                    reset: true,
                });
            }
            let seen: usize = seq.parse().unwrap();
            let looked_at: Vec<_> = events.into_iter().skip(seen).take(limit).collect();
            let next = format!("7:{}", seen + looked_at.len());
            let root = query.root.map(|root| root.to_string());
            let matches = |event: &data::Event| root.is_none() || event.root == root;
            let events = looked_at.into_iter().filter(matches).collect();
            Ok(EventBatch {
                events,
                next,
                reset: false,
            })
        })
    }
    fn event_head(&self) -> watch::Receiver<u64> {
        self.receiver.clone()
    }
}
