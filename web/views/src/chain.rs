//! The header chain that proofs of payments are held against.

use askama::Template;

use crate::amount;
use crate::data::{ChainStatus, ChainTip};
use crate::frame::Frame;

/// A newest header older than this is told, in milliseconds: blocks come every ten minutes, and
/// eighteen in a row without one are rarer than a chain that stopped being followed.
const BEHIND_MS: u64 = 3 * 3600 * 1000;

/// The chain.
#[derive(Debug, Template)]
#[template(path = "chain.html")]
pub struct ChainPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// The chain.
    pub chain: &'a ChainStatus,
}

impl ChainPage<'_> {
    /// The newest header is older than it should be; where blocks come by hand, it may be.
    fn is_behind(&self) -> bool {
        let tip_ms = self.chain.tip.as_ref().map(ChainTip::time_ms);
        let is_old = |ms| self.frame.now_ms.saturating_sub(ms) > BEHIND_MS;
        self.chain.network != "regtest" && tip_ms.is_some_and(is_old)
    }
}

impl ChainStatus {
    /// A chain is followed.
    #[must_use]
    pub fn pays(&self) -> bool {
        !matches!(self.network.as_str(), "" | "none")
    }

    /// Coins of this chain are worth nothing.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.pays() && self.network != "bitcoin"
    }
}

impl ChainTip {
    /// Time in its header, Unix milliseconds.
    #[must_use]
    pub fn time_ms(&self) -> u64 {
        u64::from(self.time_s) * 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_that_stopped_is_told_except_where_blocks_come_by_hand() {
        let now_ms = 1_700_000_000_000;
        let table = [
            ("bitcoin", 1_700_000_000, false),
            ("bitcoin", 1_700_000_000 - 3 * 3600 - 1, true),
            ("signet", 1_600_000_000, true),
            ("regtest", 1_600_000_000, false),
            ("bitcoin", 1_800_000_000, false),
        ];
        for (network, time_s, is_behind) in table {
            let frame = Frame {
                now_ms,
                ..Frame::default()
            };
            let chain = ChainStatus {
                network: network.to_owned(),
                tip: Some(ChainTip {
                    time_s,
                    ..ChainTip::default()
                }),
                ..ChainStatus::default()
            };
            let page = ChainPage {
                frame: &frame,
                chain: &chain,
            };
            assert_eq!(page.is_behind(), is_behind, "{network} {time_s}");
        }
    }
}
