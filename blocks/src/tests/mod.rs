//! Tests with a real store and real endpoints on loopback.
#![allow(clippy::unwrap_used)]
