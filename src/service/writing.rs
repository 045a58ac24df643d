//! What a person writes: boards, posts, edits, votes, marks, reports, profile, follows.

use std::{collections::BTreeMap, sync::Arc};

use database::{Incoming, authoring, forum, schema, schema::Schema, store::Durability};
use gateway::{
    api::types::{
        Edit, MarkRequest, NewPost, NewSpace, ProfileEdit, Published, SpaceCreated, VoteRequest,
        Voted, Written,
    },
    node::NodeError,
};
use model::{Entry, EntryId, IdentityId, Ipld, Row, SpaceId};

use super::rows;
use crate::{clock::now_ms, core::Core, flow, follows::FollowedSpace, identity::salt};

/// Makes a space with its first row, and follows it.
pub async fn create_space(core: &Arc<Core>, new: NewSpace) -> Result<SpaceCreated, NodeError> {
    if new.title.trim().is_empty() {
        return Err(NodeError::Invalid("a board needs a title".to_owned()));
    }
    let custom = new
        .schema
        .as_deref()
        .map(Schema::parse)
        .transpose()
        .map_err(|error| NodeError::Invalid(format!("the schema is wrong: {error}")))?;
    let is_forum = custom
        .as_ref()
        .is_none_or(|custom| custom.id() == schema::forum().id());
    // Checked before anything is stored: a refused board leaves no empty space behind.
    let board = rows::board(&new);
    if is_forum && let Some(table) = schema::forum().table("board") {
        schema::forum()
            .check_row(table, &board)
            .map_err(|error| NodeError::Invalid(format!("the board does not fit: {error}")))?;
    }
    let worker = Arc::clone(core);
    let unlisted = new.unlisted;
    let made = tokio::task::spawn_blocking(move || genesis(&worker, custom.as_ref(), unlisted));
    let (space, report) = made
        .await
        .map_err(|panic| NodeError::local("make the space", panic))??;
    let how = FollowedSpace {
        unlisted: new.unlisted,
        threads_only: false,
    };
    core.follows
        .follow_space(&core.folder, space, how)
        .map_err(|error| NodeError::local("follow the space", error))?;
    flow::ingest::settled(core, &report, None);
    // The driver only ends when the node stops.
    let _ = core.gossip.follow_space(space, Vec::new()).await;
    if is_forum {
        flow::sign::write(core, space, None, "board", board).await?;
    }
    let mut ticket = core.network.ticket();
    ticket.space = Some(space);
    Ok(SpaceCreated {
        space: space.to_string(),
        ticket: ticket.to_string(),
    })
}

fn genesis(
    core: &Core,
    custom: Option<&Schema>,
    unlisted: bool,
) -> Result<(SpaceId, database::IngestReport), NodeError> {
    let salt = salt().map_err(|error| NodeError::local("draw random bytes", error))?;
    let schema = custom.unwrap_or_else(|| schema::forum());
    let time_ms = now_ms();
    let device = core.device.public();
    let (header, payload) =
        authoring::space_genesis(device, core.identity, schema, unlisted, salt, time_ms)
            .map_err(|error| NodeError::Invalid(error.to_string()))?;
    let entry = Entry::sign(header, &core.device)
        .map_err(|error| NodeError::local("sign the space", error))?;
    let space = SpaceId::from(entry.id());
    let incoming = Incoming::local(entry, payload)
        .map_err(|error| NodeError::local("sign the space", error))?;
    let report = core
        .database
        .ingest(vec![incoming], time_ms, Durability::Durable)
        .map_err(|error| NodeError::local("store the space", error))?;
    Ok((space, report))
}

/// A post.
pub async fn publish(core: &Arc<Core>, post: NewPost) -> Result<Published, NodeError> {
    flow::publish::post(core, post).await
}

/// A post that is held, with the own vote on it.
///
/// # Errors
/// When it isn't.
pub async fn held_post(core: &Arc<Core>, id: EntryId) -> Result<forum::Post, NodeError> {
    let me = core.identity;
    core.store("read the post", move |database| {
        database.read()?.post(&id, Some(me))
    })
    .await?
    .ok_or_else(|| NodeError::NotFound(format!("there is no post {id} here")))
}

/// An edit by the author.
pub async fn revise(core: &Arc<Core>, post: EntryId, edit: Edit) -> Result<Written, NodeError> {
    let found = held_post(core, post).await?;
    if found.author != core.identity {
        return Err(NodeError::Forbidden(
            "only its author may edit a post".to_owned(),
        ));
    }
    flow::publish::body_fits(&edit.body)?;
    let row = rows::revision(post, &edit.body);
    let id = flow::sign::write(core, found.space, Some(found.root), "revise", row).await?;
    Ok(Written { id: id.to_string() })
}

