//! Payment proofs.
