//! Proofs that hold, proofs that try to fool, and the vectors for other implementations.
#![allow(clippy::unwrap_used)]

pub mod attacks;
mod batches;
mod decoding;
mod merkle;
mod properties;
mod vectors;
mod world;
