//! Pins.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which media a pin keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PinMedia {
    /// Entries only.
    None,
    /// Thumbnails and captions.
    Thumbs,
    /// All.
    #[default]
    All,
}

impl PinMedia {
    /// The word in requests and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Thumbs => "thumbs",
            Self::All => "all",
        }
    }
}

/// How to pin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PinRequest {
    /// Which media.
    #[serde(default)]
    pub media: PinMedia,
    /// Byte limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

/// A new pin, by `POST /api/v1/pins`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPin {
    /// CID of a thread, space or blob.
    pub id: String,
    /// Which media.
    #[serde(default)]
    pub media: PinMedia,
    /// Byte limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}
