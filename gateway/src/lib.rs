//! The only owner of HTTP: pages, JSON API, events, blobs, metrics.
//!
//! The crate owns no socket and no task: the accept loop hands requests to the router as a tower
//! service, with the client's address as a [`ClientAddr`] extension, and [`node::Node`] is all it
//! knows of what lies behind.
//!
//! `pages::routes() -> Router<Gate>` gives every page and form except `/signin/{once}` and
//! `/signout`; a page handler may fail with [`failure::Failure`], which the router shows through
//! `pages::failure(&Failure, signed_in: bool) -> Response`.

pub mod api;
pub mod auth;
pub mod blob;
pub mod client;
pub mod failure;
pub mod gate;
pub mod guard;
pub mod headers;
pub mod ipfs;
pub mod metrics;
pub mod node;
pub mod pages;
mod qr;
pub mod rate;
pub mod router;
pub mod settings;
pub mod sign_in;
pub mod slots;
pub mod swarm;
pub mod upload;

#[cfg(test)]
mod tests;

pub use router::router;

/// The address a request came from; the accept loop inserts it as a request extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddr(pub std::net::SocketAddr);

/// The request came over TLS that ended here; the accept loop inserts it as a request extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverTls;
