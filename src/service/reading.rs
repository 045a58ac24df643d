//! Boards, threads, posts, people and events, as pages and the API show them.

use std::{collections::BTreeMap, sync::Arc};

use blocks::BlobStatus;
use database::{
    Cursor, DatabaseError, EventKind, PayloadState, Reader, Source, Verdict, forum, schema,
};
use gateway::{
    api::types::{EventQuery, PageQuery, ThreadsQuery},
    node::{EventBatch, NodeError, Viewer},
};
use model::{EntryId, IdentityId, Ipld, SpaceId};
use views::data;

use super::availability;
use crate::{core::Core, pins::Target};

/// Threads of a page, where the request doesn't say.
const THREADS: usize = 30;
/// Posts of a thread's page, where the request doesn't say.
const POSTS: usize = 1_000;
/// Posts of a profile's page, where the request doesn't say.
const PROFILE_POSTS: usize = 30;

/// Names of the identities of one answer, each looked up once.
struct Authors<'r, 's> {
    reader: &'r Reader<'s>,
    known: BTreeMap<IdentityId, data::Author>,
}

impl<'r, 's> Authors<'r, 's> {
    fn new(reader: &'r Reader<'s>) -> Self {
        Self {
            reader,
            known: BTreeMap::new(),
        }
    }

    fn of(&mut self, identity: &IdentityId) -> Result<data::Author, DatabaseError> {
        if let Some(author) = self.known.get(identity) {
            return Ok(author.clone());
        }
        let profile = self.reader.profile(identity)?.unwrap_or_default();
        let author = data::Author {
            identity: identity.to_string(),
            name: profile.name.filter(|name| !name.is_empty()),
            avatar: profile.avatar.map(|blob| blob.to_string()),
        };
        self.known.insert(*identity, author.clone());
        Ok(author)
    }
}

/// Whether a viewer may know of a space.
fn may_see(core: &Core, viewer: Viewer, space: &SpaceId, unlisted: bool) -> bool {
    viewer.is_owner() || !(unlisted || core.is_unlisted(space))
}

fn unknown(what: &str, id: impl std::fmt::Display) -> NodeError {
    NodeError::NotFound(format!(
        "the {what} {id} is not held here; ask who gave you the link for a ticket, then \
         `datt join TICKET`"
    ))
}

fn board_data(
    core: &Core,
    viewer: Viewer,
    authors: &mut Authors<'_, '_>,
    board: forum::Board,
) -> Result<data::Board, DatabaseError> {
    Ok(data::Board {
        space: board.space.to_string(),
        title: board
            .title
            .unwrap_or_else(|| format!("…{}", board.space.short())),
        about: board.about,
        rules: board.rules,
        icon: board.icon.map(|blob| blob.to_string()),
        lang: board.lang,
        policy: board.policy,
        homes: board.homes,
        owner: authors.of(&board.owner)?,
        threads: board.threads,
        last_ms: board.last_ms,
        unlisted: board.unlisted || core.is_unlisted(&board.space),
        can_admin: viewer.is_owner() && board.owner == core.identity,
    })
}

/// The boards followed.
pub async fn boards(core: &Arc<Core>, viewer: Viewer) -> Result<Vec<data::Board>, NodeError> {
    let node = Arc::clone(core);
    core.store("list the boards", move |database| {
        let reader = database.read()?;
        let mut authors = Authors::new(&reader);
        reader
            .boards()?
            .into_iter()
            .filter(|board| may_see(&node, viewer, &board.space, board.unlisted))
            .map(|board| board_data(&node, viewer, &mut authors, board))
            .collect::<Result<Vec<_>, DatabaseError>>()
    })
    .await
}

/// One board.
pub async fn board(
    core: &Arc<Core>,
    viewer: Viewer,
    space: SpaceId,
) -> Result<data::Board, NodeError> {
    let node = Arc::clone(core);
    let found = core.store("read a board", move |database| {
        let reader = database.read()?;
        match reader.board(&space)? {
            Some(board) if may_see(&node, viewer, &space, board.unlisted) => {
                board_data(&node, viewer, &mut Authors::new(&reader), board).map(Some)
            }
            _ => Ok::<_, DatabaseError>(None),
        }
    });
    found.await?.ok_or_else(|| unknown("board", space))
}

