//! Headers of one chain.

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
