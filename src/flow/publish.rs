//! publish: a post with its media, from what a person asked for.

use std::sync::Arc;

use blocks::{Imported, Keep};
use database::forum;
use gateway::{
    api::types::{BlobAdded, MediaRef, NewPost, Published},
    node::NodeError,
};
use model::{BlobId, EntryId, Ipld, SpaceId, limits};
use views::data::Publicity;

use super::{
    announce,
    fetch::{self, Medium, PostMedia},
    import, sign,
};
use crate::{
    core::Core,
    service::{availability, blobs::read_error, rows},
    torrents,
};

/// Publishes a post: on disk when this returns, and on its way to peers.
///
/// # Errors
/// When it breaks a rule, its media aren't held, or the store fails.
pub async fn post(core: &Arc<Core>, mut new: NewPost) -> Result<Published, NodeError> {
    body_fits(&new.body)?;
    let (space, root) = place(core, &mut new).await?;
    let link = new.url.as_deref().unwrap_or_default();
    if !link.is_empty() && views::text::address(link).is_none() {
        return Err(NodeError::Invalid(format!(
            "the link {link:?} is none that a page may lead to: write it whole, as in https://example.org"
        )));
    }
    let mut media = Vec::new();
    let mut warnings = Vec::new();
    let mut kept = Vec::new();
    if new.media.len() > limits::MEDIA_LINKS {
        return Err(NodeError::Invalid(format!(
            "a post has at most {} media files, this one has {}",
            limits::MEDIA_LINKS,
            new.media.len()
        )));
    }
    for reference in &new.media {
        let (record, added) = medium(core, reference, space, &mut warnings).await?;
        warnings.extend(
            added
                .notes
                .iter()
                .map(|note| format!("{}: {note}", added.name)),
        );
        kept.push(reference.blob());
        kept.extend(
            added
                .thumb
                .as_deref()
                .and_then(|thumb| thumb.parse::<BlobId>().ok()),
        );
        media.push(record);
    }
    let id = sign::write(core, space, root, "post", rows::post(&new, media)).await?;
    for (index, blob) in kept.into_iter().enumerate() {
        let keep = Keep::Post {
            entry: id,
            index: u16::try_from(index).unwrap_or(u16::MAX),
        };
        // The post is published: an error now would make the person send it twice.
        if let Err(error) = core.blobs.keep(blob, &keep).await {
            tracing::warn!(%id, %blob, %error, "cannot note that a post needs its media");
            warnings.push(format!(
                "{blob} may be given up when room is needed: {error}"
            ));
        }
    }
    announce::post_held(core, id).await;
    Ok(Published {
        id: id.to_string(),
        availability: availability::of_post(core, id),
        warnings,
    })
}

/// A text over the limit is refused for its size, before anything else is asked of it.
///
/// # Errors
/// When it is too long.
pub fn body_fits(body: &str) -> Result<(), NodeError> {
    if body.len() <= limits::TEXT_BYTES {
        return Ok(());
    }
    Err(NodeError::TooLarge {
        what: "the text".to_owned(),
        size_bytes: body.len() as u64,
        limit_bytes: limits::TEXT_BYTES as u64,
    })
}

/// Space and thread of a new post; a reply goes where its parent is.
async fn place(
    core: &Arc<Core>,
    new: &mut NewPost,
) -> Result<(SpaceId, Option<EntryId>), NodeError> {
    let Some(parent) = new.reply_to else {
        let space = new.space.ok_or_else(|| {
            NodeError::Invalid(
                "a new thread needs a board (space); a reply needs reply_to".to_owned(),
            )
        })?;
        if new.title.as_deref().unwrap_or_default().trim().is_empty() && new.body.trim().is_empty()
        {
            return Err(NodeError::Invalid(
                "a thread needs a title or a text".to_owned(),
            ));
        }
        return Ok((space, None));
    };
    let found = core
        .store("read the parent", move |database| {
            database.read()?.post(&parent, None)
        })
        .await?
        .ok_or_else(|| {
            NodeError::NotFound(format!("there is no post {parent} here to reply to"))
        })?;
    if new.space.is_some_and(|space| space != found.space) {
        return Err(NodeError::Invalid(
            "the post to reply to is on another board".to_owned(),
        ));
    }
    if new.body.trim().is_empty() && new.media.is_empty() {
        return Err(NodeError::Invalid(
            "a reply needs a text or a file".to_owned(),
        ));
    }
    let root = found.root;
    let thread = core
        .store("read the thread", move |database| {
            database.read()?.thread(&root)
        })
        .await?;
    if thread.is_some_and(|thread| thread.locked) {
        return Err(NodeError::Conflict(
            "the thread is locked: a moderator closed it".to_owned(),
        ));
    }
    new.title = None;
    Ok((found.space, Some(root)))
}

