//! Headers of one chain: judged, kept, and followed to the branch with the most work.
//!
//! Participants: whoever brings headers (a light client, a file) and may lie, and whoever asks
//! which blocks stand on the chain. Goals: what is kept was worked for; each header is judged by
//! its own branch (target, median time), never by another; a liar costs bounded memory; the same
//! headers in the same order lead to the same chain, so that a file of them is the chain. No goals:
//! transactions and scripts are not looked at, so the chain shows the most work seen, not that its
//! blocks are valid; signet's blocks are signed in their coinbase, which headers can't show, and
//! testnet4's can be cheap.
//!
//! Beyond what Bitcoin Core's headers-first rules say, a branch that has passed a known checkpoint
//! beats every one that has not, and nothing branches off below one.

mod accept;
mod active;
mod change;
mod checkpoints;
mod copy;
mod edge;
mod error;
#[cfg(not(target_arch = "wasm32"))]
mod file;
mod header_chain;
mod index;
mod record;
#[cfg(not(target_arch = "wasm32"))]
mod replay;
mod rules;
mod side;
#[cfg(not(target_arch = "wasm32"))]
mod store;
#[cfg(test)]
mod tests;

pub use change::{Change, Tip};
pub use copy::{CopyError, CopyForm, Imported, export};
pub use error::{ChainError, HeaderFault};
#[cfg(not(target_arch = "wasm32"))]
pub use file::{HeaderFile, HeaderFileError};
pub use header_chain::HeaderChain;
#[cfg(not(target_arch = "wasm32"))]
pub use store::{ChainStore, StoreError};
