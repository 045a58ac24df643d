//! What keeps the caps going: who may go is let go, what the endpoint sends by itself is counted,
//! the month is kept.

use std::{sync::Arc, time::Duration};

use iroh::Endpoint;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Class, MONTH_FILE, Moved, Throttle, month::Written};
use crate::{clock::now_ms, core::Core, data_folder::DataFolder};

/// Counters are looked at this often.
const LOOK: Duration = Duration::from_millis(200);
/// What IPv6, UDP and Ethernet headers add to a datagram of QUIC's least size (RFC 9000, 14.1), in
/// parts of 1000.
const DATAGRAM: u64 = 52;
/// What TCP segments, TLS and frames add to what goes through relays of others, in parts of 1000.
const RELAYED: u64 = 60;

/// Runs until cancelled; then the month is written for the last time.
pub async fn run(core: Arc<Core>, cancel: CancellationToken) {
    let throttle = core.throttle.clone();
    let looks = look(&core, &throttle);
    cancel
        .run_until_cancelled(async { tokio::join!(throttle.let_go(), looks) })
        .await;
    let total_bytes = throttle.total_sent();
    let written = throttle.month().close(total_bytes);
    write(&core.folder, written);
}

async fn look(core: &Arc<Core>, throttle: &Throttle) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut meter = Meter::default();
    loop {
        looks.tick().await;
        meter.look(&core.network.endpoint, throttle);
        let total_bytes = throttle.total_sent();
        let written = throttle.month().look(total_bytes, now_ms());
        throttle.see_month();
        if let Some(written) = written {
            let core = Arc::clone(core);
            // A panic there is told by the runtime; the next look writes again.
            let _ = tokio::task::spawn_blocking(move || write(&core.folder, written)).await;
        }
        warn(core, throttle);
    }
}

fn write(folder: &DataFolder, written: Written) {
    if let Err(error) = folder.write_json(MONTH_FILE, &written) {
        tracing::warn!(%error, "cannot save what was sent this month");
    }
}

fn warn(core: &Core, throttle: &Throttle) {
    let warning = throttle.spent_for_s(now_ms()).map(|rest_s| {
        format!(
            "the {} bytes of traffic.max_month_bytes are used up: files are served again in {} hours, \
             at the beginning of the month (UTC), or when it is raised",
            throttle.caps().max_month_bytes,
            rest_s.div_ceil(3_600),
        )
    });
    core.warn("traffic", warning);
}

/// What the endpoint moved by itself: headers, retransmissions, gossip, entries.
#[derive(Debug, Default)]
struct Meter {
    noted: Moved,
}

impl Meter {
    fn look(&mut self, endpoint: &Endpoint, throttle: &Throttle) {
        let wire = on_wire(endpoint);
        let asked = throttle.moved()[Class::Iroh as usize];
        // What was asked for may still wait in the endpoint; it comes later.
        let owed = wire.since(asked.and(self.noted));
        self.noted = self.noted.and(owed);
        throttle.note(Class::Sync, owed);
    }
}

/// What the endpoint sent and received since its start.
fn on_wire(endpoint: &Endpoint) -> Moved {
    let metrics = &endpoint.metrics().socket;
    let with = |bytes: u64, overhead: u64| bytes.saturating_add(bytes / 1_000 * overhead);
    let sent_bytes = with(metrics.send_ipv4.get() + metrics.send_ipv6.get(), DATAGRAM)
        + with(metrics.send_relay.get(), RELAYED);
    let received = metrics.recv_data_ipv4.get() + metrics.recv_data_ipv6.get();
    let received_bytes = with(received, DATAGRAM) + with(metrics.recv_data_relay.get(), RELAYED);
    Moved {
        sent_bytes,
        received_bytes,
    }
}
