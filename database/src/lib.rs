//! database
pub mod store;
