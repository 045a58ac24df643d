//! wrk: load by many connections at once.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// How many connections read at once.
pub const CONNECTIONS: usize = 64;
/// What a player asks for at once.
const RANGE_BYTES: u64 = 1 << 20;

/// A script that asks for ranges at random places of a file.
pub fn ranges_script(size_bytes: u64) -> String {
    format!(
        "math.randomseed(7)\nrequest = function()\n  local first = math.random(0, {})\n  \
         wrk.headers['range'] = string.format('bytes=%d-%d', first, first + {})\n  return wrk.format('GET')\nend\n",
        size_bytes - RANGE_BYTES,
        RANGE_BYTES - 1
    )
}

/// MiB a second that wrk receives, with the same script for each request or none.
pub fn load(url: &str, script: Option<&Path>, seconds: u32) -> Result<f64> {
    let mut wrk = Command::new("wrk");
    wrk.args(["-t", "2", "-c", &CONNECTIONS.to_string()])
        .args(["-d", &format!("{seconds}s")]);
    if let Some(script) = script {
        wrk.arg("-s").arg(script);
    }
    let output = wrk
        .arg(url)
        .output()
        .context("wrk is missing; apt-get install wrk")?;
    let said = String::from_utf8_lossy(&output.stdout);
    if said.contains("Non-2xx") {
        bail!("requests failed: {said}");
    }
    let rate = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("Transfer/sec:"))
        .with_context(|| format!("no rate in {said}"))?
        .trim();
    let digits = rate.trim_end_matches(char::is_alphabetic);
    // wrk's units are powers of 1024, whatever it calls them
    let scale = match &rate[digits.len()..] {
        "GB" => 1024.0,
        "MB" => 1.0,
        "KB" => 1.0 / 1024.0,
        other => bail!("a rate in {other}"),
    };
    Ok(digits.parse::<f64>()? * scale)
}
