//! `/api/v1`: JSON for programs and for the command line.

pub mod blobs;
pub mod caller;
pub mod car;
pub mod document;
pub mod error_code;
pub mod events;
pub mod input;
pub mod mirror;
pub mod node;
pub mod payment_events;
pub mod payments;
pub mod people;
pub mod pins;
pub mod progress;
pub mod retrieve;
pub mod routes;
pub mod spaces;
pub mod threads;
pub mod torrents;
pub mod types;
