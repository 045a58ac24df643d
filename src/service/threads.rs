//! Threads and posts.

use std::{collections::BTreeMap, sync::Arc};

use blocks::BlobStatus;
use database::{DatabaseError, forum};
use gateway::{
    api::types::PageQuery,
    node::{NodeError, Viewer},
};
use model::EntryId;
use views::data;

use super::{
    authors::{Authors, limit, may_see, unknown},
    availability,
    boards::board_link,
    payments,
};
use crate::{core::Core, pins::Target};

/// Posts of a thread's page, where the request doesn't say.
const POSTS: usize = 1_000;

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
        ipfs: None,
        // What the author claims; what is known of it is filled in later.
        torrent: media.infohash.map(claimed),
        publicity: None,
        shares: Vec::new(),
    }
}

fn claimed(infohash: [u8; 20]) -> data::TorrentName {
    data::TorrentName {
        infohash: torrent::InfoHash::from_bytes(infohash).to_string(),
        magnet: String::new(),
        claim: data::Claim::Unchecked,
        has_file: false,
    }
}

pub(super) fn post_data(
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
        paid: None,
        unpaid_price: None,
        own_price: None,
        claimed_price: None,
    })
}

/// Notes of every medium what of it is held here and by others.
pub(super) async fn fill_media(core: &Arc<Core>, viewer: Viewer, post: &mut data::Post) {
    for media in &mut post.media {
        let Ok(blob) = media.blob.parse() else {
            continue;
        };
        media.denied = core.is_denied(blob);
        let held_bytes = match core.blobs.status(blob).await {
            Ok(BlobStatus::Complete { size_bytes }) => size_bytes,
            Ok(BlobStatus::Partial { held_bytes, .. }) => held_bytes,
            _ => 0,
        };
        media.availability = availability::of_blob(core, blob, held_bytes, media.size_bytes);
        super::torrents::fill(core, viewer, blob, media).await;
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
        if !may_see(&node, &reader, viewer, &summary.space)? {
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
        payments::fill_posts(&node, &reader, &summary.space, &mut posts)?;
        let board = board_link(&reader, &summary.space)?;
        Ok::<_, DatabaseError>(Some((root, summary, board, posts, part.next)))
    });
    let (root, summary, board, mut posts, next) =
        found.await?.ok_or_else(|| unknown("thread", any))?;
    for post in &mut posts {
        fill_media(core, viewer, post).await;
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
            Some(post) if may_see(&node, &reader, viewer, &post.space)? => {
                let (level, space) = (u32::from(post.id != post.root), post.space);
                let mut post = post_data(&node, &mut Authors::new(&reader), post, level)?;
                let one = std::slice::from_mut(&mut post);
                payments::fill_posts(&node, &reader, &space, one)?;
                Ok(Some(post))
            }
            _ => Ok::<_, DatabaseError>(None),
        }
    });
    let mut post = found.await?.ok_or_else(|| unknown("post", id))?;
    fill_media(core, viewer, &mut post).await;
    Ok(post)
}
