//! Numbers for Prometheus: the gateway counts requests, the node reports its own.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use views::data::Ways;

/// What the node reports about itself, each a gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeGauge {
    /// Peers connected.
    Peers,
    /// Live gossip topics.
    Topics,
    /// Entries held.
    Entries,
    /// Entries waiting for something.
    Pending,
    /// Blobs held in full.
    Blobs,
    /// Bytes of blobs held.
    BlobBytes,
    /// Bytes used under the data folder.
    UsedBytes,
    /// Torrents in the session.
    LiveTorrents,
    /// Torrents that come in when somebody asks for them, those in the session among them.
    OfferedTorrents,
    /// Peers of swarms connected.
    SwarmPeers,
    /// Bytes promised by pins, requests and rules.
    PromisedBytes,
    /// Of these, held.
    KeptBytes,
    /// Of these, not here.
    MissingBytes,
    /// Bytes sent in this calendar month.
    MonthBytes,
}

/// What the node counts as it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeCounter {
    /// Bytes received from peers.
    ReceivedBytes,
    /// Bytes sent to peers.
    SentBytes,
    /// Entries accepted.
    Ingested,
    /// Entries refused.
    Refused,
    /// Peers dropped because they lied.
    Liars,
    /// Challenges that mirrors answered right and in time.
    AuditsAnswered,
    /// Challenges that mirrors answered late, wrong or not at all.
    AuditsFailed,
}

/// Handle to the numbers; clones share them.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Mutex<Registry>,
    gauges: [Gauge; GAUGES.len()],
    counters: [Counter; COUNTERS.len()],
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabel, Histogram, fn() -> Histogram>,
    blob_bytes: Counter,
    ways: Family<WayLabels, Counter>,
}

const GAUGES: [(NodeGauge, &str, &str); 14] = [
    (NodeGauge::Peers, "datt_peers", "Peers connected"),
    (NodeGauge::Topics, "datt_topics", "Live gossip topics"),
    (NodeGauge::Entries, "datt_entries", "Entries held"),
    (
        NodeGauge::Pending,
        "datt_entries_pending",
        "Entries waiting for something",
    ),
    (NodeGauge::Blobs, "datt_blobs", "Blobs held in full"),
    (
        NodeGauge::BlobBytes,
        "datt_blobs_bytes",
        "Bytes of blobs held",
    ),
    (
        NodeGauge::UsedBytes,
        "datt_storage_used_bytes",
        "Bytes used under the data folder",
    ),
    (
        NodeGauge::LiveTorrents,
        "datt_torrents_live",
        "Torrents in the session",
    ),
    (
        NodeGauge::OfferedTorrents,
        "datt_torrents_offered",
        "Torrents that come in when somebody asks for them, live ones included",
    ),
    (
        NodeGauge::SwarmPeers,
        "datt_torrents_peers",
        "Peers of swarms connected",
    ),
    (
        NodeGauge::PromisedBytes,
        "datt_promised_bytes",
        "Bytes promised by pins, requests and rules",
    ),
    (
        NodeGauge::KeptBytes,
        "datt_promised_held_bytes",
        "Promised bytes that are held",
    ),
    (
        NodeGauge::MissingBytes,
        "datt_promised_missing_bytes",
        "Promised bytes that are not here",
    ),
    (
        NodeGauge::MonthBytes,
        "datt_traffic_month_bytes",
        "Bytes sent in this calendar month (UTC), over all networks",
    ),
];

