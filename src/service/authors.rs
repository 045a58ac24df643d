//! Who wrote what, and who may see it.

use std::collections::BTreeMap;

use database::{DatabaseError, Reader};
use gateway::node::{NodeError, Viewer};
use model::{IdentityId, SpaceId};
use views::data;

use crate::core::Core;

/// Names of the identities of one answer, each looked up once.
pub(super) struct Authors<'r, 's> {
    reader: &'r Reader<'s>,
    known: BTreeMap<IdentityId, data::Author>,
}

impl<'r, 's> Authors<'r, 's> {
    pub(super) fn new(reader: &'r Reader<'s>) -> Self {
        Self {
            reader,
            known: BTreeMap::new(),
        }
    }

    pub(super) fn of(&mut self, identity: &IdentityId) -> Result<data::Author, DatabaseError> {
        if let Some(author) = self.known.get(identity) {
            return Ok(author.clone());
        }
        let profile = self.reader.profile(identity)?.unwrap_or_default();
        let author = data::Author {
            identity: identity.to_string(),
            name: profile.name.filter(|name| !name.is_empty()),
            avatar: profile.avatar.map(|blob| blob.to_string()),
        };
        self.known.insert(*identity, author.clone());
        Ok(author)
    }
}

/// Whether a viewer may know of a space. Strangers see what is known to be listed: a space whose
/// genesis isn't held may be an unlisted one.
pub(super) fn may_see(
    core: &Core,
    reader: &Reader<'_>,
    viewer: Viewer,
    space: &SpaceId,
) -> Result<bool, DatabaseError> {
    if viewer.is_owner() {
        return Ok(true);
    }
    let listed = reader.space(space)?.is_some_and(|info| !info.unlisted);
    Ok(listed && !core.is_unlisted(space))
}

pub(super) fn unknown(what: &str, id: impl std::fmt::Display) -> NodeError {
    NodeError::NotFound(format!(
        "the {what} {id} is not held here; ask who gave you the link for a ticket, then \
         `datt join TICKET`"
    ))
}

/// How many items an answer has.
pub(super) fn limit(asked: Option<u32>, default: usize) -> usize {
    asked.map_or(default, |limit| limit as usize)
}