fn board_link(reader: &Reader<'_>, space: &SpaceId) -> Result<data::BoardLink, DatabaseError> {
    let title = reader.board(space)?.and_then(|board| board.title);
    Ok(data::BoardLink {
        space: space.to_string(),
        title: title.unwrap_or_else(|| format!("…{}", space.short())),
    })
}

fn sort(sort: data::Sort) -> forum::Sort {
    match sort {
        data::Sort::Hot => forum::Sort::Hot,
        data::Sort::New => forum::Sort::New,
        data::Sort::Top => forum::Sort::Top,
    }
}

fn limit(asked: Option<u32>, default: usize) -> usize {
    asked.map_or(default, |limit| limit as usize)
}

/// Threads of one board, or of all.
pub async fn threads(
    core: &Arc<Core>,
    viewer: Viewer,
    query: ThreadsQuery,
) -> Result<data::Page<data::ThreadSummary>, NodeError> {
    let node = Arc::clone(core);
    if let Some(space) = query.space {
        board(core, viewer, space).await?;
    }
    core.store("list threads", move |database| {
        let reader = database.read()?;
        let mut authors = Authors::new(&reader);
        let mut boards: BTreeMap<SpaceId, data::BoardLink> = BTreeMap::new();
        let count = limit(query.limit, THREADS);
        let page = reader.threads(query.space, sort(query.sort), query.after.as_deref(), count)?;
        let mut items = Vec::with_capacity(page.items.len());
        for thread in page.items {
            // An unlisted board's threads are shown on its own page only.
            let unlisted = node.is_unlisted(&thread.space);
            if unlisted && (query.space.is_none() || !viewer.is_owner()) {
                continue;
            }
            if !boards.contains_key(&thread.space) {
                boards.insert(thread.space, board_link(&reader, &thread.space)?);
            }
            let my_vote = match viewer {
                Viewer::Owner => reader
                    .post(&thread.root, Some(node.identity))?
                    .map_or(0, |post| post.vote),
                Viewer::Stranger => 0,
            };
            let media = thread.media.as_ref();
            items.push(data::ThreadSummary {
                root: thread.root.to_string(),
                board: boards[&thread.space].clone(),
                author: authors.of(&thread.author)?,
                title: thread.title,
                url: thread.url,
                time_ms: thread.time_ms,
                last_ms: thread.last_ms,
                score: thread.score,
                my_vote,
                replies: thread.replies,
                thumb: media
                    .and_then(|media| media.thumb)
                    .map(|blob| blob.to_string()),
                media_type: media.map(|media| media.media_type.clone()),
                nsfw: thread.nsfw,
                pinned: thread.pinned,
                locked: thread.locked,
            });
        }
        Ok::<_, DatabaseError>(data::Page {
            items,
            next: page.next,
        })
    })
    .await
}

fn media_data(media: forum::Media) -> data::Media {
    data::Media {
        blob: media.blob.to_string(),
        name: media.name,
        media_type: media.media_type,
        size_bytes: media.size_bytes,
        alt: media.alt,
        width: media.width,
        height: media.height,
        duration_ms: media.duration_ms,
        thumb: media.thumb.map(|blob| blob.to_string()),
        captions: media.captions.iter().map(ToString::to_string).collect(),
        availability: data::Availability::default(),
        denied: false,
    }
}

fn post_data(
    core: &Core,
    authors: &mut Authors<'_, '_>,
    post: forum::Post,
    level: u32,
) -> Result<data::Post, DatabaseError> {
    let verdict = if post.disputed {
        data::Verdict::Disputed
    } else {
        data::Verdict::Valid
    };
    let hidden = post.hidden.then(|| post.hidden_why.unwrap_or_default());
    let show = hidden.is_none();
    Ok(data::Post {
        id: post.id.to_string(),
        space: post.space.to_string(),
        root: post.root.to_string(),
        parent: post.parent.map(|id| id.to_string()),
        level,
        mine: post.author == core.identity,
        author: authors.of(&post.author)?,
        time_ms: post.time_ms,
        edited_ms: post.edited_ms,
        title: post.title,
        url: post.url.filter(|_| show),
        body: if show { post.body } else { String::new() },
        media: if show {
            post.media.into_iter().map(media_data).collect()
        } else {
            Vec::new()
        },
        lang: post.lang,
        nsfw: post.nsfw,
        score: post.score,
        my_vote: post.vote,
        verdict,
        hidden,
        locked: post.locked,
        pinned: post.pinned,
        erased: post.erased || post.withheld,
    })
}

