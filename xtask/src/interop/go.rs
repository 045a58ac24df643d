//! Programs built from the Go module proxy, where Go is on the machine and the proxy has them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workspace::{step, which};

/// A module at a version, and the program in it.
#[derive(Debug, Clone, Copy)]
pub struct Module {
    /// Import path.
    pub path: &'static str,
    /// With the `v`.
    pub version: &'static str,
    /// Package to build.
    package: &'static str,
    /// Whether the package is a set of tests rather than a program.
    is_tests: bool,
    /// Name of what comes out.
    program: &'static str,
    /// Modules that are needed in a newer version than the module itself asks for.
    newer: &'static [(&'static str, &'static str)],
}

/// The IPFS node that most others run.
pub const KUBO: Module = Module {
    path: "github.com/ipfs/kubo",
    version: "v0.38.0",
    package: "github.com/ipfs/kubo/cmd/ipfs",
    is_tests: false,
    program: "ipfs",
    // the version that Kubo asks for compiles with no Go after 1.25
    newer: &[(
        "github.com/cockroachdb/swiss",
        "v0.0.0-20260820225851-333444432258",
    )],
};

/// The suite that says whether something is an IPFS gateway.
pub const CONFORMANCE: Module = Module {
    path: "github.com/ipfs/gateway-conformance",
    version: "v0.13.1",
    package: "github.com/ipfs/gateway-conformance/tests",
    is_tests: true,
    program: "gateway-conformance",
    newer: &[],
};

/// A full node of Bitcoin's network.
pub const BTCD: Module = Module {
    path: "github.com/btcsuite/btcd",
    version: "v0.26.2",
    package: "github.com/btcsuite/btcd",
    is_tests: false,
    program: "btcd",
    newer: &[],
};

/// A program to run beside datt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Where it is.
    Here(PathBuf),
    /// Why it can't be had here.
    Absent(String),
}

/// What `go mod download -json` says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Download {
    dir: Option<PathBuf>,
    error: Option<String>,
}

/// The program, from `folder/bin` when it was built before.
///
/// # Errors
/// When its source could be had and doesn't compile.
pub fn program(folder: &Path, module: &Module) -> Result<Peer> {
    let binary = folder
        .join("bin")
        .join(format!("{}-{}", module.program, module.version));
    if binary.is_file() {
        return Ok(Peer::Here(binary));
    }
    let build = folder.join("build").join(module.program);
    fs::create_dir_all(&build).with_context(|| format!("making {}", build.display()))?;
    let source = match source(&build, module)? {
        Ok(source) => source,
        Err(reason) => return Ok(Peer::Absent(reason)),
    };
    let language = prepare(&build, module, &source)?;
    if let Err(reason) = toolchain(&build, language)? {
        return Ok(Peer::Absent(reason));
    }
    if let Err(reason) = dependencies(&build, module)? {
        return Ok(Peer::Absent(reason));
    }
    // built beside, then moved: a program cut off half-way is never taken for the whole
    let unfinished = binary.with_extension("unfinished");
    let mut go = Command::new("go");
    go.current_dir(&build);
    if module.is_tests {
        go.args(["test", "-c"]);
    } else {
        go.arg("build");
    }
    go.args(["-mod=mod", "-buildvcs=false", "-o"])
        .arg(&unfinished)
        .arg(module.package);
    step(
        &format!("build {} {}", module.path, module.version),
        &mut go,
    )?;
    fs::rename(&unfinished, &binary).with_context(|| format!("making {}", binary.display()))?;
    Ok(Peer::Here(binary))
}

/// Folder of the module's source, or why the proxy doesn't give it.
///
/// # Errors
/// When Go can't be run or says something unexpected.
pub fn source(build: &Path, module: &Module) -> Result<Result<PathBuf, String>> {
    if which("go").is_none() {
        return Ok(Err("Go is not on this machine".to_owned()));
    }
    let wanted = format!("{}@{}", module.path, module.version);
    let output = Command::new("go")
        .args(["mod", "download", "-json", &wanted])
        .current_dir(build)
        .env("GOFLAGS", "-mod=mod")
        .output()
        .context("running go mod download")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let Ok(download) = serde_json::from_str::<Download>(&said) else {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Ok(Err(format!("{wanted} can't be had: {}", one_line(&errors))));
    };
    match (download.dir, download.error) {
        (Some(dir), None) => Ok(Ok(dir)),
        (_, Some(error)) => Ok(Err(one_line(&error))),
        (None, None) => bail!("go mod download says neither folder nor error: {said}"),
    }
}

/// A module of our own that needs the other: so newer versions can be asked for than its own
/// `go.mod` names, and its checksums are taken over. The version of Go that it is written for.
fn prepare(build: &Path, module: &Module, source: &Path) -> Result<(u32, u32)> {
    let needs = std::iter::once(&(module.path, module.version))
        .chain(module.newer)
        .map(|(path, version)| format!("\t{path} {version}\n"))
        .collect::<String>();
    let own = fs::read_to_string(source.join("go.mod")).context("reading the module's go.mod")?;
    let language = own
        .lines()
        .find_map(|line| line.strip_prefix("go "))
        .context("the module's go.mod names no version of Go")?;
    let text = format!("module interop\n\ngo {language}\n\nrequire (\n{needs})\n");
    fs::write(build.join("go.mod"), text).context("writing go.mod")?;
    fs::write(
        build.join("go.sum"),
        fs::read(source.join("go.sum")).context("reading the module's go.sum")?,
    )
    .context("writing go.sum")?;
    version(language).with_context(|| format!("{language} is no version of Go"))
}

/// Whether this Go is new enough, or gets one that is; else why not.
fn toolchain(build: &Path, language: (u32, u32)) -> Result<Result<(), String>> {
    let output = Command::new("go")
        .args(["env", "GOVERSION"])
        .current_dir(build)
        .output()
        .context("running go env")?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Ok(Err(one_line(&String::from_utf8_lossy(&output.stderr))));
    }
    let own = version(said.trim().trim_start_matches("go"));
    Ok(own
        .filter(|own| *own >= language)
        .map(|_| ())
        .ok_or_else(|| {
            let (major, minor) = language;
            format!("{} is older than Go {major}.{minor}", said.trim())
        }))
}

/// Downloads what the package needs, and nothing else; else why it can't be had.
fn dependencies(build: &Path, module: &Module) -> Result<Result<(), String>> {
    println!(
        "── download {} {} and what it needs",
        module.path, module.version
    );
    let mut go = Command::new("go");
    go.args(["list", "-mod=mod", "-deps", "-f", "{{.Name}}"]);
    if module.is_tests {
        go.arg("-test");
    }
    let output = go
        .arg(module.package)
        .current_dir(build)
        .output()
        .context("running go list")?;
    let said = String::from_utf8_lossy(&output.stderr);
    Ok(output.status.success().then_some(()).ok_or_else(|| {
        // "downloading …" lines come before what went wrong
        let wrong = said
            .lines()
            .filter(|line| !line.starts_with("go: downloading"));
        one_line(&wrong.collect::<Vec<_>>().join(" "))
    }))
}

/// Major and minor number of a version such as `1.25.3`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(['.', 'r', '-', ' ']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_are_compared_by_number() {
        for (text, known) in [
            ("1.25", Some((1, 25))),
            ("1.26.8", Some((1, 26))),
            ("1.27rc1", Some((1, 27))),
            ("1.9 X:nocoverageredesign", Some((1, 9))),
            ("devel", None),
        ] {
            assert_eq!(version(text), known, "{text}");
        }
        assert!(version("1.9") < version("1.25"));
    }
}
