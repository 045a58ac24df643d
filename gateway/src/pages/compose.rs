//! Writing: the composer, new posts, edits.

use axum::{
    Json,
    extract::{Multipart, Query},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use model::limits;
use serde::Deserialize;
use views::{
    compose::{Attached, ComposePage, Draft, Target},
    data::{Availability, Board, Post},
};

use super::{
    flash,
    form::Posted,
    page,
    visit::{Visit, entry_id, space_id, wants_json},
};
use crate::{
    api::types::{Edit, ErrorCode, MediaRef, NamedMedia, NewPost, Published},
    failure::Failure,
    node::NodeError,
};

/// What to compose.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ComposeQuery {
    #[serde(default)]
    space: String,
    #[serde(default)]
    reply: String,
}

/// What is written, with what its page needs.
enum Subject {
    Thread(Vec<Board>),
    Reply(Box<Post>),
    Edit(Box<Post>),
}

impl Subject {
    async fn thread(visit: &Visit) -> Result<Self, Failure> {
        Ok(Self::Thread(visit.node().spaces(visit.viewer).await?))
    }

    async fn post(visit: &Visit, id: &str) -> Result<Box<Post>, Failure> {
        Ok(Box::new(
            visit.node().post(visit.viewer, entry_id(id)?).await?,
        ))
    }

    fn target<'a>(&'a self, chosen: &'a str) -> Target<'a> {
        match self {
            Self::Thread(boards) => Target::Thread { boards, chosen },
            Self::Reply(post) => Target::Reply(post),
            Self::Edit(post) => Target::Edit(post),
        }
    }
}

/// `GET /compose?space=|reply=`.
pub(super) async fn show(
    visit: Visit,
    Query(query): Query<ComposeQuery>,
) -> Result<Response, Failure> {
    visit.owner()?;
    let subject = match query.reply.as_str() {
        "" => Subject::thread(&visit).await?,
        reply => Subject::Reply(Subject::post(&visit, reply).await?),
    };
    composer(
        visit,
        &subject,
        &query.space,
        &Draft::default(),
        None,
        false,
    )
}

/// The composer with what was typed; a refused post is shown with the reason and its status.
fn composer(
    mut visit: Visit,
    subject: &Subject,
    chosen: &str,
    draft: &Draft,
    problem: Option<&Failure>,
    preview: bool,
) -> Result<Response, Failure> {
    visit.frame.title = match subject {
        Subject::Thread(_) => "New thread",
        Subject::Reply(_) => "Reply",
        Subject::Edit(_) => "Edit",
    }
    .to_owned();
    visit.frame.path = "/compose".to_owned();
    visit.frame.noindex = true;
    let shown = ComposePage {
        frame: &visit.frame,
        target: subject.target(chosen),
        draft,
        problem: problem.map(|failure| failure.message.as_str()),
        preview,
    };
    let response = page(&shown)?;
    let status = problem.map_or(StatusCode::OK, Failure::status);
    Ok((status, response).into_response())
}

/// `POST /post`: a new thread or a reply.
pub(super) async fn publish(
    visit: Visit,
    headers: HeaderMap,
    multipart: Multipart,
) -> Result<Response, Failure> {
    let mut posted = Posted::read(&visit, multipart).await?;
    let refused = posted.refused.take();
    if wants_json(&headers) {
        let published = match refused {
            Some(failure) => return Err(failure),
            None => send(&visit, &posted).await?,
        };
        return Ok(Json(published).into_response());
    }
    let preview = posted.has("preview");
    let outcome = match refused {
        Some(failure) => Err(failure),
        None if preview => return again(visit, &posted, None, true).await,
        None => send(&visit, &posted).await,
    };
    match outcome {
        Ok(published) => sent(&visit, &posted, published).await,
        Err(failure) => again(visit, &posted, Some(&failure), false).await,
    }
}

async fn send(visit: &Visit, posted: &Posted) -> Result<Published, Failure> {
    let reply_to = posted
        .filled("reply_to")
        .map(|id| entry_id(&id))
        .transpose()?;
    let space = match (&reply_to, posted.filled("space")) {
        (None, Some(id)) => Some(space_id(&id)?),
        (None, None) => return Err(Failure::invalid("choose a board to post on")),
        (Some(_), _) => None,
    };
    let title = posted.filled("title");
    if reply_to.is_none() && title.is_none() {
        return Err(Failure::invalid("a new thread needs a title"));
    }
    let url = posted.filled("url");
    let body = posted.text("body").trim_end().to_owned();
    check_text("the text", &body, limits::TEXT_BYTES)?;
    if body.is_empty()
        && posted.media.is_empty()
        && (reply_to.is_some() || url.is_none() && title.is_none())
    {
        return Err(Failure::invalid(
            "there is nothing in it: write something or add a file",
        ));
    }
    let media = posted
        .media
        .iter()
        .map(media_ref)
        .collect::<Result<_, _>>()?;
    let post = NewPost {
        space,
        reply_to,
        title,
        url,
        body,
        media,
        lang: posted.filled("lang"),
        nsfw: posted.has("nsfw"),
    };
    Ok(visit.node().publish(post).await?)
}

