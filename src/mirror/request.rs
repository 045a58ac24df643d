//! Asking mirrors to keep something, and being asked.

pub mod ask;
pub mod asked;
pub mod grants;
pub mod keep;
mod proof;
pub mod serve;

pub use asked::{Asked, AskedPin};
pub use grants::{Grant, PinRequests};

use gateway::api::types::PinMedia;
use model::{PinScope, PinTarget};

use crate::pins::Target;

/// The pin that a request asks for.
pub fn target(target: PinTarget) -> Target {
    match target {
        PinTarget::Thread(id) => Target::Thread(id),
        PinTarget::Space(id) => Target::Space(id),
        PinTarget::Blob(id) => Target::Blob(id),
        PinTarget::Identity(id) => Target::Identity(id),
    }
}

/// The request for a pin.
pub fn pin_target(target: Target) -> PinTarget {
    match target {
        Target::Thread(id) => PinTarget::Thread(id),
        Target::Space(id) => PinTarget::Space(id),
        Target::Blob(id) => PinTarget::Blob(id),
        Target::Identity(id) => PinTarget::Identity(id),
    }
}

fn media(scope: PinScope) -> PinMedia {
    match scope {
        PinScope::None => PinMedia::None,
        PinScope::Thumbs => PinMedia::Thumbs,
        PinScope::All => PinMedia::All,
    }
}

fn scope(media: PinMedia) -> PinScope {
    match media {
        PinMedia::None => PinScope::None,
        PinMedia::Thumbs => PinScope::Thumbs,
        PinMedia::All => PinScope::All,
    }
}
