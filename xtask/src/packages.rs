//! Programs from Debian packages that a command needs, and getting them.

use std::process::Command;

use anyhow::{Result, bail};

use crate::workspace::{step, which};

/// A program and the Debian package that brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tool {
    /// Name of the executable.
    pub program: &'static str,
    /// Name of the package.
    pub package: &'static str,
}

/// Prepares media: thumbnails, durations, fixtures.
pub const FFMPEG: Tool = Tool {
    program: "ffmpeg",
    package: "ffmpeg",
};
/// Speaks, so that the fixtures hold a real voice.
pub const ESPEAK: Tool = Tool {
    program: "espeak-ng",
    package: "espeak-ng",
};
/// The browser of the browser tests.
pub const CHROMIUM: Tool = Tool {
    program: "chromium",
    package: "chromium",
};
/// Drives the browser.
pub const CHROMEDRIVER: Tool = Tool {
    program: "chromedriver",
    package: "chromium-driver",
};
/// Gives a test's node a clock that is wrong.
pub const FAKETIME: Tool = Tool {
    program: "faketime",
    package: "faketime",
};
/// The web server that Range reads are measured against.
pub const NGINX: Tool = Tool {
    program: "nginx",
    package: "nginx-light",
};
/// Puts load on web servers.
pub const WRK: Tool = Tool {
    program: "wrk",
    package: "wrk",
};
/// Creates network namespaces without a way out, to prove that nothing leaves the machine.
pub const UNSHARE: Tool = Tool {
    program: "unshare",
    package: "util-linux",
};
/// Brings up the loopback interface in such a namespace.
pub const IP: Tool = Tool {
    program: "ip",
    package: "iproute2",
};

/// A BitTorrent client.
pub const ARIA2: Tool = Tool {
    program: "aria2c",
    package: "aria2",
};
/// A BitTorrent client.
pub const TRANSMISSION: Tool = Tool {
    program: "transmission-cli",
    package: "transmission-cli",
};
/// A BitTorrent tracker.
pub const OPENTRACKER: Tool = Tool {
    program: "opentracker",
    package: "opentracker",
};

/// What is missing, in the order given.
fn missing(tools: &[Tool], found: impl Fn(&str) -> bool) -> Vec<Tool> {
    tools
        .iter()
        .copied()
        .filter(|tool| !found(tool.program))
        .collect()
}

/// The line that installs the tools.
fn install_line(tools: &[Tool]) -> String {
    let names: Vec<&str> = tools.iter().map(|tool| tool.package).collect();
    format!(
        "apt-get update && apt-get install -y --no-install-recommends {}",
        names.join(" ")
    )
}

/// Makes sure that all tools are there: installs them as root, else fails with the line to run.
///
/// # Errors
/// When something is missing and can't be installed.
pub fn require(tools: &[Tool]) -> Result<()> {
    let absent = missing(tools, |program| which(program).is_some());
    if absent.is_empty() {
        return Ok(());
    }
    let line = install_line(&absent);
    if !is_root() || which("apt-get").is_none() {
        bail!("programs are missing; run this, then try again:\n\n    sudo sh -c '{line}'\n");
    }
    step(
        "apt-get update",
        Command::new("apt-get").args(["-q", "update"]),
    )?;
    let mut install = Command::new("apt-get");
    install
        .args(["install", "-q", "-y", "--no-install-recommends"])
        .args(absent.iter().map(|tool| tool.package))
        .env("DEBIAN_FRONTEND", "noninteractive");
    step("apt-get install", &mut install)?;
    let still = missing(&absent, |program| which(program).is_some());
    if let Some(tool) = still.first() {
        bail!(
            "{} is still missing after installing {}; run: {line}",
            tool.program,
            tool.package
        );
    }
    Ok(())
}

/// Like [`require`], but only says what won't work without them.
pub fn prefer(tools: &[Tool], without: &str) {
    if let Err(error) = require(tools) {
        println!("note: {without}\n{error}");
    }
}

/// Whether this process may install packages.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absent_tools_are_named_in_the_line() {
        let absent = missing(&[FFMPEG, CHROMIUM, CHROMEDRIVER], |name| name == "chromium");
        assert_eq!(absent, [FFMPEG, CHROMEDRIVER]);
        assert_eq!(
            install_line(&absent),
            "apt-get update && apt-get install -y --no-install-recommends ffmpeg chromium-driver"
        );
    }

    #[test]
    fn a_package_that_is_nowhere_fails() {
        let ghost = Tool {
            program: "no-such-program-of-datt",
            package: "no-such-package-of-datt",
        };
        assert_eq!(missing(&[ghost], |name| which(name).is_some()), [ghost]);
    }
}
