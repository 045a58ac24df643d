//! Bytes over networks.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Bytes each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Traffic {
    /// Received.
    pub in_bytes: u64,
    /// Sent.
    pub out_bytes: u64,
}

/// Bytes by network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ways {
    /// Peers of datt, over iroh.
    pub peers: Traffic,
    /// What this node relays for others.
    pub relay: Traffic,
    /// Pages, API and files over HTTP, and what is read from other gateways.
    pub http: Traffic,
    /// BitTorrent.
    pub torrent: Traffic,
}

impl Ways {
    /// Each network with its name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Traffic); 4] {
        [
            ("iroh", self.peers),
            ("relay", self.relay),
            ("http", self.http),
            ("torrent", self.torrent),
        ]
    }
}

/// One sample of the traffic chart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrafficSample {
    /// When.
    pub time_ms: u64,
    /// Bytes received since the sample before, over all networks.
    pub in_bytes: u64,
    /// Bytes sent since the sample before, over all networks.
    pub out_bytes: u64,
    /// The same by network.
    #[serde(default)]
    pub ways: Ways,
}

/// Caps on traffic, over all networks together; 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Caps {
    /// Sent, bytes a second.
    pub max_out_bytes_per_s: u64,
    /// Received, bytes a second.
    pub max_in_bytes_per_s: u64,
    /// Sent in a calendar month (UTC), bytes.
    pub max_month_bytes: u64,
    /// Sent in this month so far, bytes.
    pub month_bytes: u64,
}
