//! The node's own page: peers, traffic, storage, pins.

use askama::Template;

use crate::amount;
use crate::chart::TrafficChart;
use crate::data::{Pin, Status};
use crate::frame::Frame;

/// From this share of the quota on, the bar warns.
const FULL_PERCENT: u64 = 90;

/// What the node does, in figures.
#[derive(Debug, Template)]
#[template(path = "node.html")]
pub struct NodePage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// State.
    pub status: &'a Status,
    /// Pins; none for strangers.
    pub pins: &'a [Pin],
    /// Ticket that leads others to this node.
    pub ticket: Option<&'a str>,
}

impl NodePage<'_> {
    fn chart(&self) -> TrafficChart<'_> {
        TrafficChart::new(&self.status.traffic)
    }

    fn percent(&self) -> u64 {
        amount::percent(self.status.used_bytes, self.status.max_bytes)
    }

    fn nearly_full(&self) -> bool {
        self.percent() >= FULL_PERCENT
    }

    fn connected(&self) -> u64 {
        self.status.connected
    }

    fn rtt(&self, ms: &f64) -> String {
        if *ms < 10.0 {
            format!("{ms:.1} ms")
        } else {
            format!("{ms:.0} ms")
        }
    }
}
