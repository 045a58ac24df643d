//! The gateway conformance suite, run against a node that holds its fixtures.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::interop::go::{self, Peer};
use crate::interop::report::{Line, Outcome};
use crate::interop::stage::{Stage, arg};
use crate::node::Node;
use crate::workspace::Workspace;

mod verdict;

use verdict::Verdict;

/// Name of the peer.
pub const PEER: &str = "gateway-conformance";
/// Name of the check.
pub const CHECK: &str = "gateway suite";

/// Names a compiled suite (`go test -c ./tests`) where the module proxy has none.
const BINARY: &str = "DATT_GATEWAY_CONFORMANCE";
/// Names the folder of its fixtures.
const FIXTURES: &str = "DATT_GATEWAY_FIXTURES";

/// Groups of tests that datt is to pass.
const GROUPS: [&str; 8] = [
    "trustless-block-gateway",
    "trustless-car-gateway",
    "trustless-car-gateway-optional",
    "path-unixfs-gateway",
    "path-raw-gateway",
    "path-range-gateway",
    "path-dag-gateway",
    "subdomain-ipfs-gateway",
];
/// Host below which each root has an origin of its own. Only ever sent as a header.
const SUBDOMAIN_HOST: &str = "example.com";
/// Another host that the suite sends: one without such origins, as a node with several names has.
/// datt answers to no unknown ones.
const PLAIN_HOST: &str = "fake.domain.com";

/// The compiled suite and the folder that its fixtures lie in.
struct Suite {
    binary: PathBuf,
    fixtures: PathBuf,
}

/// Runs the suite.
///
/// # Errors
/// When it can't be built although its source is there.
pub fn run(workspace: &Workspace, stage: &Stage) -> Result<Line> {
    let peer = format!("{PEER} {}", go::CONFORMANCE.version.trim_start_matches('v'));
    let outcome = match suite(workspace)? {
        Ok(suite) => Outcome::of(check(stage, &suite)),
        Err(reason) => Outcome::Skipped(reason),
    };
    println!("   {outcome}");
    Ok(Line::new(&peer, CHECK, outcome))
}

fn suite(workspace: &Workspace) -> Result<Result<Suite, String>> {
    if let (Some(binary), Some(fixtures)) = (env::var_os(BINARY), env::var_os(FIXTURES)) {
        let (binary, fixtures) = (PathBuf::from(binary), PathBuf::from(fixtures));
        ensure!(binary.is_file(), "{BINARY}: no file {}", binary.display());
        ensure!(
            fixtures.is_dir(),
            "{FIXTURES}: no folder {}",
            fixtures.display()
        );
        return Ok(Ok(Suite { binary, fixtures }));
    }
    let folder = workspace.target.join("interop");
    let binary = match go::program(&folder, &go::CONFORMANCE)? {
        Peer::Here(binary) => binary,
        Peer::Absent(reason) => return Ok(Err(reason)),
    };
    // kept as the binary is, so that neither needs Go again
    let home = folder.join(format!("{PEER}-{}", go::CONFORMANCE.version));
    let fixtures = home.join("fixtures");
    if !fixtures.is_dir() {
        let source = match go::source(&folder, &go::CONFORMANCE)? {
            Ok(source) => source,
            Err(reason) => return Ok(Err(reason)),
        };
        let unfinished = fixtures.with_extension("unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)
                .with_context(|| format!("removing {}", unfinished.display()))?;
        }
        copy(&source.join("fixtures"), &unfinished)?;
        fs::rename(&unfinished, &fixtures)
            .with_context(|| format!("making {}", fixtures.display()))?;
    }
    Ok(Ok(Suite { binary, fixtures }))
}

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    for item in fs::read_dir(from).with_context(|| format!("listing {}", from.display()))? {
        let (path, name) = item.map(|item| (item.path(), item.file_name()))?;
        let copied = to.join(name);
        if path.is_dir() {
            copy(&path, &copied)?;
        } else {
            fs::copy(&path, &copied).with_context(|| format!("copying {}", path.display()))?;
        }
    }
    Ok(())
}

fn check(stage: &Stage, suite: &Suite) -> Result<String> {
    let node = stage
        .setup("conformance")
        .env("DATT_HTTP_SUBDOMAIN_HOSTS", SUBDOMAIN_HOST)
        .env("DATT_HTTP_HOSTS", PLAIN_HOST)
        .env("DATT_HTTP_TRUSTED_PROXIES", "127.0.0.1")
        .start()?;
    let cars = import(&node, &suite.fixtures)?;
    let log = stage.path("conformance.txt");
    let home = suite
        .fixtures
        .parent()
        .context("the fixtures lie in no folder")?;
    let start = Instant::now();
    let output = Command::new(&suite.binary)
        .args(["-test.v", "-test.timeout=5m"])
        .arg(format!("-specs={}", GROUPS.join(",")))
        .env("GATEWAY_CONFORMANCE_HOME", home)
        .env("GATEWAY_URL", &node.url)
        .env("SUBDOMAIN_GATEWAY_URL", format!("http://{SUBDOMAIN_HOST}"))
        .output()
        .with_context(|| format!("starting {}", suite.binary.display()))?;
    let took = start.elapsed().as_secs_f32();
    fs::write(&log, &output.stdout)?;
    let verdict = Verdict::read(&String::from_utf8_lossy(&output.stdout));
    ensure!(
        verdict.passed > 0,
        "the suite ended with {} and said nothing; {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(
        verdict.failed.is_empty(),
        "{}; see {}\n{}",
        verdict,
        log.display(),
        verdict.failed.join("\n")
    );
    let unexplained = verdict.unexplained();
    ensure!(
        unexplained.is_empty(),
        "docs/interop.md doesn't say why these don't apply: {}",
        unexplained.join(", ")
    );
    Ok(format!("{verdict}; {cars} CARs imported, {took:.1} s"))
}

/// Has the node import every CAR among the fixtures, as anyone would; how many there were.
fn import(node: &Node, fixtures: &Path) -> Result<usize> {
    let mut cars = BTreeSet::new();
    let mut folders = vec![fixtures.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for item in
            fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?
        {
            let path = item?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "car") {
                cars.insert(path);
            }
        }
    }
    for car in &cars {
        node.json(&["import", arg(car)?])?;
    }
    Ok(cars.len())
}
