//! Atom feeds. Feed readers don't sign in: they get what strangers get.

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};
use views::{Template, data::Sort, feed::Feed};

use super::visit::{Visit, space_id};
use crate::{
    api::types::ThreadsQuery,
    failure::Failure,
    node::{NodeError, Viewer},
};

/// Threads in a feed.
const THREADS_IN_FEED: u32 = 50;

/// `GET /feed.xml`.
pub(super) async fn front(visit: Visit) -> Result<Response, Failure> {
    let query = ThreadsQuery {
        sort: Sort::New,
        limit: Some(THREADS_IN_FEED),
        ..ThreadsQuery::default()
    };
    answer(&visit, "Threads", "/", "/feed.xml", query).await
}

/// `GET /s/{space}/feed.xml`.
pub(super) async fn board(visit: Visit, Path(space): Path<String>) -> Result<Response, Failure> {
    let id = space_id(&space)?;
    let board = visit.node().space(Viewer::Stranger, id).await?;
    let (path, feed_path) = (format!("/s/{id}"), format!("/s/{id}/feed.xml"));
    let query = ThreadsQuery {
        space: Some(id),
        sort: Sort::New,
        limit: Some(THREADS_IN_FEED),
        ..ThreadsQuery::default()
    };
    answer(&visit, &board.shown(), &path, &feed_path, query).await
}

async fn answer(
    visit: &Visit,
    title: &str,
    path: &str,
    feed_path: &str,
    query: ThreadsQuery,
) -> Result<Response, Failure> {
    let mut threads = visit.node().threads(Viewer::Stranger, query).await?;
    // A feed has no place to fold something away.
    threads.items.retain(|thread| thread.unpaid_price.is_none());
    let feed = Feed {
        title,
        base: &visit.frame.base,
        path,
        feed_path,
        threads: &threads.items,
        now_ms: visit.frame.now_ms,
    };
    let xml = feed
        .render()
        .map_err(|error| NodeError::local("render the feed", error))?;
    Ok((
        [(header::CONTENT_TYPE, "application/atom+xml; charset=utf-8")],
        xml,
    )
        .into_response())
}
