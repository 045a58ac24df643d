//! What tests need of Bitcoin, in this process: a miner at regtest's difficulty, a peer that
//! speaks the wire protocol over loopback, honest or not, and a source without a network.

mod branch;
mod coinbase;
mod in_process;
mod lies;
mod miner;
mod peer;
mod talk;
#[cfg(test)]
mod tests;

pub use in_process::InProcess;
pub use miner::{Miner, NotEnough};
pub use peer::{Behaviour, MockPeer};
