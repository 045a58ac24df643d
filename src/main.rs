//! The `datt` command.
fn main() {}
