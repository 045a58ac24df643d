//! What pages and the JSON API show: plain data, the same types for both.
//!
//! Ids are in their text form (CIDv1 base32; keys as 64 hex digits), times are Unix
//! milliseconds, sizes are bytes. Nothing here is derived from unverified content.

mod mirrors;
mod payments;
mod provenance;
mod torrents;
mod traffic;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use mirrors::{AuditRow, Mirror, MirrorQuota, MirrorRule, MirrorStatus, MissingBlob, PinAsked};
pub use payments::{
    Batch, BatchOutput, ChainStatus, ChainTip, LeftOut, Paid, PaidVote, PayChoice, PayTo,
    PaymentBinding, PaymentChanged, PaymentKey, PaymentState, ProofReport, Received,
    UnknownRecipient,
};
pub use provenance::Provenance;
pub use torrents::{
    Claim, Publicity, Share, ShareKind, ShareState, Torrent, TorrentName, UnknownPublicity,
};
pub use traffic::{Caps, Traffic, TrafficSample, Ways};

/// How far this node vouches for an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Signature, schema, references and authority all check out.
    Valid,
    /// Something it refers to is not held yet.
    Pending,
    /// Its feed is forked: shown with a banner, counted nowhere.
    Disputed,
    /// Its grant was revoked, or it lost a fork.
    Void,
}

/// An identity as shown beside what it wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Author {
    /// Identity CID.
    pub identity: String,
    /// Display name from the identity's profile, unverified by anyone else.
    pub name: Option<String>,
    /// Blob CID of the avatar.
    pub avatar: Option<String>,
}

/// A board's name where a link to it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BoardLink {
    /// Space id.
    pub space: String,
    /// Title, or the shortened id while the board row is not held.
    pub title: String,
}

/// A board with its description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Board {
    /// Space id.
    pub space: String,
    /// Title.
    pub title: String,
    /// Description, markdown.
    pub about: String,
    /// Rules, markdown.
    pub rules: String,
    /// Blob CID of the icon.
    pub icon: Option<String>,
    /// BCP 47 language tag.
    pub lang: String,
    /// `open`, `approval`, `members` or `closed`.
    pub policy: String,
    /// Where the board can be reached: tickets or URLs.
    pub homes: Vec<String>,
    /// Owner.
    pub owner: Author,
    /// Threads held.
    pub threads: u64,
    /// Time of the newest entry held.
    pub last_ms: Option<u64>,
    /// Not announced to anyone; its id is the capability. Nothing is encrypted.
    pub unlisted: bool,
    /// The signed-in person may change the board's title, rules and policy.
    pub can_admin: bool,
    /// Nodes that say they mirror it, this one included.
    #[serde(default)]
    pub mirrors: u32,
    /// What posting costs strangers, paid to the owner.
    #[serde(default)]
    pub price_sats: Option<u64>,
}

/// How much of an item this node and others hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Availability {
    /// Peers it was sent to since it was published or fetched.
    pub sent_to: u32,
    /// Other nodes with a valid, unexpired statement that they hold it in full.
    pub held_by: u32,
    /// Verified bytes held here.
    pub held_bytes: u64,
    /// All bytes of it, where known.
    pub total_bytes: u64,
}

/// A media file of a post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Media {
    /// Blob CID.
    pub blob: String,
    /// File name as the author gave it.
    pub name: String,
    /// Media type as claimed by the author; the gateway serves only types it sniffed itself.
    #[serde(rename = "type")]
    pub media_type: String,
    /// Claimed size.
    pub size_bytes: u64,
    /// Description for those who can't see or hear it.
    pub alt: Option<String>,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// Playing time.
    pub duration_ms: Option<u64>,
    /// Blob CID of a thumbnail picture.
    pub thumb: Option<String>,
    /// Blob CIDs of WebVTT captions.
    pub captions: Vec<String>,
    /// Who has it.
    pub availability: Availability,
    /// On this node's denylist: neither shown nor served.
    pub denied: bool,
    /// CID of its UnixFS file, where it is known here.
    #[serde(default)]
    pub ipfs: Option<String>,
    /// Its name in swarms, where it has one: computed here, or claimed by the author.
    #[serde(default)]
    pub torrent: Option<TorrentName>,
    /// How far it may travel; told to the node's own person only.
    #[serde(default)]
    pub publicity: Option<Publicity>,
    /// Where its bytes came from in the last minutes: for pages, which ask for it themselves.
    #[serde(skip)]
    pub shares: Vec<Share>,
}