const COUNTERS: [(NodeCounter, &str, &str); 7] = [
    (
        NodeCounter::ReceivedBytes,
        "datt_peers_received_bytes",
        "Bytes received from peers",
    ),
    (
        NodeCounter::SentBytes,
        "datt_peers_sent_bytes",
        "Bytes sent to peers",
    ),
    (
        NodeCounter::Ingested,
        "datt_entries_ingested",
        "Entries accepted since the start",
    ),
    (
        NodeCounter::Refused,
        "datt_entries_refused",
        "Entries refused since the start",
    ),
    (
        NodeCounter::Liars,
        "datt_peers_dropped",
        "Peers dropped because they lied",
    ),
    (
        NodeCounter::AuditsAnswered,
        "datt_audits_answered",
        "Challenges that mirrors answered right and in time",
    ),
    (
        NodeCounter::AuditsFailed,
        "datt_audits_failed",
        "Challenges that mirrors answered late, wrong or not at all",
    ),
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WayLabels {
    network: &'static str,
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// All numbers at zero.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let gauges = GAUGES.map(|(_, name, help)| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        });
        let counters = COUNTERS.map(|(_, name, help)| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        });
        let requests = Family::<RequestLabels, Counter>::default();
        registry.register("datt_http_requests", "Requests answered", requests.clone());
        let seconds: Family<RouteLabel, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.0005, 2.0, 15)));
        registry.register_with_unit(
            "datt_http_answer",
            "Time until the answer's head was ready",
            Unit::Seconds,
            seconds.clone(),
        );
        let blob_bytes = Counter::default();
        registry.register(
            "datt_http_blob_bytes",
            "Bytes of blobs sent",
            blob_bytes.clone(),
        );
        let ways = Family::<WayLabels, Counter>::default();
        registry.register("datt_traffic_bytes", "Bytes by network", ways.clone());
        Self {
            inner: Arc::new(Inner {
                registry: Mutex::new(registry),
                gauges,
                counters,
                requests,
                seconds,
                blob_bytes,
                ways,
            }),
        }
    }

    /// Sets one of the node's gauges.
    pub fn set(&self, gauge: NodeGauge, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        if let Some(at) = GAUGES.iter().position(|(name, ..)| *name == gauge) {
            self.inner.gauges[at].set(value);
        }
    }

    /// Adds to one of the node's counters.
    pub fn add(&self, counter: NodeCounter, count: u64) {
        if let Some(at) = COUNTERS.iter().position(|(name, ..)| *name == counter) {
            self.inner.counters[at].inc_by(count);
        }
    }

    /// Says how many bytes each network has carried since the start; a figure that went back is
    /// left as it was.
    pub fn carried(&self, totals: &Ways) {
        for (network, traffic) in totals.named() {
            let each = [("in", traffic.in_bytes), ("out", traffic.out_bytes)];
            for (direction, bytes) in each {
                let labels = WayLabels { network, direction };
                let counter = self.inner.ways.get_or_create(&labels);
                counter.inc_by(bytes.saturating_sub(counter.get()));
            }
        }
    }

    /// The exposition text of `/metrics`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let registry = self
            .inner
            .registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).expect("writing to a string cannot fail");
        text
    }

    pub(crate) fn answered(
        &self,
        method: &'static str,
        route: &str,
        status: u16,
        elapsed: Duration,
    ) {
        let labels = RequestLabels {
            method,
            route: route.to_owned(),
            status,
        };
        self.inner.requests.get_or_create(&labels).inc();
        let route = RouteLabel {
            route: route.to_owned(),
        };
        self.inner
            .seconds
            .get_or_create(&route)
            .observe(elapsed.as_secs_f64());
    }

    pub(crate) fn sent_blob_bytes(&self, count: u64) {
        self.inner.blob_bytes.inc_by(count);
    }
}

#[cfg(test)]
mod tests {
    use views::data::Traffic;

    use super::*;

    #[test]
    fn totals_by_network_only_grow() {
        let metrics = Metrics::new();
        let carried = |in_bytes| Ways {
            torrent: Traffic {
                in_bytes,
                out_bytes: 7,
            },
            ..Ways::default()
        };
        for in_bytes in [100, 250, 90] {
            metrics.carried(&carried(in_bytes));
        }
        let text = metrics.text();
        for line in [
            "datt_traffic_bytes_total{network=\"torrent\",direction=\"in\"} 250",
            "datt_traffic_bytes_total{network=\"torrent\",direction=\"out\"} 7",
            "datt_traffic_bytes_total{network=\"iroh\",direction=\"in\"} 0",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }

    #[test]
    fn every_gauge_and_counter_has_a_place_of_its_own() {
        let metrics = Metrics::new();
        for (at, (gauge, ..)) in GAUGES.into_iter().enumerate() {
            metrics.set(gauge, at as u64 + 1);
        }
        for (at, (counter, ..)) in COUNTERS.into_iter().enumerate() {
            metrics.add(counter, at as u64 + 1);
        }
        let text = metrics.text();
        for (at, (_, name, _)) in GAUGES.into_iter().enumerate() {
            assert!(text.contains(&format!("\n{name} {}\n", at + 1)), "{name}");
        }
        for (at, (_, name, _)) in COUNTERS.into_iter().enumerate() {
            let line = format!("\n{name}_total {}\n", at + 1);
            assert!(text.contains(&line), "{name}");
        }
    }
}