/// A vote.
pub async fn vote(core: &Arc<Core>, post: EntryId, vote: VoteRequest) -> Result<Voted, NodeError> {
    if !(-1..=1).contains(&vote.dir) {
        return Err(NodeError::Invalid("a vote is -1, 0 or 1".to_owned()));
    }
    let found = held_post(core, post).await?;
    // The same once more would take the place of one that was paid for.
    let standing = match core.payments.is_about(&post) {
        true => flow::pay::standing_vote(core, &found, vote.dir).await?,
        false => None,
    };
    let id = match standing {
        Some(standing) => standing,
        None => {
            let row = rows::vote(post, vote.dir);
            flow::sign::write(core, found.space, Some(found.root), "vote", row).await?
        }
    };
    let score = held_post(core, post).await?.score;
    Ok(Voted {
        id: id.to_string(),
        score,
    })
}

/// A moderator's mark.
pub async fn mark(
    core: &Arc<Core>,
    post: EntryId,
    mark: MarkRequest,
) -> Result<Written, NodeError> {
    let found = held_post(core, post).await?;
    let space = found.space;
    let board = core
        .store("read the board", move |database| {
            database.read()?.board(&space)
        })
        .await?;
    if board.is_none_or(|board| board.owner != core.identity) {
        return Err(NodeError::Forbidden(
            "only the board's moderators may do this".to_owned(),
        ));
    }
    let row = rows::mark(post, mark.act.as_str(), mark.off, mark.why.as_deref());
    let id = flow::sign::write(core, found.space, Some(found.root), "mark", row).await?;
    Ok(Written { id: id.to_string() })
}

/// A report to the moderators.
pub async fn report(core: &Arc<Core>, post: EntryId, why: String) -> Result<Written, NodeError> {
    if why.trim().is_empty() {
        return Err(NodeError::Invalid(
            "say what is wrong with the post".to_owned(),
        ));
    }
    let found = held_post(core, post).await?;
    let row = rows::report(post, &why);
    let id = flow::sign::write(core, found.space, Some(found.root), "report", row).await?;
    Ok(Written { id: id.to_string() })
}

/// The own profile; absent fields stay as they are.
pub async fn set_profile(core: &Arc<Core>, edit: ProfileEdit) -> Result<Written, NodeError> {
    let me = core.identity;
    let current = core
        .store("read the profile", move |database| {
            let rows = database.read()?.rows(&me.space(), "profile")?;
            Ok::<_, database::DatabaseError>(rows.into_iter().next().map(|(_, row)| row))
        })
        .await?;
    let mut row: Row = current.unwrap_or_else(|| {
        BTreeMap::from([
            ("name".to_owned(), Ipld::String(String::new())),
            ("about".to_owned(), Ipld::String(String::new())),
            ("homes".to_owned(), Ipld::List(Vec::new())),
        ])
    });
    if let Some(name) = edit.name {
        row.insert("name".to_owned(), Ipld::String(name));
    }
    if let Some(about) = edit.about {
        row.insert("about".to_owned(), Ipld::String(about));
    }
    if let Some(avatar) = edit.avatar {
        core.blobs
            .keep(avatar, &blocks::Keep::pin(me))
            .await
            .map_err(|error| NodeError::local("keep the avatar", error))?;
        row.insert("avatar".to_owned(), Ipld::Link(avatar.to_cid()));
    }
    if let Some(homes) = edit.homes {
        row.insert("homes".to_owned(), Ipld::List(rows::texts(&homes)));
    }
    let id = flow::sign::write(core, me.space(), None, "profile", row).await?;
    Ok(Written { id: id.to_string() })
}

/// Follows an identity, or no longer.
pub async fn follow(
    core: &Arc<Core>,
    identity: IdentityId,
    on: bool,
) -> Result<Written, NodeError> {
    if identity == core.identity {
        return Err(NodeError::Invalid("this is your own identity".to_owned()));
    }
    let row = rows::RowBuilder::default()
        .identity("who", identity)
        .flag("on", on)
        .build();
    let id = flow::sign::write(core, core.identity.space(), None, "follow", row).await?;
    core.follows
        .follow_identity(&core.folder, identity, on)
        .map_err(|error| NodeError::local("follow the identity", error))?;
    let space = identity.space();
    // The driver only ends when the node stops.
    let _ = if on {
        // An identity's space is told to anybody; only its genesis, not held yet, would say so.
        core.gossip
            .follow_space(space, super::admin::connected(core))
            .await
    } else {
        core.gossip.unfollow(gossip::Follow::Space(space)).await
    };
    Ok(Written { id: id.to_string() })
}
