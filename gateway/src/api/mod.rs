//! `/api/v1`: JSON for programs and for the command line.

pub mod error_code;
pub mod types;
