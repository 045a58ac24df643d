//! Deterministic simulation: seeded network, disk, clock and liars around the sans-io cores.
//!
//! A hundred nodes run the real cores of `gossip` and the real `database` on its in-memory store.
//! What is simulated is around them: a lossy flood instead of iroh-gossip's trees, ordered streams
//! with latency instead of QUIC, partitions, crashes that keep the disk, late joiners, and liars.
//! The same scenario and seed give the same trace, event by event, in every process.

mod disk;
mod forum;
mod ledger;
mod liar;
mod mesh;
mod outcome;
mod peer;
mod scenario;
#[cfg(test)]
mod tests;
mod world;

pub use outcome::Outcome;
pub use scenario::{Scenario, ScenarioError};
pub use world::World;
