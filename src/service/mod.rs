//! What the gateway asks of the node: one function for each thing a page, the API or a command does.

pub mod admin;
mod authors;
pub mod availability;
pub mod blobs;
mod boards;
pub mod car;
mod events;
pub mod ipfs;
mod mirroring;
mod payments;
mod people;
pub mod pinning;
mod provenance;
mod retrieving;
pub mod rows;
mod threads;
mod torrents;
pub mod writing;

use std::{future::ready, ops::Range, sync::Arc};

use bytes::Bytes;
use cid::Cid;
use gateway::{
    api::types::{
        AddRequest, BlobAdded, BlobState, CarProgress, Denied, Edit, EventQuery, FetchProgress,
        FetchRequest, ImportProgress, JoinRequest, Joined, MarkRequest, NewPost, NewSpace,
        PageQuery, PinRequest, ProfileEdit, Published, RetrieveProgress, RetrieveRequest,
        SpaceCreated, ThreadsQuery, TicketQuery, VerifyProgress, VoteRequest, Voted, Written,
    },
    ipfs::types::{CarRequest, IpfsListing, IpfsProvider, ResolvedPath},
    node::{ByteStream, EventBatch, Items, Node, OpenBlob, Reply, Viewer},
};
use model::{BlobId, EntryId, IdentityId, SpaceId};
use tokio::sync::watch;
use views::data;

use crate::{core::Core, denylist::honour, mirror::request::keep};

/// The running node, as the gateway sees it.
pub struct Service {
    core: Arc<Core>,
}

impl Service {
    /// Over the parts that `node.rs` put together.
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

impl Node for Service {
    fn status(&self, viewer: Viewer) -> Reply<'_, data::Status> {
        Box::pin(admin::status(&self.core, viewer))
    }

