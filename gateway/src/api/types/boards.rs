//! Making and following boards.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who may post on a board. A view and replication rule, never validity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Anybody.
    #[default]
    Open,
    /// Shown once approved.
    Approval,
    /// Members only.
    Members,
    /// Nobody for now.
    Closed,
}

impl Policy {
    /// The word in the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approval => "approval",
            Self::Members => "members",
            Self::Closed => "closed",
        }
    }
}

/// A new board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSpace {
    /// Title, at most 100 bytes.
    pub title: String,
    /// Description, markdown.
    #[serde(default)]
    pub about: String,
    /// Rules, markdown.
    #[serde(default)]
    pub rules: String,
    /// BCP 47 language tag; empty: not said.
    #[serde(default)]
    pub lang: String,
    /// Who may post.
    #[serde(default)]
    pub policy: Policy,
    /// Never announced; the id is the capability.
    #[serde(default)]
    pub unlisted: bool,
    /// What posting costs strangers, paid to the owner's payment key. A view, never validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_sats: Option<u64>,
    /// Schema text; none: the built-in forum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}

/// A board was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpaceCreated {
    /// Space id.
    pub space: String,
    /// Ticket for others.
    pub ticket: String,
}

/// What to follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// Ticket, or the id of a space, thread or identity.
    pub target: String,
}

/// What is followed now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Joined {
    /// What it is.
    pub kind: JoinedKind,
    /// Its id.
    pub id: String,
}

/// Kinds of things to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JoinedKind {
    /// A board or another space.
    Space,
    /// A thread.
    Thread,
    /// A person or group.
    Identity,
    /// A node: connected, nothing followed.
    Node,
}
