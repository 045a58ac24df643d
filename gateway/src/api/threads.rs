//! Threads and posts, votes, marks and reports.

use axum::{Json, extract::State};
use model::EntryId;
use views::data::{Page, Post, Provenance, Thread, ThreadSummary};

use super::{
    caller::{Caller, Owner},
    input::{Asked, Id, Sent},
    types::{
        Edit, ErrorBody, MarkRequest, NewPost, PageQuery, Published, ReportRequest, ThreadsQuery,
        VoteRequest, Voted, Written,
    },
};
use crate::{failure::Failure, gate::Gate};

/// Most threads of one answer.
const MAX_THREADS: u32 = 200;
/// Most posts of one answer.
pub(super) const MAX_POSTS: u32 = 1000;

/// Threads of a board, or of all boards.
#[utoipa::path(get, path = "/api/v1/threads", tag = "threads", params(ThreadsQuery),
    responses((status = 200, description = "Part of the list", body = Page<ThreadSummary>),
        (status = 404, description = "Unknown board", body = ErrorBody)))]
pub async fn list(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Asked(mut query): Asked<ThreadsQuery>,
) -> Result<Json<Page<ThreadSummary>>, Failure> {
    query.limit = query.limit.map(|limit| limit.clamp(1, MAX_THREADS));
    Ok(Json(gate.node().threads(viewer, query).await?))
}

/// A thread, by the id of its first or any other post.
#[utoipa::path(get, path = "/api/v1/threads/{cid}", tag = "threads",
    params(("cid" = String, Path, description = "Entry CID"), PageQuery),
    responses((status = 200, description = "Posts in reading order", body = Thread),
        (status = 404, description = "Unknown", body = ErrorBody),
        (status = 504, description = "Nobody delivered it in time", body = ErrorBody)))]
pub async fn one(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Id(root): Id<EntryId>,
    Asked(mut page): Asked<PageQuery>,
) -> Result<Json<Thread>, Failure> {
    page.limit = page.limit.map(|limit| limit.clamp(1, MAX_POSTS));
    Ok(Json(gate.node().thread(viewer, root, page).await?))
}

/// A post as it stands now.
#[utoipa::path(get, path = "/api/v1/posts/{cid}", tag = "threads",
    params(("cid" = String, Path, description = "Entry CID")),
    responses((status = 200, description = "Post", body = Post),
        (status = 404, description = "Unknown", body = ErrorBody)))]
pub async fn post(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Id(post): Id<EntryId>,
) -> Result<Json<Post>, Failure> {
    Ok(Json(gate.node().post(viewer, post).await?))
}

/// How do I know? Key, signature, parents and verdict of an entry.
#[utoipa::path(get, path = "/api/v1/entries/{cid}", tag = "threads",
    params(("cid" = String, Path, description = "Entry CID")),
    responses((status = 200, description = "Provenance", body = Provenance),
        (status = 404, description = "Unknown", body = ErrorBody)))]
pub async fn entry(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Id(entry): Id<EntryId>,
) -> Result<Json<Provenance>, Failure> {
    Ok(Json(gate.node().entry(viewer, entry).await?))
}

/// Publishes a thread or a reply.
#[utoipa::path(post, path = "/api/v1/posts", tag = "threads", request_body = NewPost,
    security(("token" = [])),
    responses((status = 200, description = "Signed, on disk, on its way to peers", body = Published),
        (status = 400, description = "Neither `space` nor `reply_to`, or a field over its limit", body = ErrorBody),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn publish(
    State(gate): State<Gate>,
    _: Owner,
    Sent(post): Sent<NewPost>,
) -> Result<Json<Published>, Failure> {
    Ok(Json(gate.node().publish(post).await?))
}

/// Edits one's own post.
#[utoipa::path(put, path = "/api/v1/posts/{cid}", tag = "threads", request_body = Edit,
    params(("cid" = String, Path, description = "Entry CID")), security(("token" = [])),
    responses((status = 200, description = "Edited", body = Written),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 403, description = "Another author's", body = ErrorBody)))]
pub async fn revise(
    State(gate): State<Gate>,
    _: Owner,
    Id(post): Id<EntryId>,
    Sent(edit): Sent<Edit>,
) -> Result<Json<Written>, Failure> {
    Ok(Json(gate.node().revise(post, edit).await?))
}

/// Votes, or takes a vote back.
#[utoipa::path(put, path = "/api/v1/votes/{cid}", tag = "threads", request_body = VoteRequest,
    params(("cid" = String, Path, description = "Entry CID of the post")), security(("token" = [])),
    responses((status = 200, description = "Counted", body = Voted),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn vote(
    State(gate): State<Gate>,
    _: Owner,
    Id(post): Id<EntryId>,
    Sent(vote): Sent<VoteRequest>,
) -> Result<Json<Voted>, Failure> {
    if !(-1..=1).contains(&vote.dir) {
        return Err(Failure::invalid(format!(
            "a vote is -1, 0 or 1, not {}",
            vote.dir
        )));
    }
    Ok(Json(gate.node().vote(post, vote).await?))
}

/// Marks a post: hide, lock, pin, nsfw.
#[utoipa::path(put, path = "/api/v1/marks/{cid}", tag = "threads", request_body = MarkRequest,
    params(("cid" = String, Path, description = "Entry CID of the post")), security(("token" = [])),
    responses((status = 200, description = "Marked", body = Written),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 403, description = "Not a moderator", body = ErrorBody)))]
pub async fn mark(
    State(gate): State<Gate>,
    _: Owner,
    Id(post): Id<EntryId>,
    Sent(mark): Sent<MarkRequest>,
) -> Result<Json<Written>, Failure> {
    Ok(Json(gate.node().mark(post, mark).await?))
}

/// Reports a post to the moderators.
#[utoipa::path(post, path = "/api/v1/reports/{cid}", tag = "threads", request_body = ReportRequest,
    params(("cid" = String, Path, description = "Entry CID of the post")), security(("token" = [])),
    responses((status = 200, description = "Reported", body = Written),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn report(
    State(gate): State<Gate>,
    _: Owner,
    Id(post): Id<EntryId>,
    Sent(report): Sent<ReportRequest>,
) -> Result<Json<Written>, Failure> {
    Ok(Json(gate.node().report(post, report.why).await?))
}
