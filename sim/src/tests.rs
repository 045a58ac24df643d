//! Every scenario converges, and the same seed gives the same trace in two processes.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use crate::{Outcome, Scenario, World, liar::Lie};

fn run(text: &str) -> Outcome {
    let scenario = Scenario::parse(text).unwrap();
    let outcome = World::new(scenario).run();
    println!("{outcome:?}");
    outcome
}

fn assert_converged(text: &str) -> Outcome {
    let outcome = run(text);
    assert!(outcome.converged(), "{outcome:?}");
    assert!(outcome.view_bytes > 100 * outcome.written, "{outcome:?}");
    assert_eq!(outcome.wronged, 0, "honest nodes were banned");
    outcome
}

#[test]
fn a_hundred_nodes_over_a_lossy_network() {
    let outcome = assert_converged(include_str!("../scenarios/hundred.toml"));
    assert_eq!(outcome.honest, 100);
    assert!(outcome.spread_ms.unwrap() < 1_000, "{outcome:?}");
}

#[test]
fn halves_that_were_apart_come_together() {
    assert_converged(include_str!("../scenarios/partition.toml"));
}

#[test]
fn nodes_that_crash_catch_up() {
    assert_converged(include_str!("../scenarios/crash.toml"));
}

#[test]
fn liars_change_nothing_and_are_found_out() {
    let outcome = assert_converged(include_str!("../scenarios/liars.toml"));
    for kind in [Lie::Garbage, Lie::Forged, Lie::Wrong] {
        let by: usize = outcome
            .found_out
            .iter()
            .filter(|(lie, _)| *lie == kind)
            .map(|(_, by)| by)
            .sum();
        assert!(by > 0, "{kind:?} was not found out: {outcome:?}");
    }
}

#[test]
fn late_joiners_get_everything() {
    assert_converged(include_str!("../scenarios/late.toml"));
}

#[test]
fn files_that_are_no_scenarios_are_refused() {
    for text in ["", "nodes = 3", "about = 1"] {
        assert!(Scenario::parse(text).is_err());
    }
    let text = include_str!("../scenarios/late.toml").replace("nodes", "knodes");
    assert!(Scenario::parse(&text).is_err());
}

/// Name of the test that a second process runs, and what marks its line.
const ALONE: &str = "tests::a_trace_alone";
const MARK: &str = "trace of the small world: ";

#[test]
fn a_trace_alone() {
    let outcome = run(include_str!("../scenarios/small.toml"));
    println!("{MARK}{}", outcome.trace);
}

#[test]
fn the_same_seed_gives_the_same_trace_in_two_processes() {
    let trace = || {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", ALONE, "--nocapture", "--test-threads=1"])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let place = text.find(MARK).unwrap_or_else(|| panic!("{text}"));
        text[place + MARK.len()..][..64].to_owned()
    };
    let (first, second) = (trace(), trace());
    assert_eq!(first, second);
    let other = include_str!("../scenarios/small.toml").replace("seed = ", "seed = 1");
    assert_ne!(run(&other).trace, first, "another seed, another trace");
}
