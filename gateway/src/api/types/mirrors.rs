//! Asking mirrors to keep something, and to prove that they hold it.

use model::SpaceId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::PinMedia;

/// Whom to challenge, and about what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditRequest {
    /// Endpoint id or ticket of one mirror; none: all that are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
    /// Space whose media are asked for; none: of all that are mirrored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// CID of a thread, space or blob whose bytes are asked for, pinned or not; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Random ranges asked of each; the gateway has clamped it to 1..=256. None: as many as an
    /// audit by the clock asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenges: Option<u32>,
}

/// Asks a mirror to keep something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MirrorPin {
    /// Ticket or endpoint id of the mirror, or the URL of its gateway.
    pub mirror: String,
    /// CID of a thread, space, identity or blob.
    pub id: String,
    /// Which media.
    #[serde(default)]
    pub media: PinMedia,
    /// Byte limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Until when, Unix milliseconds; none: until taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// The board of a thread, where it is unlisted: its id is all that protects it, and the mirror
    /// is told it only when it is given here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub space: Option<SpaceId>,
}

/// What to take back, and from whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct MirrorUnpin {
    /// Ticket or endpoint id of the mirror.
    pub mirror: String,
    /// CID of a thread, space or blob.
    pub id: String,
}

/// What a mirror said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MirrorAnswer {
    /// Endpoint id of the mirror, hex.
    pub mirror: String,
    /// It keeps its promise from now on.
    pub accepted: bool,
    /// Why, or why not, in its words.
    pub reason: String,
    /// Bytes that it promised at most.
    pub max_bytes: u64,
    /// Bytes that this requester has left there.
    pub left_bytes: u64,
    /// Until when, Unix milliseconds; none: until taken back.
    pub until_ms: Option<u64>,
}
