//! A token bucket: so many messages a second, so many at once.

use crate::bounds;

/// Tokens of one topic, in thousandths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    tokens_milli: u64,
    filled_ms: u64,
}

impl Bucket {
    pub fn new(now_ms: u64) -> Self {
        Self {
            tokens_milli: bounds::TOPIC_BURST * 1_000,
            filled_ms: now_ms,
        }
    }

    /// Takes `tokens`; false when there are not so many.
    pub fn take(&mut self, tokens: u64, now_ms: u64) -> bool {
        let passed_ms = now_ms.saturating_sub(self.filled_ms);
        let fresh = passed_ms.saturating_mul(bounds::TOPIC_RATE);
        self.tokens_milli = self
            .tokens_milli
            .saturating_add(fresh)
            .min(bounds::TOPIC_BURST * 1_000);
        self.filled_ms = self.filled_ms.max(now_ms);
        match self.tokens_milli.checked_sub(tokens * 1_000) {
            Some(left) => {
                self.tokens_milli = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut bucket = Bucket::new(0);
        let burst = (0..10_000).take_while(|_| bucket.take(1, 0)).count() as u64;
        assert_eq!(burst, bounds::TOPIC_BURST);
        let second = (0..10_000).take_while(|_| bucket.take(1, 1_000)).count() as u64;
        assert_eq!(second, bounds::TOPIC_RATE);
        assert!(!bucket.take(1, 500), "a clock set back gives nothing");
    }
}
