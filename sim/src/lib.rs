//! Deterministic simulation: seeded network, disk, clock and liars around the sans-io cores.