/// A post as it stands now: edits, marks and votes applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Post {
    /// Entry CID; the permalink.
    pub id: String,
    /// Space id.
    pub space: String,
    /// Entry CID of the thread's first post (its own id for a first post).
    pub root: String,
    /// Entry CID of the post it answers.
    pub parent: Option<String>,
    /// Levels below the first post, which is at 0.
    pub level: u32,
    /// Who wrote it.
    pub author: Author,
    /// Time as the author's clock said.
    pub time_ms: u64,
    /// Time of the newest edit.
    pub edited_ms: Option<u64>,
    /// Title (first posts).
    pub title: Option<String>,
    /// Link.
    pub url: Option<String>,
    /// Body, markdown source.
    pub body: String,
    /// Media.
    pub media: Vec<Media>,
    /// BCP 47 language tag.
    pub lang: Option<String>,
    /// Covered until asked for.
    pub nsfw: bool,
    /// Sum of valid votes.
    pub score: i64,
    /// The signed-in person's vote: -1, 0 or 1.
    pub my_vote: i8,
    /// How far this node vouches for it.
    pub verdict: Verdict,
    /// Hidden by a moderator, with the reason.
    pub hidden: Option<String>,
    /// No replies are shown after a lock.
    pub locked: bool,
    /// Kept on top of its board.
    pub pinned: bool,
    /// The payload was erased, expired or withheld: only the header is held.
    pub erased: bool,
    /// Written by the signed-in person's identity.
    pub mine: bool,
    /// What proved payments say of it; none where no vote on it is paid.
    #[serde(default)]
    pub paid: Option<Paid>,
    /// Folded away: its board asks strangers for so many sats, and none are proved.
    #[serde(default)]
    pub unpaid_price: Option<u64>,
    /// The same of one's own post, which is not folded away here, but on other nodes.
    #[serde(default)]
    pub own_price: Option<u64>,
    /// The price that rows claim was paid, where this node keeps no headers to tell.
    #[serde(default)]
    pub claimed_price: Option<u64>,
}

/// One line of a board or of the front page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ThreadSummary {
    /// Entry CID of the first post.
    pub root: String,
    /// Board.
    pub board: BoardLink,
    /// Who wrote the first post.
    pub author: Author,
    /// Title, or the first words of the body.
    pub title: String,
    /// Link of a link post.
    pub url: Option<String>,
    /// Time of the first post.
    pub time_ms: u64,
    /// Time of the newest reply, or of the first post.
    pub last_ms: u64,
    /// Sum of valid votes on the first post.
    pub score: i64,
    /// The signed-in person's vote: -1, 0 or 1.
    pub my_vote: i8,
    /// Replies held.
    pub replies: u64,
    /// Blob CID of a thumbnail.
    pub thumb: Option<String>,
    /// Media type of the first media file.
    pub media_type: Option<String>,
    /// Covered until asked for.
    pub nsfw: bool,
    /// Kept on top.
    pub pinned: bool,
    /// Closed to replies.
    pub locked: bool,
    /// What proved payments say of all its posts; none where no vote in it is paid.
    #[serde(default)]
    pub paid: Option<Paid>,
    /// Folded away: its board asks strangers for so many sats, and none are proved.
    #[serde(default)]
    pub unpaid_price: Option<u64>,
}

/// Order of a list of threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// Score against age.
    #[default]
    Hot,
    /// Newest first.
    New,
    /// Highest score first.
    Top,
    /// Most proved sats first, then as `top`.
    Sats,
}

/// Part of a long list, and where the next part starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// This part.
    pub items: Vec<T>,
    /// Opaque cursor of the next part; none at the end.
    pub next: Option<String>,
}

/// A thread: posts in reading order (depth first, best first among siblings).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Thread {
    /// Board.
    pub board: BoardLink,
    /// First post first; `level` gives the tree.
    pub posts: Vec<Post>,
    /// Posts held in the whole thread.
    pub total: u64,
    /// Cursor of the next part of a long thread.
    pub next: Option<String>,
    /// Entries of the thread: to how many peers they went, and who holds all of them.
    pub availability: Availability,
    /// Pinned on this node.
    pub pin: bool,
    /// Ticket that leads another node to this thread.
    pub ticket: Option<String>,
}

