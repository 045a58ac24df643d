//! The data's way, one function an arrow:
//! publish → import → sign → ingest → announce → peer fetches → verify → ingest → index → serve.

pub mod album;
pub mod announce;
pub mod capsule;
pub mod fetch;
pub mod follow;
pub mod import;
pub mod import_car;
pub mod ingest;
mod mend;
pub mod name;
pub mod pay;
pub mod publish;
pub mod retrieve;
pub mod seed;
pub mod sign;
pub mod torrent;
