//! The datt node.

pub mod causes;
pub mod clock;
pub mod commands;
pub mod config;
pub mod core;
pub mod data_folder;
pub mod denylist;
pub mod endpoint;
pub mod flow;
pub mod follows;
pub mod holdings;
pub mod identity;
pub mod kept;
pub mod media;
pub mod mirror;
#[cfg(test)]
mod mutation;
pub mod node;
pub mod payments;
pub mod pins;
pub mod port;
pub mod publicity;
pub mod replica;
pub mod room;
pub mod service;
pub mod sources;
pub mod storage;
pub mod throttle;
pub mod torrents;
pub mod traffic;
pub mod upkeep;
pub mod wants;
