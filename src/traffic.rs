//! Bytes to and from peers, sampled for the chart of the node page.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use views::data::TrafficSample;

/// One sample every 5 s: ten minutes.
const SAMPLES: usize = 120;

/// Counters since the start, and the last minutes of them.
#[derive(Debug, Default)]
pub struct Traffic {
    in_bytes: AtomicU64,
    out_bytes: AtomicU64,
    samples: Mutex<Samples>,
}

#[derive(Debug, Default)]
struct Samples {
    counted_in: u64,
    counted_out: u64,
    list: VecDeque<TrafficSample>,
}

impl Traffic {
    /// Sets the counters to what the endpoint has seen since the start.
    pub fn set_totals(&self, in_bytes: u64, out_bytes: u64) {
        self.in_bytes.store(in_bytes, Ordering::Relaxed);
        self.out_bytes.store(out_bytes, Ordering::Relaxed);
    }

    /// Bytes received and sent since the start.
    pub fn totals(&self) -> (u64, u64) {
        (
            self.in_bytes.load(Ordering::Relaxed),
            self.out_bytes.load(Ordering::Relaxed),
        )
    }

    /// Closes a sample.
    pub fn sample(&self, time_ms: u64) {
        let (total_in, total_out) = self.totals();
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let sample = TrafficSample {
            time_ms,
            in_bytes: total_in.saturating_sub(samples.counted_in),
            out_bytes: total_out.saturating_sub(samples.counted_out),
            ..TrafficSample::default()
        };
        (samples.counted_in, samples.counted_out) = (total_in, total_out);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_hold_differences_and_are_bounded() {
        let traffic = Traffic::default();
        traffic.set_totals(100, 10);
        traffic.sample(1);
        traffic.set_totals(150, 10);
        traffic.sample(2);
        let samples = traffic.samples();
        assert_eq!((samples[1].in_bytes, samples[1].out_bytes), (50, 0));
        for time_ms in 0..1_000 {
            traffic.sample(time_ms);
        }
        assert_eq!(traffic.samples().len(), SAMPLES);
    }
}
