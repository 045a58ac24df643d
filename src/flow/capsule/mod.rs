//! Capsules: threads, spaces or a whole node as one CAR that is verified without a network
//! (`docs/protocol/capsule.md`).

mod file_walk;
mod landing;
mod marks;
mod reader;
pub mod take;
pub mod write;

pub use marks::{Contents, End, What, contents, end};
