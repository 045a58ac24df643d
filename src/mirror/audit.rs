//! Challenges to those who say that they hold what this node cares about.
//!
//! What comes of it is said as "answered n of m challenges within d ms": delivery, not storage.

mod book;
mod plan;
mod run;
mod subjects;

pub use book::{Audits, Noted, Tally};
pub use plan::{Planned, Subject, plan};
pub use run::{Round, Wanted, round, run};
