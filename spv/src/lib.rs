//! Bitcoin without a full node: block headers, payment proofs that lean on nothing else, and a
//! light client that brings both. It knows scripts and amounts, and of a vote only its id.

pub mod chain;
pub mod network;
pub mod proof;
#[cfg(all(feature = "nakamoto", any(test, feature = "regtest")))]
pub mod regtest;
#[cfg(feature = "nakamoto")]
pub mod source;

pub use network::Network;
