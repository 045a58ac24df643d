//! The caps that transfers keep.

use std::fmt;

use n0_future::boxed::BoxFuture;

/// What transfers ask before they move bytes, or right after; it also knows of the traffic that has
/// nothing to do with blobs.
pub trait Throttle: fmt::Debug + Send + Sync + 'static {
    /// Returns when `bytes` may be sent.
    fn send(&self, bytes: u64) -> BoxFuture<()>;

    /// Returns when the next bytes may be read, after `bytes` were.
    fn receive(&self, bytes: u64) -> BoxFuture<()>;

    /// Whether what may be sent for now is used up: new requests are told to come later, running
    /// ones end.
    fn is_spent(&self) -> bool;
}
