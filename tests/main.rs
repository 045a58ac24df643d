//! Real processes and a real browser: the program as people and other nodes meet it.
//!
//! One binary, so that it links once. Nothing here sleeps in order to be right: tests wait for
//! events, or look again until a deadline. Nodes listen on free ports of loopback.

mod album;
mod bad_input;
mod browser;
mod caps;
mod capsule;
mod car;
mod catch_up;
mod cli;
mod consent;
mod crash;
mod damage;
mod denylist;
mod events;
mod http;
mod liars;
mod media;
mod mirror;
mod mirroring;
mod node;
mod offline;
mod payments;
mod publish;
mod purse;
mod retrieve;
mod scene;
mod serving;
mod tls;
mod torrents;
mod webdriver;

#[test]
fn every_file_is_part_of_the_run() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let own = include_str!("main.rs");
    for file in std::fs::read_dir(folder).expect("the tests lie here") {
        let name = file.expect("a folder can be listed").file_name();
        let name = name.to_string_lossy();
        let Some(module) = name.strip_suffix(".rs").filter(|stem| *stem != "main") else {
            continue;
        };
        assert!(
            own.contains(&format!("mod {module};")),
            "{name} is compiled by nobody"
        );
    }
}
