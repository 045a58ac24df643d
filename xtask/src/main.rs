//! run, test, check, tidy, bench, dist
fn main() {}
