//! Boards, and lists of threads.

use std::{collections::BTreeMap, sync::Arc};

use database::{DatabaseError, Reader, forum};
use gateway::{
    api::types::ThreadsQuery,
    node::{NodeError, Viewer},
};
use model::SpaceId;
use views::data;

use super::{
    authors::{Authors, limit, may_see, unknown},
    payments,
};
use crate::{core::Core, mirror::presence};

/// Threads of a page, where the request doesn't say.
const THREADS: usize = 30;

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
        mirrors: presence::count(core, board.space),
        price_sats: board.price_sats.and_then(|sats| u64::try_from(sats).ok()),
    })
}

/// The boards followed.
pub async fn boards(core: &Arc<Core>, viewer: Viewer) -> Result<Vec<data::Board>, NodeError> {
    let node = Arc::clone(core);
    core.store("list the boards", move |database| {
        let reader = database.read()?;
        let mut authors = Authors::new(&reader);
        let mut boards = Vec::new();
        for board in reader.boards()? {
            if may_see(&node, &reader, viewer, &board.space)? {
                boards.push(board_data(&node, viewer, &mut authors, board)?);
            }
        }
        Ok::<_, DatabaseError>(boards)
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
            Some(board) if may_see(&node, &reader, viewer, &space)? => {
                board_data(&node, viewer, &mut Authors::new(&reader), board).map(Some)
            }
            _ => Ok::<_, DatabaseError>(None),
        }
    });
    found.await?.ok_or_else(|| unknown("board", space))
}

pub(super) fn board_link(
    reader: &Reader<'_>,
    space: &SpaceId,
) -> Result<data::BoardLink, DatabaseError> {
    let title = reader.board(space)?.and_then(|board| board.title);
    Ok(data::BoardLink {
        space: space.to_string(),
        title: title.unwrap_or_else(|| format!("…{}", space.short())),
    })
}

/// A page of threads in the order asked for.
fn page(
    core: &Core,
    reader: &Reader<'_>,
    viewer: Viewer,
    query: &ThreadsQuery,
) -> Result<forum::Page<forum::ThreadSummary>, DatabaseError> {
    let count = limit(query.limit, THREADS);
    let after = query.after.as_deref();
    let sort = match query.sort {
        data::Sort::Hot => forum::Sort::Hot,
        data::Sort::New => forum::Sort::New,
        data::Sort::Top => forum::Sort::Top,
        data::Sort::Sats => return payments::page(core, reader, viewer, query.space, after, count),
    };
    reader.threads(query.space, sort, after, count)
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
        let mut boards: BTreeMap<SpaceId, (data::BoardLink, Option<payments::Price>)> =
            BTreeMap::new();
        let page = page(&node, &reader, viewer, &query)?;
        let mut items = Vec::with_capacity(page.items.len());
        for thread in page.items {
            // An unlisted board's threads are shown on its own page only.
            let unlisted = node.is_unlisted(&thread.space);
            if unlisted && (query.space.is_none() || !viewer.is_owner()) {
                continue;
            }
            let (board, price) = match boards.get(&thread.space) {
                Some(known) => known.clone(),
                None => {
                    let link = board_link(&reader, &thread.space)?;
                    let known = (link, payments::price_of(&reader, &thread.space)?);
                    boards.insert(thread.space, known.clone());
                    known
                }
            };
            let price = price.filter(|_| thread.author != node.identity);
            let my_vote = match viewer {
                Viewer::Owner => reader
                    .post(&thread.root, Some(node.identity))?
                    .map_or(0, |post| post.vote),
                Viewer::Stranger => 0,
            };
            let media = thread.media.as_ref();
            items.push(data::ThreadSummary {
                root: thread.root.to_string(),
                board,
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
                paid: payments::paid_in(&node, &thread.root),
                unpaid_price: payments::unpaid_price(&node, price, &thread.root, &thread.author),
            });
        }
        Ok::<_, DatabaseError>(data::Page {
            items,
            next: page.next,
        })
    })
    .await
}
