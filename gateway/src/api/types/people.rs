//! Profiles and follows.

use model::BlobId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An edit of one's own profile; absent fields stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileEdit {
    /// Display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// About, markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Blob CID of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub avatar: Option<BlobId>,
    /// Where the identity can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homes: Option<Vec<String>>,
}

/// Follow or stop following.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FollowRequest {
    /// Follow.
    pub on: bool,
}
