//! verify → seed: what may go into swarms is offered there, and taken back when it may not any more.
//!
//! A blob may when its person said so, when its author said so in a post on a public board, or when
//! as many nodes hold it as the configuration asks for. Not before is one packet sent about it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use blocks::{BlobSource, Keep};
use database::forum::{Post, Sort};
use gateway::node::NodeError;
use model::{BlobId, EntryId, Item, SpaceId};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use torrent::{
    FileRole, Info, InfoHash,
    swarm::{Seed, SwarmEvent},
};
use views::data::{Claim, Publicity};

use crate::{
    clock::now_ms,
    core::Core,
    service::blobs::ADDED,
    torrents::{self, Mention, Origin, Said, Shelved},
};

/// Without a word, everything is looked at this often.
const LOOK: Duration = Duration::from_secs(30);
/// Blobs in one page of the index.
const PAGE: usize = 1_000;

/// Works until cancelled.
pub async fn run(core: Arc<Core>, cancel: CancellationToken) {
    cancel.run_until_cancelled(work(&core)).await;
}

async fn work(core: &Arc<Core>) {
    if !core.torrents.is_enabled() {
        return std::future::pending().await;
    }
    survey(core).await;
    let mut events = None;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let event = async {
            let events = match &mut events {
                Some(events) => events,
                None => events.insert(core.torrents.started().await.events()),
            };
            events.recv().await
        };
        tokio::select! {
            _ = looks.tick() => look_at_everything(core).await,
            () = core.torrents.look.notified() => {
                for blob in core.torrents.take_asked() {
                    told(blob, consider(core, blob).await);
                }
            }
            event = event => match event {
                Ok(event) => withdrawn(core, event).await,
                // Whatever was missed is found by the next look.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}

fn told(what: impl std::fmt::Display, done: Result<(), NodeError>) {
    if let Err(error) = done {
        tracing::warn!(%what, %error, "cannot decide whether it goes into swarms");
    }
}

/// Goes through all posts once, so that it is known what their authors say of swarms, and which files
/// are on unlisted boards.
async fn survey(core: &Arc<Core>) {
    match core.blobs.kept().await {
        Ok(kept) => {
            let added = Keep::pin(ADDED);
            let own = kept.iter().filter(|(_, reasons)| reasons.contains(&added));
            core.torrents.note_own(own.map(|(blob, _)| *blob));
        }
        Err(error) => {
            tracing::warn!(%error, "cannot tell own files; none goes into swarms");
            return std::future::pending().await;
        }
    }
    for space in core.follows.spaces().into_keys() {
        if let Err(error) = survey_space(core, space).await {
            tracing::warn!(%space, %error, "cannot look a board through; nothing goes into swarms");
            return std::future::pending().await;
        }
    }
    core.torrents.note_surveyed();
}

async fn survey_space(core: &Arc<Core>, space: SpaceId) -> Result<(), NodeError> {
    let is_unlisted = core.is_unlisted(&space);
    let mut after = None;
    loop {
        let from = after.take();
        let threads = core.store("look a board through", move |database| {
            database
                .read()?
                .threads(Some(space), Sort::New, from.as_deref(), PAGE)
        });
        let threads = threads.await?;
        for thread in threads.items {
            survey_thread(core, thread.root, is_unlisted).await?;
        }
        match threads.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

async fn survey_thread(
    core: &Arc<Core>,
    root: EntryId,
    is_unlisted: bool,
) -> Result<(), NodeError> {
    let mut after = None;
    loop {
        let from = after.take();
        let posts = core.store("look a thread through", move |database| {
            database.read()?.posts(&root, None, from.as_deref(), PAGE)
        });
        let posts = posts.await?;
        for post in &posts.items {
            note_post(core, post, is_unlisted);
        }
        match posts.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// Notes what a post says of its media. What moderators hid says nothing.
pub fn note_post(core: &Core, post: &Post, is_unlisted: bool) {
    for medium in &post.media {
        core.torrents.note_claim(Mention {
            blob: medium.blob,
            size_bytes: medium.size_bytes,
            infohash: medium
                .infohash
                .filter(|_| !post.hidden)
                .map(InfoHash::from_bytes),
            is_unlisted,
            is_own: post.author == core.identity,
        });
    }
}

async fn look_at_everything(core: &Arc<Core>) {
    core.torrents.forget_missed();
    let mut after = None;
    loop {
        let page = match core.blobs.pieced(after, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "cannot list what could go into swarms");
                return;
            }
        };
        for (blob, _) in &page {
            told(blob, consider(core, *blob).await);
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => after = Some(*last),
            _ => break,
        }
    }
    for (infohash, shelved) in core.torrents.shelf.all() {
        told(infohash, look_at_shelved(core, infohash, shelved).await);
    }
}

/// Looks at one blob: whether its torrent is offered follows from what is known now.
///
/// # Errors
/// When a list or the store fails.
pub async fn consider(core: &Arc<Core>, blob: BlobId) -> Result<(), NodeError> {
    core.torrents.surveyed().await;
    let shelved = core.torrents.shelf.with(&blob);
    if !is_for_swarms(core, blob).await? {
        for (infohash, shelved) in shelved {
            let goes = match shelved.origin {
                Origin::Blob => true,
                Origin::Album => is_kept_out(core, blob),
                Origin::Foreign => false,
            };
            if goes {
                take_back(core, infohash).await?;
            }
        }
        return Ok(());
    }
    if let Some((infohash, shelved)) = shelved
        .into_iter()
        .find(|(_, shelved)| shelved.origin == Origin::Blob)
    {
        return offer(core, infohash, &shelved).await;
    }
    let Some(info) = torrents::info_of(core, blob).await? else {
        return Ok(());
    };
    let uploaded = Core::lock(&core.uploads).get(&blob).cloned();
    let shelved = Shelved {
        name: uploaded.map_or_else(|| info.name().to_owned(), |added| added.name),
        size_bytes: info.length_bytes(),
        blobs: vec![blob],
        origin: Origin::Blob,
        seed: true,
    };
    shelve(core, info, shelved).await
}

/// Whether something says that a file may not be in a swarm, alone or in an album.
fn is_kept_out(core: &Core, blob: BlobId) -> bool {
    let said = core.torrents.said(&blob);
    let word = core.torrents.publicity.of(&blob);
    core.is_denied(blob)
        || word.is_some_and(|word| word != Publicity::Swarm)
        || (said.is_unlisted && !said.is_public)
}

/// Puts a torrent on the shelf and offers it.
///
/// # Errors
/// When the shelf can't be written.
pub async fn shelve(core: &Arc<Core>, info: Info, shelved: Shelved) -> Result<(), NodeError> {
    let infohash = info.infohash();
    let (put, stored) = (Arc::clone(core), shelved.clone());
    let work = move || put.torrents.shelf.put(&put.folder, &info, stored);
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => offer(core, infohash, &shelved).await,
        Ok(Err(error)) => Err(NodeError::local("note a torrent", error)),
        Err(panic) => Err(NodeError::local("note a torrent", panic)),
    }
}

/// Whether a blob may go into swarms.
async fn is_for_swarms(core: &Core, blob: BlobId) -> Result<bool, NodeError> {
    if is_kept_out(core, blob) {
        return Ok(false);
    }
    let said = core.torrents.said(&blob);
    match core.torrents.publicity.of(&blob) {
        Some(_) => Ok(true),
        None if !said.is_public => Ok(false),
        // Who posts a file of somebody else doesn't consent for him.
        None if said.is_own => Ok(has_holders(core, blob)),
        None => Ok(is_claimed(core, blob, &said).await? || has_holders(core, blob)),
    }
}

async fn is_claimed(core: &Core, blob: BlobId, said: &Said) -> Result<bool, NodeError> {
    for claimed in &said.claims {
        if torrents::claim_of(core, blob, claimed.infohash).await? == Claim::Verified {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_holders(core: &Core, blob: BlobId) -> bool {
    let enough = core.config.torrent.swarm_after_holders;
    enough > 0 && holders(core, blob) >= enough
}

fn holders(core: &Core, blob: BlobId) -> u32 {
    Core::lock(&core.holdings).count(Item::Blob(blob), core.network.id(), now_ms())
}

/// Albums and foreign torrents: offered for as long as their person wants it and all is here.
async fn look_at_shelved(
    core: &Arc<Core>,
    infohash: InfoHash,
    shelved: Shelved,
) -> Result<(), NodeError> {
    let mut blobs = shelved.blobs.iter();
    let is_kept_out = match shelved.origin {
        Origin::Blob | Origin::Album => blobs.any(|blob| is_kept_out(core, *blob)),
        Origin::Foreign => blobs.any(|blob| core.is_denied(*blob)),
    };
    if is_kept_out {
        return take_back(core, infohash).await;
    }
    let mut is_held = true;
    for blob in &shelved.blobs {
        is_held &= super::fetch::is_held(core, *blob).await;
    }
    match shelved.origin {
        // Offered by its blob; here only if that is gone.
        Origin::Blob if is_held => Ok(()),
        Origin::Blob => take_back(core, infohash).await,
        Origin::Album | Origin::Foreign if is_held && shelved.seed => {
            offer(core, infohash, &shelved).await
        }
        Origin::Album | Origin::Foreign => {
            withdraw(core, infohash).await;
            Ok(())
        }
    }
}

/// Out of the session; what is known of it stays.
async fn withdraw(core: &Core, infohash: InfoHash) {
    if let Some(swarm) = core.torrents.swarm() {
        swarm.withdraw(infohash).await;
    }
    core.torrents.note_offered(infohash, false);
}

async fn offer(core: &Arc<Core>, infohash: InfoHash, shelved: &Shelved) -> Result<(), NodeError> {
    if core.torrents.is_offered(&infohash) {
        return Ok(());
    }
    let shelf = Arc::clone(core);
    let read = tokio::task::spawn_blocking(move || shelf.torrents.shelf.info(&infohash)).await;
    let Ok(Some(info)) = read else {
        return take_back(core, infohash).await;
    };
    let Some(files) = files(core, &info, shelved).await? else {
        // Not all of it is here now: it may come back.
        return Ok(());
    };
    let rarity = shelved.blobs.iter().map(|blob| holders(core, *blob)).min();
    let is_public = shelved.origin != Origin::Foreign;
    let session = core.torrents.session().await;
    let problem = session.as_ref().err().map(ToString::to_string);
    core.warn("torrent", problem);
    let session = session?;
    core.torrents.note_offered(infohash, true);
    session.offer(Seed {
        metainfo: torrents::metainfo(core, info, is_public),
        files,
        rarity: rarity.unwrap_or(0),
    });
    tracing::info!(%infohash, name = %shelved.name, "offered to swarms");
    Ok(())
}

/// Where the files of a torrent lie; none when not all of it is held.
async fn files(
    core: &Core,
    info: &Info,
    shelved: &Shelved,
) -> Result<Option<Vec<PathBuf>>, NodeError> {
    let mut blobs = shelved.blobs.iter();
    let mut files = Vec::with_capacity(info.files().len());
    for file in info.files() {
        if file.role() != FileRole::Content {
            files.push(PathBuf::new());
            continue;
        }
        let Some(blob) = blobs.next() else {
            return Ok(None);
        };
        match core.blobs.source(*blob).await {
            Ok(BlobSource::File { path, .. }) => files.push(path),
            Ok(BlobSource::Bytes(bytes)) => {
                let put = core.torrents.shelf.small_file(&core.folder, blob, &bytes);
                files.push(put.map_err(|error| NodeError::local("write a small file", error))?);
            }
            Err(_) => return Ok(None),
        }
    }
    Ok(Some(files))
}

/// The session gave a torrent up: what was wrong with its files is looked into.
async fn withdrawn(core: &Arc<Core>, event: SwarmEvent) {
    let SwarmEvent::Withdrawn { infohash, reason } = event;
    tracing::warn!(%infohash, ?reason, "no longer seeded: its files are not what they were");
    core.torrents.note_offered(infohash, false);
    let shelved = core.torrents.shelf.get(&infohash);
    for blob in shelved.iter().flat_map(|shelved| &shelved.blobs) {
        // Opening it has the store compare it with what it was.
        if let Err(error) = core.blobs.source(*blob).await {
            tracing::warn!(%blob, %error, "a seeded file can't be read");
        }
    }
}

/// Stops seeding a torrent and forgets it; the bytes stay.
///
/// # Errors
/// When the shelf can't be written.
pub async fn take_back(core: &Arc<Core>, infohash: InfoHash) -> Result<(), NodeError> {
    withdraw(core, infohash).await;
    let removed = core.torrents.shelf.remove(&core.folder, &infohash);
    removed.map_err(|error| NodeError::local("forget a torrent", error))?;
    Ok(())
}
