//! Headers of one chain.
