//! The `datt` command.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Parser;
use datt::commands::{self, Cli, failure};

/// Threads that still work when all is said get this long.
const LAST_WORDS: Duration = Duration::from_millis(500);

fn main() -> anyhow::Result<ExitCode> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return Ok(usage(&error)),
    };
    let json = cli.json;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the async runtime")?;
    let result = runtime.block_on(cli.run());
    // Work on blocking threads that can't be stopped, a long check of the store for one, is not
    // waited for: everything acknowledged is on disk.
    runtime.shutdown_timeout(LAST_WORDS);
    Ok(ExitCode::from(commands::print(&result, json)))
}

/// Help goes to stdout and is no failure; wrong usage is exit code 2, as JSON if that was asked for.
fn usage(error: &clap::Error) -> ExitCode {
    let json = std::env::args().any(|argument| argument == "--json");
    if error.use_stderr() && json {
        println!(
            "{}",
            failure::error_json("invalid", error.to_string().trim())
        );
    } else {
        // Who closed the pipe has read enough.
        let _ = error.print();
    }
    ExitCode::from(if error.use_stderr() {
        failure::USAGE
    } else {
        failure::DONE
    })
}
