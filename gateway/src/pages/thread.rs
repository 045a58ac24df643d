//! Thread pages and permalinks.

use axum::{
    extract::{Path, Query},
    response::{IntoResponse, Redirect, Response},
};
use model::EntryId;
use serde::Deserialize;
use views::{data::Thread, frame::Preview, media::Kind, text::query_value, thread::ThreadPage};

use super::{
    page,
    visit::{Visit, entry_id, space_id},
};
use crate::{api::types::PageQuery, failure::Failure};

/// Posts on one page of a thread.
const POSTS_SHOWN: u32 = 1000;
/// Parts of a long thread that are searched for a post, before the link leads to its start.
const MAX_PARTS_SEARCHED: usize = 32;

/// The query of a thread's address.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PartQuery {
    after: Option<String>,
}

/// `GET /t/{cid}`; the id of a reply leads to its place in the thread.
pub(super) async fn show(
    mut visit: Visit,
    Path(cid): Path<String>,
    Query(query): Query<PartQuery>,
) -> Result<Response, Failure> {
    let root = entry_id(&cid)?;
    let ask = PageQuery {
        after: query.after,
        limit: Some(POSTS_SHOWN),
    };
    let thread = visit.node().thread(visit.viewer, root, ask).await?;
    if thread
        .posts
        .first()
        .is_some_and(|first| first.root != root.to_string())
    {
        return Ok(Redirect::to(&format!("/p/{root}")).into_response());
    }
    let can_moderate = match space_id(&thread.board.space) {
        Ok(space) if visit.viewer.is_owner() => visit
            .node()
            .space(visit.viewer, space)
            .await
            .is_ok_and(|board| board.can_admin),
        _ => false,
    };
    visit.frame.title = match thread.posts.first() {
        Some(first) => first.shown_title(),
        None => "Thread".to_owned(),
    };
    visit.frame.preview = preview(&thread);
    page(&ThreadPage::new(&visit.frame, &thread, can_moderate))
}

/// What other places show of a thread: nothing of a first post that is covered.
fn preview(thread: &Thread) -> Option<Preview> {
    let first = thread
        .posts
        .first()
        .filter(|first| first.cover().is_none())?;
    let image = first
        .media
        .iter()
        .filter(|media| !media.denied)
        .find_map(|media| match media.kind() {
            Kind::Picture => Some(media.picture()),
            _ => media.thumb.as_deref(),
        });
    Some(Preview {
        description: first.words(),
        image: image.map(|blob| format!("/ipfs/{blob}")),
        kind: "article",
    })
}

/// `GET /p/{cid}`: to the post in its thread.
pub(super) async fn permalink(visit: Visit, Path(cid): Path<String>) -> Result<Response, Failure> {
    let id = entry_id(&cid)?;
    let post = visit.node().post(visit.viewer, id).await?;
    if post.root == post.id {
        return Ok(Redirect::to(&format!("/t/{}", post.root)).into_response());
    }
    let path = path_in_thread(&visit, entry_id(&post.root)?, &post.id).await?;
    Ok(Redirect::to(&path).into_response())
}

/// Address of a post, with the part of the thread that it is on.
async fn path_in_thread(visit: &Visit, root: EntryId, post: &str) -> Result<String, Failure> {
    let mut after: Option<String> = None;
    for _ in 0..MAX_PARTS_SEARCHED {
        let ask = PageQuery {
            after: after.clone(),
            limit: Some(POSTS_SHOWN),
        };
        let part = visit.node().thread(visit.viewer, root, ask).await?;
        if part.posts.iter().any(|held| held.id == post) {
            break;
        }
        match part.next {
            Some(next) => after = Some(next),
            None => {
                after = None;
                break;
            }
        }
    }
    Ok(match after {
        Some(after) => format!("/t/{root}?after={}#{post}", query_value(&after)),
        None => format!("/t/{root}#{post}"),
    })
}