/// Notes of every medium what of it is held here and by others.
async fn fill_media(core: &Arc<Core>, post: &mut data::Post) {
    for media in &mut post.media {
        let Ok(blob) = media.blob.parse() else {
            continue;
        };
        media.denied = core.blobs.is_denied(blob);
        let held_bytes = match core.blobs.status(blob).await {
            Ok(BlobStatus::Complete { size_bytes }) => size_bytes,
            Ok(BlobStatus::Partial { held_bytes, .. }) => held_bytes,
            _ => 0,
        };
        media.availability = availability::of_blob(core, blob, held_bytes, media.size_bytes);
    }
}

/// A thread in reading order: depth first, best first among siblings. A long one comes in parts by
/// time; within a part, an answer to a post of an earlier one stands at the first level.
pub async fn thread(
    core: &Arc<Core>,
    viewer: Viewer,
    any: EntryId,
    page: PageQuery,
) -> Result<data::Thread, NodeError> {
    let node = Arc::clone(core);
    let found = core.store("read a thread", move |database| {
        let reader = database.read()?;
        let Some(entry) = reader.entry(&any)? else {
            return Ok(None);
        };
        let root = entry.header().root.unwrap_or(any);
        let Some(summary) = reader.thread(&root)? else {
            return Ok(None);
        };
        if !may_see(&node, viewer, &summary.space, false) {
            return Ok(None);
        }
        let me = viewer.is_owner().then_some(node.identity);
        let count = limit(page.limit, POSTS);
        let part = reader.posts(&root, me, page.after.as_deref(), count)?;
        let mut authors = Authors::new(&reader);
        let mut posts = Vec::with_capacity(part.items.len());
        for (post, level) in in_reading_order(part.items) {
            posts.push(post_data(&node, &mut authors, post, level)?);
        }
        let board = board_link(&reader, &summary.space)?;
        Ok::<_, DatabaseError>(Some((root, summary, board, posts, part.next)))
    });
    let (root, summary, board, mut posts, next) =
        found.await?.ok_or_else(|| unknown("thread", any))?;
    for post in &mut posts {
        fill_media(core, post).await;
    }
    let ids: Vec<EntryId> = posts
        .iter()
        .filter_map(|post| post.id.parse().ok())
        .collect();
    let mut ticket = core.network.ticket();
    ticket.space = Some(summary.space);
    ticket.root = Some(root);
    Ok(data::Thread {
        board,
        posts,
        total: summary.replies + 1,
        next,
        availability: availability::of_posts(core, &ids),
        pin: core.pins.get(&Target::Thread(root)).is_some(),
        ticket: Some(ticket.to_string()),
    })
}

/// Depth first, best first among siblings, each with its level. Iterative: depth comes from outside.
fn in_reading_order(posts: Vec<forum::Post>) -> Vec<(forum::Post, u32)> {
    let held: BTreeMap<EntryId, usize> = posts
        .iter()
        .enumerate()
        .map(|(index, post)| (post.id, index))
        .collect();
    let mut children: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for (index, post) in posts.iter().enumerate() {
        let parent = post.parent.and_then(|parent| held.get(&parent)).copied();
        children.entry(parent).or_default().push(index);
    }
    for siblings in children.values_mut() {
        // Best first, then oldest first; reversed, since the stack gives the last one first.
        siblings.sort_by_key(|index| {
            let post = &posts[*index];
            (
                std::cmp::Reverse(post.id == post.root),
                std::cmp::Reverse(post.score),
                post.time_ms,
                post.id,
            )
        });
        siblings.reverse();
    }
    let mut order = Vec::with_capacity(posts.len());
    let mut stack: Vec<(usize, u32)> = children
        .remove(&None)
        .unwrap_or_default()
        .into_iter()
        .map(|index| (index, u32::from(posts[index].id != posts[index].root)))
        .collect();
    while let Some((index, level)) = stack.pop() {
        order.push((index, level));
        let below = children.remove(&Some(index)).unwrap_or_default();
        stack.extend(below.into_iter().map(|child| (child, level + 1)));
    }
    let mut posts: Vec<Option<forum::Post>> = posts.into_iter().map(Some).collect();
    order
        .into_iter()
        .filter_map(|(index, level)| posts[index].take().map(|post| (post, level)))
        .collect()
}