fn check_text(what: &str, text: &str, limit: usize) -> Result<(), Failure> {
    if text.len() <= limit {
        return Ok(());
    }
    let (size_bytes, limit_bytes) = (text.len() as u64, limit as u64);
    Err(NodeError::TooLarge {
        what: what.to_owned(),
        size_bytes,
        limit_bytes,
    }
    .into())
}

fn media_ref(file: &Attached) -> Result<MediaRef, Failure> {
    let blob = file.blob.parse().map_err(|error| {
        Failure::invalid(format!(
            "`{}` is not the id of a file ({error}); add the file again",
            file.blob
        ))
    })?;
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    Ok(MediaRef::Named(NamedMedia {
        blob,
        name: given(&file.name),
        alt: given(&file.alt),
        publicity: file.publicity,
    }))
}

/// 303 to the new post, with where it went.
async fn sent(visit: &Visit, posted: &Posted, published: Published) -> Result<Response, Failure> {
    let mut notices = vec![where_it_is(&published.availability)];
    notices.extend(published.warnings);
    notices.extend(posted.notes.iter().cloned());
    let path = match posted.filled("reply_to") {
        None => format!("/t/{}", published.id),
        Some(_) => match visit
            .node()
            .post(visit.viewer, entry_id(&published.id)?)
            .await
        {
            Ok(post) => format!("/t/{}#{}", post.root, post.id),
            Err(_) => format!("/p/{}", published.id),
        },
    };
    Ok(flash::redirect(&path, &notices))
}

fn where_it_is(availability: &Availability) -> String {
    let words = availability.words();
    if availability.only_here() {
        format!("Posted. {words}: keep this node running.")
    } else {
        format!("Posted. {words}.")
    }
}

/// The composer again, with everything that was typed and every file that was imported.
async fn again(
    visit: Visit,
    posted: &Posted,
    problem: Option<&Failure>,
    preview: bool,
) -> Result<Response, Failure> {
    let subject = match posted.text("reply_to") {
        "" => Subject::thread(&visit).await?,
        reply => match Subject::post(&visit, reply).await {
            Ok(post) => Subject::Reply(post),
            Err(failure) => return Err(problem.cloned().unwrap_or(failure)),
        },
    };
    let draft = Draft {
        title: posted.text("title").to_owned(),
        url: posted.text("url").to_owned(),
        body: posted.text("body").to_owned(),
        lang: posted.text("lang").to_owned(),
        nsfw: posted.has("nsfw"),
        media: posted.media.clone(),
    };
    composer(
        visit,
        &subject,
        posted.text("space"),
        &draft,
        problem,
        preview,
    )
}

/// `POST /edit`: new words for one's own post.
pub(super) async fn revise(visit: Visit, multipart: Multipart) -> Result<Response, Failure> {
    let posted = Posted::read(&visit, multipart).await?;
    let id = entry_id(posted.text("on"))?;
    let body = posted.text("body").trim_end().to_owned();
    let outcome = match check_text("the text", &body, limits::TEXT_BYTES) {
        Err(failure) => Err(failure),
        Ok(()) if posted.has("preview") => Ok(false),
        Ok(()) => visit
            .node()
            .revise(id, Edit { body: body.clone() })
            .await
            .map(|_| true)
            .map_err(Failure::from),
    };
    if matches!(outcome, Ok(true)) {
        return Ok(flash::redirect(&format!("/p/{id}"), &["Saved.".to_owned()]));
    }
    let problem = outcome.err();
    if problem
        .as_ref()
        .is_some_and(|failure| failure.code == ErrorCode::NotFound)
    {
        return Err(problem.expect("checked just above"));
    }
    let subject = Subject::Edit(Subject::post(&visit, posted.text("on")).await?);
    let draft = Draft {
        body,
        ..Draft::default()
    };
    let preview = problem.is_none();
    composer(visit, &subject, "", &draft, problem.as_ref(), preview)
}
