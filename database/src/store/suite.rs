//! One suite for all backends.
#![allow(clippy::unwrap_used)]
