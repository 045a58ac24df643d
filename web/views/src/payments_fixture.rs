//! Paid votes for the tests of their pages.

use crate::data::*;
use crate::fixture::*;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

pub fn paid_vote(id: &str, who: &str, state: PaymentState) -> PaidVote {
    let counted_sats = if state.is_counted() { 2_100 } else { 0 };
    PaidVote {
        vote: cid(id),
        post: cid("root"),
        root: cid("root"),
        space: cid("Field recordings"),
        voter: author(who),
        recipient: author("Mei"),
        to: PayTo::Author,
        dir: 1,
        time_ms: NOW - 3 * HOUR,
        network: "bitcoin".to_owned(),
        sats: 2_100,
        state,
        confirmations: 2,
        settled_at: 6,
        counted_sats,
        held_by: 2,
        ..PaidVote::default()
    }
}

/// An unpaid vote of the signed-in person, with its address.
pub fn awaited() -> PaidVote {
    let address = "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr";
    PaidVote {
        due_sats: 2_100,
        address: Some(address.to_owned()),
        uri: Some(format!("bitcoin:{address}?amount=0.00002100")),
        qr: Some("<svg class=\"qr\"></svg>".to_owned()),
        ..paid_vote("awaited", "You", PaymentState::Unpaid)
    }
}

pub fn payments() -> Vec<PaidVote> {
    let mut to_self = paid_vote("self", "Mei", PaymentState::Settled);
    to_self.to_self = true;
    to_self.confirmations = 144;
    let mut old = paid_vote("old", "Ada", PaymentState::Confirmed);
    old.superseded = true;
    old.counted_sats = 0;
    let mut lie = paid_vote("lie", "Bob", PaymentState::False);
    lie.why = Some("the output pays another key than the one it cites".to_owned());
    let mut gone = paid_vote("gone", "Cy", PaymentState::Disconnected);
    gone.to = PayTo::Board;
    vec![to_self, old, gone, lie]
}

pub fn choices() -> Vec<PayChoice> {
    vec![
        PayChoice {
            to: PayTo::Author,
            recipient: author("Mei"),
            has_key: true,
            ..PayChoice::default()
        },
        PayChoice {
            to: PayTo::Board,
            recipient: author("Ada"),
            has_key: true,
            price_sats: Some(500),
            why: None,
        },
    ]
}

pub fn chain() -> ChainStatus {
    ChainStatus {
        network: "bitcoin".to_owned(),
        tip: Some(ChainTip {
            height: 912_345,
            hash: format!(
                "{}{}",
                "0".repeat(19),
                "a1b2c3d4e5f60718293a4b5c6d7e8f9012345678abcde"
            ),
            time_s: u32::try_from((NOW - 7 * MINUTE) / 1000).expect("a time of this century"),
            work: "00000000000000000000000000000000000000008f0e1d2c3b4a596877869504".to_owned(),
        }),
        peers: 8,
        source: "nakamoto".to_owned(),
        restarts: 1,
        last_error: Some("no peer answered for two minutes".to_owned()),
        has_minimum_work: true,
        settled_at: 6,
        awaited: Some(1),
        warnings: Vec::new(),
    }
}
