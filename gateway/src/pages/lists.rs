//! The front page and the pages of boards.

use axum::{
    extract::{Path, Query},
    response::Response,
};
use serde::Deserialize;
use views::{
    board::BoardPage,
    data::Sort,
    frame::Preview,
    front::FrontPage,
    list::ThreadList,
    text::{excerpt, visible},
};

use super::{
    page,
    visit::{Visit, space_id},
};
use crate::{
    api::types::{ThreadsQuery, TicketQuery},
    failure::Failure,
};

/// Threads on one page of a list.
const THREADS_SHOWN: u32 = 40;

/// The query of a list's address. An unknown order is the default one: links outlive words.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    sort: String,
    after: Option<String>,
}

impl ListQuery {
    fn sort(&self) -> Sort {
        match self.sort.as_str() {
            "new" => Sort::New,
            "top" => Sort::Top,
            "sats" => Sort::Sats,
            _ => Sort::Hot,
        }
    }
}

/// `GET /`.
pub(super) async fn front(
    mut visit: Visit,
    Query(query): Query<ListQuery>,
) -> Result<Response, Failure> {
    let sort = query.sort();
    let continued = query.after.is_some();
    let ask = ThreadsQuery {
        space: None,
        sort,
        after: query.after,
        limit: Some(THREADS_SHOWN),
    };
    let threads = visit.node().threads(visit.viewer, ask).await?;
    let boards = visit.node().spaces(visit.viewer).await?;
    visit.frame.title = "Threads".to_owned();
    visit.frame.feed = Some("/feed.xml".to_owned());
    visit.frame.preview = Some(Preview {
        description: "Posts and media that their authors signed, held by everybody who reads them."
            .to_owned(),
        image: None,
        kind: "website",
    });
    let list = ThreadList {
        path: "/",
        sort,
        threads: &threads,
        continued,
        boards: true,
    };
    page(&FrontPage {
        frame: &visit.frame,
        boards: &boards,
        list,
    })
}

/// `GET /s/{space}`.
pub(super) async fn board(
    mut visit: Visit,
    Path(space): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Failure> {
    let id = space_id(&space)?;
    let board = visit.node().space(visit.viewer, id).await?;
    let sort = query.sort();
    let continued = query.after.is_some();
    let ask = ThreadsQuery {
        space: Some(id),
        sort,
        after: query.after,
        limit: Some(THREADS_SHOWN),
    };
    let threads = visit.node().threads(visit.viewer, ask).await?;
    let ticket = TicketQuery {
        space: Some(id),
        root: None,
    };
    let ticket = visit.node().ticket(visit.viewer, ticket).await.ok();
    visit.frame.title = visible(&board.title).into_owned();
    visit.frame.feed = (!board.unlisted).then(|| format!("/s/{}/feed.xml", board.space));
    visit.frame.noindex = board.unlisted;
    visit.frame.preview = (!board.unlisted).then(|| Preview {
        description: excerpt(&board.about),
        image: board.icon.as_ref().map(|icon| format!("/ipfs/{icon}")),
        kind: "website",
    });
    let path = format!("/s/{}", board.space);
    let list = ThreadList {
        path: &path,
        sort,
        threads: &threads,
        continued,
        boards: false,
    };
    page(&BoardPage {
        frame: &visit.frame,
        board: &board,
        list,
        ticket: ticket.as_deref(),
    })
}
