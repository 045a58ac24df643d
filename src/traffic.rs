//! Bytes by network, sampled for the chart of the node page.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use views::data::{self, TrafficSample, Ways};

/// One sample every 5 s: ten minutes.
const SAMPLES: usize = 120;

/// The last minutes.
#[derive(Debug, Default)]
pub struct Traffic {
    samples: Mutex<Samples>,
}

#[derive(Debug, Default)]
struct Samples {
    counted: Ways,
    list: VecDeque<TrafficSample>,
}

impl Traffic {
    /// Closes a sample with what was moved since the start.
    pub fn sample(&self, totals: Ways, time_ms: u64) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let ways = passed(totals, samples.counted);
        samples.counted = totals;
        let all = [ways.peers, ways.relay, ways.http, ways.torrent];
        let sample = TrafficSample {
            time_ms,
            in_bytes: all.iter().map(|way| way.in_bytes).sum(),
            out_bytes: all.iter().map(|way| way.out_bytes).sum(),
            ways,
        };
        if samples.list.len() == SAMPLES {
            samples.list.pop_front();
        }
        samples.list.push_back(sample);
    }

    /// The samples, oldest first.
    pub fn samples(&self) -> Vec<TrafficSample> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.list.iter().copied().collect()
    }
}

fn passed(totals: Ways, before: Ways) -> Ways {
    let way = |now: data::Traffic, then: data::Traffic| data::Traffic {
        in_bytes: now.in_bytes.saturating_sub(then.in_bytes),
        out_bytes: now.out_bytes.saturating_sub(then.out_bytes),
    };
    Ways {
        peers: way(totals.peers, before.peers),
        relay: way(totals.relay, before.relay),
        http: way(totals.http, before.http),
        torrent: way(totals.torrent, before.torrent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_hold_differences_and_are_bounded() {
        let traffic = Traffic::default();
        let totals = |iroh_in, http_out| Ways {
            peers: data::Traffic {
                in_bytes: iroh_in,
                out_bytes: 0,
            },
            http: data::Traffic {
                in_bytes: 0,
                out_bytes: http_out,
            },
            ..Ways::default()
        };
        traffic.sample(totals(100, 10), 1);
        traffic.sample(totals(150, 17), 2);
        let samples = traffic.samples();
        assert_eq!((samples[1].in_bytes, samples[1].out_bytes), (50, 7));
        assert_eq!(samples[1].ways, totals(50, 7));
        for time_ms in 0..1_000 {
            traffic.sample(Ways::default(), time_ms);
        }
        assert_eq!(traffic.samples().len(), SAMPLES);
    }
}