/// One post.
pub async fn post(core: &Arc<Core>, viewer: Viewer, id: EntryId) -> Result<data::Post, NodeError> {
    let node = Arc::clone(core);
    let found = core.store("read a post", move |database| {
        let reader = database.read()?;
        let me = viewer.is_owner().then_some(node.identity);
        match reader.post(&id, me)? {
            Some(post) if may_see(&node, viewer, &post.space, false) => {
                let level = u32::from(post.id != post.root);
                post_data(&node, &mut Authors::new(&reader), post, level).map(Some)
            }
            _ => Ok::<_, DatabaseError>(None),
        }
    });
    let mut post = found.await?.ok_or_else(|| unknown("post", id))?;
    fill_media(core, &mut post).await;
    Ok(post)
}

/// "How do I know?"
pub async fn provenance(
    core: &Arc<Core>,
    viewer: Viewer,
    id: EntryId,
) -> Result<data::Provenance, NodeError> {
    let node = Arc::clone(core);
    let found = core.store("read an entry", move |database| {
        let reader = database.read()?;
        let (Some(entry), Some(state)) = (reader.entry(&id)?, reader.state(&id)?) else {
            return Ok::<_, DatabaseError>(None);
        };
        let header = entry.header();
        let space = header.space.unwrap_or_else(|| SpaceId::from(id));
        if !may_see(&node, viewer, &space, false) {
            return Ok(None);
        }
        let author = match header.identity {
            Some(identity) => Authors::new(&reader).of(&identity)?,
            None => Authors::new(&reader).of(&IdentityId::from(id))?,
        };
        let payload_ok = reader
            .payload_block(&header.payload)?
            .is_some_and(|bytes| model::PayloadId::of(&bytes) == header.payload);
        let signature_ok = model::Entry::decode(entry.bytes())
            .and_then(model::Entry::verify)
            .is_ok();
        let (verdict, reason) = verdict_words(&state);
        let root = header
            .root
            .or_else(|| (header.table == "post").then_some(id));
        Ok(Some(data::Provenance {
            id: id.to_string(),
            size_bytes: entry.bytes().len() as u64,
            author,
            device: header.device.to_string(),
            signature: data_encoding::HEXLOWER.encode(entry.signature()),
            signature_ok,
            seq: header.seq,
            backlink: header.backlink.map(|id| id.to_string()),
            parents: header.parents.iter().map(ToString::to_string).collect(),
            depth: header.depth,
            root: root.map(|id| id.to_string()),
            space: header.space.map(|id| id.to_string()),
            grant: header.grant.map(|id| id.to_string()),
            schema: schema_words(&header.schema),
            table: header.table.clone(),
            time_ms: header.time_ms,
            payload: header.payload.to_string(),
            payload_bytes: u64::from(header.payload_size),
            payload_ok,
            verdict,
            verdict_reason: reason,
            source: match state.source {
                Source::Local => "this node".to_owned(),
                Source::Peer(peer) => peer.to_string(),
                Source::File => "an imported file".to_owned(),
            },
            received_ms: state.received_ms,
            held_by: availability::holders(&node, id),
        }))
    });
    found.await?.ok_or_else(|| unknown("entry", id))
}

fn schema_words(id: &model::SchemaId) -> String {
    let name = [schema::forum(), schema::profile()]
        .into_iter()
        .find(|schema| schema.id() == *id);
    match name {
        Some(schema) => format!("{id} ({})", schema.name()),
        None => id.to_string(),
    }
}

fn verdict_words(state: &database::EntryState) -> (data::Verdict, String) {
    match state.verdict {
        Verdict::Valid if state.payload != PayloadState::Held => (
            data::Verdict::Valid,
            "the entry counts; its content is not held here".to_owned(),
        ),
        Verdict::Valid => (
            data::Verdict::Valid,
            "signature, schema, references and authority check out".to_owned(),
        ),
        Verdict::Pending => {
            (data::Verdict::Pending, "something it refers to is not held here yet".to_owned())
        }
        Verdict::Held => (
            data::Verdict::Pending,
            "its time lies ahead of this machine's clock; it counts once that is reached".to_owned(),
        ),
        Verdict::Disputed => (
            data::Verdict::Disputed,
            "its device signed two entries for one place in its feed; from there on nothing counts \
             until the identity settles it"
                .to_owned(),
        ),
        Verdict::Void => (data::Verdict::Void, "it was cut off by a revoke".to_owned()),
        Verdict::Invalid => (
            data::Verdict::Void,
            state.reason.as_ref().map_or_else(|| "it breaks a rule".to_owned(), ToString::to_string),
        ),
    }
}

