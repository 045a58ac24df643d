//! What one reconciliation is about.

use model::{EntryId, SpaceId};
use serde::{Deserialize, Serialize};

use crate::bounds;

/// A set of entries (or of digests) that two nodes compare.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Authority logs, always whole; of spaces and identities, ascending.
    Authorities(Vec<SpaceId>),
    /// Threads of one space, their first posts ascending.
    Threads {
        /// The space.
        space: SpaceId,
        /// The first posts.
        roots: Vec<EntryId>,
    },
    /// The digests of a space's threads; who opens it goes on with those that differ.
    Digests(SpaceId),
    /// Single entries, asked for by id.
    Entries,
}

impl Scope {
    /// A whole space.
    pub fn space(space: SpaceId) -> Self {
        Self::Digests(space)
    }

    /// One thread.
    pub fn thread(space: SpaceId, root: EntryId) -> Self {
        Self::Threads {
            space,
            roots: vec![root],
        }
    }

    /// One authority log.
    pub fn authority(space: SpaceId) -> Self {
        Self::Authorities(vec![space])
    }

    /// Whether lists are ascending, not empty and within their bounds.
    pub(crate) fn is_well_formed(&self) -> bool {
        match self {
            Self::Authorities(spaces) => ascending(spaces, bounds::AUTHORITIES),
            Self::Threads { roots, .. } => ascending(roots, bounds::SCOPE_THREADS),
            Self::Digests(_) | Self::Entries => true,
        }
    }
}

fn ascending<T: Ord>(list: &[T], most: usize) -> bool {
    !list.is_empty() && list.len() <= most && list.is_sorted_by(|a, b| a < b)
}
