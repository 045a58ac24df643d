//! Range reads by many connections, against nginx on the same file.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::files;
use crate::http::Client;
use crate::node::eventually;
use crate::row::Row;
use crate::stage::{ARRIVES, Stage, add};

const CONNECTIONS: usize = 64;
/// What a player asks for at once.
const RANGE_BYTES: u64 = 1 << 20;

pub fn run(stage: &Stage) -> Result<()> {
    let folder = stage.path("www");
    fs::create_dir_all(&folder)?;
    let file = folder.join("large.bin");
    files::make(&file, stage.large_bytes())?;
    let script = stage.path("ranges.lua");
    fs::write(&script, lua(stage.large_bytes()))?;

    let node = stage.setup("ranges").start()?;
    let blob = add(&node, &file)?;
    let nginx = Nginx::start(stage, &folder)?;
    let seconds = if stage.small { 3 } else { 15 };
    let (mut ours, mut theirs) = (0.0_f64, 0.0_f64);
    // taking turns, so that neither has the quieter machine
    for _ in 0..2 {
        theirs = theirs.max(load(&format!("{}/large.bin", nginx.url), &script, seconds)?);
        ours = ours.max(load(
            &format!("{}/ipfs/{blob}", node.url),
            &script,
            seconds,
        )?);
    }
    Row::new(
        "ranges",
        format!("range reads, {CONNECTIONS} connections, against nginx"),
    )
    .ratio(ours, theirs, "MB/s", 0.5);
    Ok(())
}

fn lua(size_bytes: u64) -> String {
    format!(
        "math.randomseed(7)\nrequest = function()\n  local first = math.random(0, {})\n  \
         wrk.headers['range'] = string.format('bytes=%d-%d', first, first + {})\n  return wrk.format('GET')\nend\n",
        size_bytes - RANGE_BYTES,
        RANGE_BYTES - 1
    )
}

/// MB a second that wrk receives.
fn load(url: &str, script: &Path, seconds: u32) -> Result<f64> {
    let output = Command::new("wrk")
        .args([
            "-t",
            "2",
            "-c",
            &CONNECTIONS.to_string(),
            "-d",
            &format!("{seconds}s"),
            "-s",
        ])
        .arg(script)
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
    let scale = match &rate[digits.len()..] {
        "GB" => 1000.0,
        "MB" => 1.0,
        "KB" => 0.001,
        other => bail!("a rate in {other}"),
    };
    Ok(digits.parse::<f64>()? * scale)
}

/// nginx with Debian's defaults for static files: sendfile, as many workers as cores.
struct Nginx {
    child: Child,
    url: String,
}

impl Nginx {
    fn start(stage: &Stage, folder: &Path) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let config = stage.path("nginx.conf");
        let scratch = stage.path("nginx");
        fs::create_dir_all(&scratch)?;
        fs::write(
            &config,
            format!(
                "worker_processes auto; pid {0}/pid; daemon off; error_log {0}/error.log;\n\
                 events {{ worker_connections 768; }}\n\
                 http {{ sendfile on; tcp_nopush on; access_log off; client_body_temp_path {0}/b; \
                 proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n\
                 server {{ listen 127.0.0.1:{port}; root {1}; }} }}\n",
                scratch.display(),
                folder.display()
            ),
        )?;
        let child = Command::new("/usr/sbin/nginx")
            .arg("-c")
            .arg(&config)
            .stderr(Stdio::null())
            .spawn()
            .context("nginx is missing; apt-get install nginx-light")?;
        let started = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
        };
        let client = Client::new(&started.url)?;
        eventually("nginx answers", ARRIVES, || {
            Ok(client.get_range("/large.bin", 0, 0).ok())
        })?;
        Ok(started)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // the master takes its workers along when asked, not when killed
        let _ = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", self.child.id())])
            .status();
        let _ = self.child.wait();
    }
}
