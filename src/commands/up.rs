//! `datt up`: runs the node until it is told to stop.

use std::io::{self, IsTerminal, Write};

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{failure::CommandError, outcome::Outcome};
use crate::{
    config::{Config, ConfigError, Flags},
    node::{Node, Recovery},
};

pub(super) async fn run(flags: &Flags, json: bool) -> Result<Outcome, CommandError> {
    let config = Config::load(flags)?;
    log(&config.log)?;
    // Asked for before the start, so that a signal in the middle of it isn't lost.
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let node = Node::start(config)
        .await
        .map_err(|error| CommandError::Start(error.into()))?;
    announce(&node, json);
    if node.recovery().is_some() {
        node.recovery_shown()
            .map_err(|error| CommandError::Start(error.into()))?;
    }
    let failed = tokio::select! {
        _ = interrupt.recv() => false,
        _ = terminate.recv() => false,
        () = node.failed() => true,
    };
    node.stop().await;
    if failed {
        return Err(CommandError::Ended);
    }
    // All there is to say was said at the start.
    Ok(Outcome::new("", &()))
}

fn listen(kind: SignalKind) -> Result<tokio::signal::unix::Signal, CommandError> {
    signal(kind).map_err(CommandError::io("listen for", "signals"))
}

/// Reports of libraries that say nothing a person can act on: the blob store's collection loop ends
/// at shutdown, peers' connections end when they go. Real failures come back from the calls.
const SILENCED: &str = "iroh_blobs::store::gc=off,iroh_gossip::net=error";

fn log(directives: &str) -> Result<(), CommandError> {
    let filter = EnvFilter::try_new(format!("{directives},{SILENCED}")).map_err(|error| {
        ConfigError::Value {
            key: "log",
            reason: error.to_string(),
        }
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        // A log on a full disk must not end what is being logged.
        .log_internal_errors(false)
        .init();
    Ok(())
}

/// Where to find the node; at the first start the words that bring the identity back, too.
fn announce(node: &Node, json: bool) {
    let (url, ticket, sign_in_url) = (node.url(), node.ticket(), node.sign_in_url());
    let text = if json {
        let mut ready = json!({ "url": url, "ticket": ticket, "sign_in_url": sign_in_url });
        if let Some(fingerprint) = node.fingerprint() {
            ready["certificate_sha256"] = fingerprint.into();
        }
        if let Some(words) = node.recovery() {
            ready["recovery"] = json!({
                "root": words.root.reveal(), "successor": words.successor.reveal(),
            });
        }
        ready.to_string()
    } else {
        let recovery = node.recovery().map(describe).unwrap_or_default();
        let certificate = node
            .fingerprint()
            .map(|fingerprint| format!("\nself-signed certificate, SHA-256: {fingerprint}"));
        let certificate = certificate.unwrap_or_default();
        format!("{recovery}{url}\nsign in: {sign_in_url}\nticket:  {ticket}{certificate}")
    };
    let mut out = io::stdout().lock();
    // Where nobody reads stdout, the node runs all the same.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn describe(words: &Recovery) -> String {
    format!(
        "This node has a new identity. Write these words down: they are shown only now and kept \
         nowhere.\n\n  root key, brings the identity back:\n  {}\n\n  next root key, to be kept \
         elsewhere:\n  {}\n\n",
        words.root.reveal(),
        words.successor.reveal(),
    )
}
