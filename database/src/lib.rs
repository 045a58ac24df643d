//! The schema-based p2p database: verdicts on entries, rows, folds, views and events, over a narrow
//! storage trait.
//!
//! A local entry enters by the same gate as a stranger's: [`Database::ingest`]. A verdict is a
//! function of what is held, never of the order in which it came. Everything but entries and
//! payloads is derived, updated by the change, and can be rebuilt: [`Database::rebuild`].

pub mod authoring;
mod authority;
mod budget;
mod database;
mod error;
mod event;
mod feed;
pub mod forum;
mod gate;
mod incoming;
mod judge;
mod lookup;
mod options;
mod overlay;
mod reader;
mod rebuild;
mod reconcile;
mod record;
mod report;
mod rows;
pub mod schema;
mod scope;
pub mod store;
mod table_name;
#[cfg(test)]
mod tests;
mod txn;
mod verdict;
mod verify;

pub use authority::SpaceInfo;
pub use database::Database;
pub use error::{DatabaseError, OpenError};
pub use event::{Cursor, CursorError, Event, EventKind, EventPage};
pub use incoming::{Content, Incoming, Packet, PacketError, Source, verify_ahead, verify_batch};
pub use options::Options;
pub use reader::{Counts, EntryState, Reader};
pub use record::PayloadState;
pub use report::{Budget, IngestReport, Outcome};
pub use scope::{Digest, Equivocation, Fingerprint, Scope};
pub use store::Durability;
pub use verdict::{Missing, Reason, Verdict};
pub use verify::{Problem, Progress, Stage};
