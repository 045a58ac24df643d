//! Requests and answers of `/api/v1`: shared by the routes, the pages' forms and the command line.
//!
//! Ids are CIDv1 text in JSON; sizes are bytes, times milliseconds.

mod base64;
mod blobs;
mod boards;
mod car;
mod mirrors;
mod payments;
mod people;
mod pins;
mod retrieve;
mod threads;
mod torrents;

use model::{EntryId, SpaceId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub use super::error_code::ErrorCode;
pub use blobs::{
    AddRequest, AlbumAdded, BlobAdded, BlobState, FetchProgress, FetchRequest, ImportProgress,
    PathRequest, UploadQuery,
};
pub use boards::{JoinRequest, Joined, JoinedKind, NewSpace, Policy, SpaceCreated};
pub use car::{CarImported, CarKind, CarProgress, ExportQuery, FileImported};
pub use mirrors::{AuditRequest, MirrorAnswer, MirrorPin, MirrorUnpin};
pub use payments::{
    BatchInput, BatchRequest, NewPaymentKey, PayRequest, PaymentsQuery, ProofBytes, ProofRequest,
    ProveRequest, Proved, ProvedPayment, TransactionRequest,
};
pub use people::{FollowRequest, ProfileEdit};
pub use pins::{NewPin, PinMedia, PinRequest};
pub use retrieve::{
    Denied, DeniedCid, DenyRequest, DenylistState, GatewayFault, RetrieveProgress, RetrieveRequest,
    Retrieved, RetrievedKind,
};
pub use threads::{
    Edit, MarkAct, MarkRequest, MediaRef, NamedMedia, NewPost, Published, ReportRequest,
    ThreadsQuery, VoteRequest, Voted, Written,
};
pub use torrents::{
    Infohash, InfohashSyntax, PublicityAnswer, PublicityRequest, TorrentDone, TorrentDoneFile,
    TorrentProgress, TorrentRequest, TorrentSource,
};

/// Every failed request of the API answers with this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// The failure.
    pub error: ErrorDetail,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// Stable name.
    pub code: ErrorCode,
    /// What failed, why, and what to do.
    pub message: String,
}

/// What a ticket shall lead to; with neither: to this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TicketQuery {
    /// Space id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    #[param(value_type = Option<String>)]
    pub space: Option<SpaceId>,
    /// Entry CID of a thread's first post.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    #[param(value_type = Option<String>)]
    pub root: Option<EntryId>,
}

/// A ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TicketAnswer {
    /// Text that `datt join` and `datt up --peer` take.
    pub ticket: String,
}

/// Part of a long list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// Cursor of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many; the gateway has clamped it to 1..=1000. None: the node's own page size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Progress of a check of everything held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum VerifyProgress {
    /// Under way.
    Progress {
        /// Items checked.
        checked: u64,
        /// Items to check.
        total: u64,
        /// `entries`, `blobs`, `indexes`.
        stage: String,
    },
    /// Everything was checked.
    Done {
        /// Nothing wrong.
        ok: bool,
        /// What is wrong, one sentence each, bounded.
        problems: Vec<String>,
    },
}

/// A one-time sign-in URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignInUrl {
    /// Open it in a browser within ten minutes; it works once.
    pub url: String,
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// After this cursor; none: from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Of this thread only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    #[param(value_type = Option<String>)]
    pub root: Option<EntryId>,
    /// Of this space only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    #[param(value_type = Option<String>)]
    pub space: Option<SpaceId>,
}
