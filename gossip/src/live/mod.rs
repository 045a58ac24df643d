//! Live gossip: what goes over topics, and which topics to be in.

mod bucket;
mod message;
mod seen;
mod topics;

pub use message::{Message, MessageError};
pub use topics::{Admission, Topics, topic_of};
