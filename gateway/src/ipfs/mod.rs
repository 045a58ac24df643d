//! The IPFS side of HTTP: path, trustless and subdomain gateway, and delegated routing.
//!
//! A request becomes an [`address::Address`] (a root and a way down) and a [`format::Wish`]; the
//! node resolves it to an entity, and [`serve`] answers with that in the wished form. Bytes come
//! verified from the node. On origins shared with the pages nothing of it runs as script: types
//! come from `media`, under `nosniff` and a sandbox. Where a root has an origin of its own, it may.

pub mod address;
pub mod asked;
pub mod car;
pub mod data;
pub mod directory;
pub mod format;
pub mod media;
pub mod origin;
pub mod path;
pub mod preview;
pub mod routing;
pub mod serve;
pub mod subdomain;
pub mod types;
