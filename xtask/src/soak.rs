//! `cargo xtask soak`: the crash test of the test run, for much longer.

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::workspace::{Workspace, step};

/// Arguments of `soak`.
#[derive(Debug, Args)]
pub struct SoakArgs {
    /// How often each store's node is killed under load.
    #[arg(long, default_value_t = 200)]
    kills: u32,
    /// Only this store.
    #[arg(long, value_enum)]
    store: Option<Store>,
    /// Seed of the moments at which it is killed; the clock's when absent.
    #[arg(long)]
    seed: Option<u64>,
}

/// Where entries are kept.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Store {
    Redb,
    Sled,
}

impl Store {
    fn name(self) -> &'static str {
        match self {
            Self::Redb => "redb",
            Self::Sled => "sled",
        }
    }
}

/// Runs the crash tests with many kills.
///
/// # Errors
/// When anything acknowledged was lost, or a node's data no longer verifies.
pub fn run(workspace: &Workspace, args: &SoakArgs) -> Result<()> {
    let filter = args.store.map_or_else(
        || "crash::kills_".to_owned(),
        |store| format!("crash::kills_{}", store.name()),
    );
    let mut cargo = workspace.cargo([
        "test",
        "--locked",
        "--workspace",
        "--test",
        "processes",
        "--",
    ]);
    cargo
        .args([filter.as_str(), "--nocapture", "--test-threads", "2"])
        .env("SOAK_KILLS", args.kills.to_string());
    if let Some(seed) = args.seed {
        cargo.env("SOAK_SEED", seed.to_string());
    }
    step(&format!("soak, {} kills a store", args.kills), &mut cargo)
}