/// An identity with a page of its newest posts.
pub async fn profile(
    core: &Arc<Core>,
    viewer: Viewer,
    identity: IdentityId,
    page: PageQuery,
) -> Result<data::Profile, NodeError> {
    let node = Arc::clone(core);
    let found = core.store("read a profile", move |database| {
        let reader = database.read()?;
        let held = reader.has(&identity.entry())?;
        let mut authors = Authors::new(&reader);
        let count = limit(page.limit, PROFILE_POSTS);
        let part = reader.posts_by(&identity, page.after.as_deref(), count)?;
        if !held && part.items.is_empty() {
            return Ok::<_, DatabaseError>(None);
        }
        let mut items = Vec::new();
        for post in part.items {
            if may_see(&node, viewer, &post.space, false) {
                let level = u32::from(post.id != post.root);
                items.push(post_data(&node, &mut authors, post, level)?);
            }
        }
        let profile = reader.profile(&identity)?.unwrap_or_default();
        let devices = reader
            .devices(&identity)?
            .into_iter()
            .map(|device| data::Device {
                key: device.key.to_string(),
                name: device.name,
            })
            .collect();
        let follows = reader.follows(&node.identity)?;
        Ok(Some(data::Profile {
            author: authors.of(&identity)?,
            about: profile.about,
            homes: profile.homes,
            devices,
            mine: identity == node.identity,
            followed: follows.contains(&identity.space()),
            posts: data::Page {
                items,
                next: part.next,
            },
        }))
    });
    let mut profile = found.await?.ok_or_else(|| unknown("identity", identity))?;
    for post in &mut profile.posts.items {
        fill_media(core, post).await;
    }
    Ok(profile)
}

/// Events after a cursor, as far as the viewer may see them.
pub async fn events(
    core: &Arc<Core>,
    viewer: Viewer,
    query: EventQuery,
    limit: usize,
) -> Result<EventBatch, NodeError> {
    let node = Arc::clone(core);
    let cursor = match &query.cursor {
        None => None,
        Some(text) => Some(text.parse::<Cursor>().map_err(|error| {
            NodeError::Invalid(format!("{text:?} is {error}; leave it out to begin now"))
        })?),
    };
    core.store("read events", move |database| {
        let reader = database.read()?;
        let Some(cursor) = cursor else {
            let next = reader.cursor()?.to_string();
            return Ok::<_, DatabaseError>(EventBatch {
                events: Vec::new(),
                next,
                reset: false,
            });
        };
        let page = reader.events_since(cursor, limit)?;
        let mut events = Vec::new();
        for event in page.events {
            let wanted = query.space.is_none_or(|space| space == event.space)
                && query.root.is_none_or(|root| event.root == Some(root))
                && may_see(&node, viewer, &event.space, false);
            if wanted {
                events.push(event_data(&reader, event)?);
            }
        }
        Ok(EventBatch {
            events,
            next: page.next.to_string(),
            reset: page.reset,
        })
    })
    .await
}

fn event_data(reader: &Reader<'_>, event: database::Event) -> Result<data::Event, DatabaseError> {
    let row = reader.row(&event.entry)?.unwrap_or_default();
    let about = ["on", "of", "parent", "vote"]
        .iter()
        .find_map(|column| match row.get(*column) {
            Some(Ipld::Link(cid)) => Some(cid.to_string()),
            _ => None,
        });
    let kind = match event.kind {
        EventKind::Insert => "insert",
        EventKind::Update => "update",
        EventKind::Void => "void",
        EventKind::Unvoid => "unvoid",
        EventKind::Purge => "purge",
        EventKind::Schema => "schema",
    };
    Ok(data::Event {
        cursor: event.cursor.to_string(),
        kind: kind.to_owned(),
        space: event.space.to_string(),
        root: event.root.map(|root| root.to_string()),
        table: event.table,
        row: event.entry.to_string(),
        cause: event.entry.to_string(),
        about,
    })
}
