//! Measurements against the rivals beside us.
fn main() {}
