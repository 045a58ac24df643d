//! The data's way, one function an arrow:
//! publish → import → sign → ingest → announce → peer fetches → verify → ingest → index → serve.

pub mod announce;
pub mod fetch;
pub mod follow;
pub mod import;
pub mod ingest;
pub mod publish;
pub mod sign;
