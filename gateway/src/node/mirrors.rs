//! What the gateway asks of the node about mirrors.

use views::data;

use super::Reply;
use crate::api::types::{AuditRequest, MirrorAnswer, MirrorPin, MirrorUnpin};

/// The node as a mirror, and the mirrors that it knows.
pub trait Mirrors: Send + Sync + 'static {
    /// `GET /api/v1/mirror`.
    fn mirror(&self) -> Reply<'_, data::MirrorStatus>;

    /// `POST /api/v1/mirror/audit`: challenges now, and gives the new results.
    fn audit(&self, request: AuditRequest) -> Reply<'_, Vec<data::AuditRow>>;

    /// `GET /api/v1/mirror/audit`: results so far, the newest first, bounded.
    fn audits(&self) -> Reply<'_, Vec<data::AuditRow>>;

    /// `GET /api/v1/mirror/requests`: what this node asked of mirrors, and others of it.
    fn pins_asked(&self) -> Reply<'_, Vec<data::PinAsked>>;

    /// `POST /api/v1/mirror/requests`: asks a mirror. A refusal is an answer, not an error.
    fn ask_mirror(&self, request: MirrorPin) -> Reply<'_, MirrorAnswer>;

    /// `DELETE /api/v1/mirror/requests`: takes it back.
    fn release_mirror(&self, request: MirrorUnpin) -> Reply<'_, MirrorAnswer>;
}
