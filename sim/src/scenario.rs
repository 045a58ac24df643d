//! What is simulated: a TOML file under `sim/scenarios`.

use serde::Deserialize;
use thiserror::Error;

/// Why a file is no scenario.
#[derive(Debug, Error)]
#[error("the scenario can't be read")]
pub struct ScenarioError(#[from] toml::de::Error);

/// A whole simulation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Says what it shows.
    pub about: String,
    /// Seed of everything that is random.
    pub seed: u64,
    /// Nodes, liars and late ones included.
    pub nodes: usize,
    /// How long, seconds of simulated time.
    pub duration_s: u64,
    /// The wires.
    #[serde(default)]
    pub network: Network,
    /// What is written.
    #[serde(default)]
    pub content: Content,
    /// Times during which a share of the nodes is cut off from the rest.
    #[serde(default)]
    pub partition: Vec<Partition>,
    /// Nodes that stop and start again with what is on their disks.
    #[serde(default)]
    pub crash: Vec<Crash>,
    /// Nodes that lie.
    #[serde(default)]
    pub liars: Liars,
    /// Nodes that join later.
    #[serde(default)]
    pub late: Option<Late>,
}

/// The wires.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Shortest and longest latency, milliseconds.
    pub latency_ms: [u64; 2],
    /// Share of gossip messages that are lost on each hop.
    pub loss: f64,
    /// Share of attempts to connect that fail.
    pub refusals: f64,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            latency_ms: [5, 60],
            loss: 0.0,
            refusals: 0.0,
        }
    }
}

/// What is written.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Content {
    /// Authors, each on a node of its own.
    pub authors: usize,
    /// Threads.
    pub threads: usize,
    /// Replies.
    pub replies: usize,
    /// Votes.
    pub votes: usize,
    /// Every so many replies one is too long for a gossip message; 0: none.
    pub long_every: usize,
    /// When writing begins and ends, seconds.
    pub between_s: [u64; 2],
}

impl Default for Content {
    fn default() -> Self {
        Self {
            authors: 5,
            threads: 2,
            replies: 20,
            votes: 10,
            long_every: 0,
            between_s: [5, 20],
        }
    }
}

/// A share of the nodes is cut off.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// From when, seconds.
    pub from_s: u64,
    /// Until when, seconds.
    pub to_s: u64,
    /// How many of the nodes are on the other side.
    pub share: f64,
}

/// Nodes stop and start again.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    /// How many; authors are among them.
    pub nodes: usize,
    /// When they stop, seconds.
    pub at_s: u64,
    /// When they start again, seconds.
    pub back_s: u64,
}

/// How many of each kind of liar.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Liars {
    /// Send random bytes, in sessions and on topics.
    pub garbage: usize,
    /// Claim and send entries with forged signatures.
    pub forged: usize,
    /// Send other entries than those asked for.
    pub wrong: usize,
    /// Send headers and keep payloads back.
    pub withheld: usize,
    /// Claim to hold what they never send.
    pub silent: usize,
    /// Flood topics.
    pub flood: usize,
}

/// Nodes that join later.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Late {
    /// How many.
    pub nodes: usize,
    /// When, seconds.
    pub at_s: u64,
}

impl Scenario {
    /// Reads TOML.
    ///
    /// # Errors
    /// When it is none, or has fields that scenarios don't have.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        Ok(toml::from_str(text)?)
    }
}