async fn medium(
    core: &Arc<Core>,
    reference: &MediaRef,
    space: SpaceId,
    warnings: &mut Vec<String>,
) -> Result<(Ipld, BlobAdded), NodeError> {
    let blob = reference.blob();
    let remembered = Core::lock(&core.uploads).get(&blob).cloned();
    let added = match remembered {
        Some(added) => added,
        None => {
            let source = core.blobs.source(blob).await.map_err(|error| {
                NodeError::Invalid(format!(
                    "{error}: add the file first (`datt add`), or fetch it"
                ))
            })?;
            let unixfs = core.blobs.name(blob).await.map_err(read_error)?;
            let imported = Imported {
                blob,
                size_bytes: source.size_bytes(),
                unixfs,
            };
            import::inspect(core, imported, blob.short()).await?
        }
    };
    let (name, alt) = match reference {
        MediaRef::Blob(_) => (None, None),
        MediaRef::Named(named) => (named.name.as_deref(), named.alt.as_deref()),
    };
    let name = name.filter(|name| !name.is_empty()).unwrap_or(&added.name);
    let infohash = publicity(core, reference, &added, space, warnings).await?;
    Ok((rows::medium(blob, &added, name, alt, infohash), added))
}

/// Notes how far a medium may travel; its infohash if that is into swarms.
async fn publicity(
    core: &Arc<Core>,
    reference: &MediaRef,
    added: &BlobAdded,
    space: SpaceId,
    warnings: &mut Vec<String>,
) -> Result<Option<[u8; 20]>, NodeError> {
    let blob = reference.blob();
    let wanted = reference
        .publicity()
        .unwrap_or_else(|| torrents::publicity_of(core, &blob));
    let is_kept_in = wanted == Publicity::Swarm && core.is_unlisted(&space);
    let publicity = if is_kept_in { Publicity::Peers } else { wanted };
    let said = core.torrents.publicity.of(&blob);
    if reference.publicity().is_some() || (said.is_none() && publicity != Publicity::default()) {
        super::torrent::set_publicity(core, vec![blob], publicity).await?;
    }
    if is_kept_in {
        warnings.push(format!(
            "{}: an unlisted board's files don't go into swarms; it goes to other nodes only",
            added.name
        ));
        return Ok(None);
    }
    if publicity != Publicity::Swarm {
        return Ok(None);
    }
    match torrents::info_of(core, blob).await? {
        Some(info) => Ok(Some(*info.infohash().as_bytes())),
        None => {
            warnings.push(format!(
                "{}: smaller than torrent.min_bytes; it goes to other nodes only",
                added.name
            ));
            Ok(None)
        }
    }
}

/// The media of a post, as fetching needs them.
pub fn media_of(post: &forum::Post) -> PostMedia {
    let media = post
        .media
        .iter()
        .map(|media| Medium {
            blob: media.blob,
            size_bytes: media.size_bytes,
            small: media
                .thumb
                .into_iter()
                .chain(media.captions.iter().copied())
                .collect(),
        })
        .collect();
    PostMedia {
        space: post.space,
        root: post.root,
        post: post.id,
        media,
    }
}

/// What auto-fetch asks for.
pub fn auto_policy(core: &Core) -> fetch::Policy {
    fetch::Policy {
        max_bytes: core.config.auto_fetch.max_bytes,
        thumbs: true,
        keep: Keep::Cache,
    }
}