/// An identity's own page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Profile {
    /// Who.
    pub author: Author,
    /// About, markdown.
    pub about: String,
    /// Where the identity can be reached.
    pub homes: Vec<String>,
    /// Device keys, hex, with the name each was given.
    pub devices: Vec<Device>,
    /// The signed-in person's own profile.
    pub mine: bool,
    /// The signed-in person follows it.
    pub followed: bool,
    /// Newest posts.
    pub posts: Page<Post>,
}

/// A device of an identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Ed25519 public key, hex.
    pub key: String,
    /// Name given when it was added.
    pub name: String,
}

/// A peer that this node talks to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// Endpoint id, hex.
    pub id: String,
    /// Address in use, or `relay`.
    pub path: String,
    /// Round trip.
    pub rtt_ms: Option<f64>,
    /// Entries received from it.
    pub entries_in: u64,
    /// Entries sent to it.
    pub entries_out: u64,
    /// When it was last heard.
    pub seen_ms: u64,
    /// Connected now.
    pub connected: bool,
}

/// A pin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pin {
    /// What is pinned: CID of a thread, a space or a blob.
    pub id: String,
    /// `thread`, `space` or `blob`.
    pub kind: String,
    /// `none`, `thumbs` or `all`.
    pub media: String,
    /// Byte limit of the pin.
    pub max_bytes: Option<u64>,
    /// Bytes held for it.
    pub held_bytes: u64,
    /// Bytes it needs in all, as far as known.
    pub total_bytes: u64,
    /// Since when.
    pub since_ms: u64,
    /// Bytes promised: all of it, or as many of it as its limit allows.
    #[serde(default)]
    pub promised_bytes: u64,
    /// Blobs of it that are promised and not held in full.
    #[serde(default)]
    pub missing: u64,
    /// Since when something of it is missing; none while all is held.
    #[serde(default)]
    pub missing_since_ms: Option<u64>,
    /// Identity of who asked for it; none: the node's own person.
    #[serde(default)]
    pub asked_by: Option<String>,
}

/// The node's own state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Endpoint id, hex.
    pub endpoint: String,
    /// Addresses the endpoint listens on.
    pub addresses: Vec<String>,
    /// This node's identity.
    pub identity: String,
    /// This node's device key, hex.
    pub device: String,
    /// Nothing leaves the machine.
    pub offline: bool,
    /// Milliseconds since the start.
    pub uptime_ms: u64,
    /// Peers connected now; strangers are told this number only.
    pub connected: u64,
    /// Peers.
    pub peers: Vec<Peer>,
    /// Live gossip topics.
    pub topics: u64,
    /// Spaces followed.
    pub spaces: u64,
    /// Entries held.
    pub entries: u64,
    /// Entries waiting for something.
    pub pending: u64,
    /// Forks seen.
    pub forks: u64,
    /// Blobs held in full.
    pub blobs: u64,
    /// Pins.
    pub pins: u64,
    /// Bytes under the data folder.
    pub used_bytes: u64,
    /// Quota over everything in the data folder.
    pub max_bytes: u64,
    /// Backend of the entry store: `redb` or `sled`.
    pub store: String,
    /// Difference to the peers' median clock; none with no peers.
    pub clock_skew_ms: Option<i64>,
    /// The last minutes of traffic.
    pub traffic: Vec<TrafficSample>,
    /// Caps on traffic and what is used of them; strangers are told zeros.
    #[serde(default)]
    pub caps: Caps,
    /// Where peers of swarms reach this node; none where BitTorrent is switched off, or for strangers.
    #[serde(default)]
    pub torrent_addr: Option<String>,
    /// What a person should know: clock wrong, disk nearly full, ffmpeg missing, ...
    pub warnings: Vec<String>,
}

/// What the node tells those who listen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Opaque; sent back, it resumes exactly after this event.
    pub cursor: String,
    /// `insert`, `update`, `void`, `unvoid`, `purge` or `schema`.
    pub kind: String,
    /// Space id.
    pub space: String,
    /// Thread, where there is one.
    pub root: Option<String>,
    /// Table.
    pub table: String,
    /// Entry CID of the row.
    pub row: String,
    /// Entry CID of what caused it.
    pub cause: String,
    /// The row this one is about (`vote.on`, `mark.on`, `revise.of`, `post.parent`).
    pub about: Option<String>,
}
