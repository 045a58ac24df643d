//! Bytes over HTTP: opened, typed, cut to ranges, sent; and `/blob/{cid}/outboard`.

pub mod body;
pub mod disposition;
pub mod known_types;
pub mod media_type;
pub mod outboard;
pub mod range;
pub mod reader;
pub mod sharing;
