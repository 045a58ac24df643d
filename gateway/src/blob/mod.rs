//! Blobs and blocks over HTTP: `/ipfs/{cid}` and `/blob/{cid}/outboard`.

pub mod body;
pub mod known_types;
pub mod media_type;
pub mod range;
pub mod reader;
pub mod serve;
