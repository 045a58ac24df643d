//! The page of an identity.

use std::sync::Arc;

use database::DatabaseError;
use gateway::{
    api::types::PageQuery,
    node::{NodeError, Viewer},
};
use model::IdentityId;
use views::data;

use super::{
    authors::{Authors, limit, may_see, unknown},
    payments,
    threads::{fill_media, post_data},
};
use crate::core::Core;

/// Posts of a profile's page, where the request doesn't say.
const PROFILE_POSTS: usize = 30;

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
            if may_see(&node, &reader, viewer, &post.space)? {
                let (level, space) = (u32::from(post.id != post.root), post.space);
                let mut post = post_data(&node, &mut authors, post, level)?;
                let one = std::slice::from_mut(&mut post);
                payments::fill_posts(&node, &reader, &space, one)?;
                items.push(post);
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
        fill_media(core, viewer, post).await;
    }
    Ok(profile)
}
