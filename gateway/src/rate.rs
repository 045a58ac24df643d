//! Token buckets per client prefix for writes: a burst, then a steady rate.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::settings::Limits;

/// Prefixes remembered; beyond, the one that was quiet longest is forgotten.
const MAX_PREFIXES: usize = 4096;

/// Who wrote how much lately.
pub struct WriteRate {
    burst: f64,
    per_second: f64,
    buckets: Mutex<BTreeMap<Prefix, Bucket>>,
}

/// The part of an address that one party can be expected to hold: IPv4 /24, IPv6 /48.
type Prefix = IpAddr;

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl WriteRate {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            burst: f64::from(limits.write_burst.max(1)),
            per_second: f64::from(limits.writes_per_second.max(1)),
            buckets: Mutex::default(),
        }
    }

    /// Takes one write from the client's bucket, or says how long to wait.
    pub fn take(&self, client: IpAddr) -> Result<(), Duration> {
        self.take_at(client, Instant::now())
    }

    fn take_at(&self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let prefix = prefix(client);
        if buckets.len() >= MAX_PREFIXES && !buckets.contains_key(&prefix) {
            let quietest = buckets
                .iter()
                .min_by_key(|(_, bucket)| bucket.at)
                .map(|(key, _)| *key);
            quietest.and_then(|key| buckets.remove(&key));
        }
        let bucket = buckets.entry(prefix).or_insert(Bucket {
            tokens: self.burst,
            at: now,
        });
        let elapsed_s = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + elapsed_s * self.per_second).min(self.burst);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            return Err(Duration::from_secs_f64(
                (1.0 - bucket.tokens) / self.per_second,
            ));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

fn prefix(client: IpAddr) -> Prefix {
    match client.to_canonical() {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & 0xffff_ff00).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 80 << 80).into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rate() -> WriteRate {
        WriteRate::new(&Limits {
            write_burst: 3,
            writes_per_second: 2,
            ..Limits::default()
        })
    }

    #[test]
    fn a_burst_then_the_steady_rate_for_a_whole_prefix() {
        let (rate, now) = (rate(), Instant::now());
        let ip = |last| IpAddr::from([192, 0, 2, last]);
        for last in 1..=3 {
            rate.take_at(ip(last), now).unwrap();
        }
        assert_eq!(rate.take_at(ip(4), now), Err(Duration::from_millis(500)));
        rate.take_at(IpAddr::from([192, 0, 3, 1]), now).unwrap();
        rate.take_at(ip(5), now + Duration::from_millis(500))
            .unwrap();
        assert!(
            rate.take_at(ip(5), now + Duration::from_millis(501))
                .is_err()
        );
    }

    #[test]
    fn the_memory_of_prefixes_is_bounded() {
        let (rate, now) = (rate(), Instant::now());
        for at in 0..5000_u32 {
            let client = Ipv4Addr::from_bits(at << 8).into();
            rate.take_at(client, now + Duration::from_millis(u64::from(at)))
                .unwrap();
        }
        assert_eq!(rate.buckets.lock().unwrap().len(), MAX_PREFIXES);
    }
}