    fn ticket(&self, viewer: Viewer, query: TicketQuery) -> Reply<'_, String> {
        Box::pin(admin::ticket(&self.core, viewer, query))
    }

    fn spaces(&self, viewer: Viewer) -> Reply<'_, Vec<data::Board>> {
        Box::pin(boards::boards(&self.core, viewer))
    }

    fn space(&self, viewer: Viewer, space: SpaceId) -> Reply<'_, data::Board> {
        Box::pin(boards::board(&self.core, viewer, space))
    }

    fn create_space(&self, space: NewSpace) -> Reply<'_, SpaceCreated> {
        Box::pin(writing::create_space(&self.core, space))
    }

    fn join(&self, request: JoinRequest) -> Reply<'_, Joined> {
        Box::pin(keep::join_by_person(&self.core, request))
    }

    fn threads(
        &self,
        viewer: Viewer,
        query: ThreadsQuery,
    ) -> Reply<'_, data::Page<data::ThreadSummary>> {
        Box::pin(boards::threads(&self.core, viewer, query))
    }

    fn thread(&self, viewer: Viewer, root: EntryId, page: PageQuery) -> Reply<'_, data::Thread> {
        Box::pin(threads::thread(&self.core, viewer, root, page))
    }

    fn post(&self, viewer: Viewer, post: EntryId) -> Reply<'_, data::Post> {
        Box::pin(threads::post(&self.core, viewer, post))
    }

    fn entry(&self, viewer: Viewer, entry: EntryId) -> Reply<'_, data::Provenance> {
        Box::pin(provenance::provenance(&self.core, viewer, entry))
    }

    fn publish(&self, post: NewPost) -> Reply<'_, Published> {
        Box::pin(writing::publish(&self.core, post))
    }

    fn revise(&self, post: EntryId, edit: Edit) -> Reply<'_, Written> {
        Box::pin(writing::revise(&self.core, post, edit))
    }

    fn vote(&self, post: EntryId, vote: VoteRequest) -> Reply<'_, Voted> {
        Box::pin(writing::vote(&self.core, post, vote))
    }

    fn mark(&self, post: EntryId, mark: MarkRequest) -> Reply<'_, Written> {
        Box::pin(writing::mark(&self.core, post, mark))
    }

    fn report(&self, post: EntryId, why: String) -> Reply<'_, Written> {
        Box::pin(writing::report(&self.core, post, why))
    }

    fn add_blob(
        &self,
        name: String,
        size_bytes: Option<u64>,
        body: ByteStream,
    ) -> Reply<'_, BlobAdded> {
        Box::pin(blobs::add_stream(&self.core, name, size_bytes, body))
    }

    fn add_path(&self, request: AddRequest) -> Reply<'_, Items<ImportProgress>> {
        Box::pin(blobs::add_path(Arc::clone(&self.core), request))
    }

    fn export(&self, cids: Vec<Cid>) -> Reply<'_, ByteStream> {
        Box::pin(car::export(&self.core, cids))
    }

    fn import_path(&self, path: String) -> Reply<'_, Items<CarProgress>> {
        Box::pin(car::import_path(Arc::clone(&self.core), path))
    }

    fn blob_state(&self, _viewer: Viewer, blob: BlobId) -> Reply<'_, BlobState> {
        Box::pin(blobs::state(&self.core, blob))
    }

    fn fetch_blob(&self, blob: BlobId, request: FetchRequest) -> Reply<'_, Items<FetchProgress>> {
        Box::pin(blobs::fetch(Arc::clone(&self.core), blob, request))
    }

    fn open_blob(&self, viewer: Viewer, blob: BlobId) -> Reply<'_, OpenBlob> {
        Box::pin(blobs::open(&self.core, viewer, blob))
    }

    fn fetch_range(
        &self,
        viewer: Viewer,
        blob: BlobId,
        range: Range<u64>,
    ) -> Reply<'_, ByteStream> {
        Box::pin(blobs::range(&self.core, viewer, blob, range))
    }

    fn outboard(&self, _viewer: Viewer, blob: BlobId) -> Reply<'_, OpenBlob> {
        Box::pin(blobs::outboard(&self.core, blob))
    }

    fn block(&self, viewer: Viewer, cid: EntryId) -> Reply<'_, Bytes> {
        Box::pin(blobs::block(&self.core, viewer, cid))
    }

    fn ipfs_resolve(
        &self,
        viewer: Viewer,
        root: Cid,
        path: Vec<String>,
        local_only: bool,
    ) -> Reply<'_, ResolvedPath> {
        Box::pin(ipfs::resolve(&self.core, viewer, root, path, local_only))
    }

    fn ipfs_open(&self, viewer: Viewer, cid: Cid) -> Reply<'_, OpenBlob> {
        Box::pin(ipfs::open(&self.core, viewer, cid))
    }

    fn ipfs_range(&self, viewer: Viewer, cid: Cid, range: Range<u64>) -> Reply<'_, ByteStream> {
        Box::pin(ipfs::range(&self.core, viewer, cid, range))
    }

    fn ipfs_block(&self, viewer: Viewer, cid: Cid) -> Reply<'_, Bytes> {
        Box::pin(ipfs::block(&self.core, viewer, cid))
    }

    fn ipfs_list(&self, viewer: Viewer, cid: Cid) -> Reply<'_, IpfsListing> {
        Box::pin(ipfs::list(&self.core, viewer, cid))
    }

    fn ipfs_car(&self, viewer: Viewer, request: CarRequest) -> Reply<'_, ByteStream> {
        Box::pin(ipfs::car(&self.core, viewer, request))
    }

    fn ipfs_providers(&self, cid: Cid) -> Reply<'_, Vec<IpfsProvider>> {
        Box::pin(ipfs::providers(&self.core, cid))
    }

    fn retrieve(&self, root: Cid, request: RetrieveRequest) -> Reply<'_, Items<RetrieveProgress>> {
        Box::pin(retrieving::retrieve(Arc::clone(&self.core), root, request))
    }

    fn denied(&self) -> Reply<'_, Denied> {
        Box::pin(retrieving::denied(&self.core))
    }

    fn deny(&self, cid: Cid, reason: Option<String>) -> Reply<'_, ()> {
        Box::pin(honour::decide(&self.core, cid, false, reason))
    }

    fn allow(&self, cid: Cid) -> Reply<'_, ()> {
        Box::pin(honour::decide(&self.core, cid, true, None))
    }

    fn pins(&self) -> Reply<'_, Vec<data::Pin>> {
        Box::pin(pinning::pins(&self.core))
    }

    fn pin(&self, id: String, request: PinRequest) -> Reply<'_, data::Pin> {
        Box::pin(pinning::pin(&self.core, id, request))
    }

    fn unpin(&self, id: String) -> Reply<'_, ()> {
        Box::pin(keep::unpin_by_person(&self.core, id))
    }

    fn profile(
        &self,
        viewer: Viewer,
        identity: IdentityId,
        page: PageQuery,
    ) -> Reply<'_, data::Profile> {
        Box::pin(people::profile(&self.core, viewer, identity, page))
    }

    fn set_profile(&self, edit: ProfileEdit) -> Reply<'_, Written> {
        Box::pin(writing::set_profile(&self.core, edit))
    }

    fn follow(&self, identity: IdentityId, on: bool) -> Reply<'_, Written> {
        Box::pin(keep::follow_by_person(&self.core, identity, on))
    }

    fn verify(&self) -> Reply<'_, Items<VerifyProgress>> {
        Box::pin(ready(Ok(admin::verify(Arc::clone(&self.core)))))
    }

    fn events(&self, viewer: Viewer, query: EventQuery, limit: usize) -> Reply<'_, EventBatch> {
        Box::pin(events::events(&self.core, viewer, query, limit))
    }

    fn event_head(&self) -> watch::Receiver<u64> {
        self.core.events.subscribe()
    }
}
