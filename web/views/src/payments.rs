//! Paid votes: the dialog that asks for a payment, its progress, and lists of what was paid.

use askama::Template;

use crate::amount;
use crate::data::{
    Batch, ChainStatus, Paid, PaidVote, PayChoice, PayTo, PaymentKey, PaymentState, Post, Received,
};
use crate::frame::Frame;
use crate::text::{sentence, visible};

/// What every page says that shows sums.
pub const MEANING: &str = "A proof shows that money moved, not that it was spent: \
    paying oneself costs only the fee.";

/// Asks how much to pay, and whom.
#[derive(Debug, Template)]
#[template(path = "pay.html")]
pub struct PayPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// The post voted on.
    pub post: &'a Post,
    /// Who can be paid.
    pub choices: &'a [PayChoice],
    /// What was typed so far.
    pub draft: PayDraft<'a>,
    /// Why it was refused.
    pub problem: Option<&'a str>,
}

/// The fields of the dialog.
#[derive(Clone, Copy, Debug, Default)]
pub struct PayDraft<'a> {
    /// Amount, as it was typed.
    pub sats: &'a str,
    /// Whom.
    pub to: Option<PayTo>,
    /// Down instead of up.
    pub is_down: bool,
}

/// How far the payment of one vote got.
#[derive(Debug, Template)]
#[template(path = "payment.html")]
pub struct PaymentPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// The payment.
    pub paid: &'a PaidVote,
    /// The post, where it is held.
    pub post: Option<&'a Post>,
}

/// The paid votes on one post.
#[derive(Debug, Template)]
#[template(path = "post_payments.html")]
pub struct PostPaymentsPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// The post.
    pub post: &'a Post,
    /// Its paid votes.
    pub payments: &'a [PaidVote],
}

/// The owner's own paid votes, and what they received.
#[derive(Debug, Template)]
#[template(path = "payments.html")]
pub struct PaymentsPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// Own paid votes.
    pub payments: &'a [PaidVote],
    /// Payments to the own key.
    pub received: &'a [Received],
    /// The own key.
    pub key: Option<&'a PaymentKey>,
    /// The chain.
    pub chain: &'a ChainStatus,
}

/// A transaction that pays many votes.
#[derive(Debug, Template)]
#[template(path = "batch.html")]
pub struct BatchPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// The batch.
    pub batch: &'a Batch,
}

/// A step of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Word for it.
    pub name: String,
    /// Behind it.
    pub is_done: bool,
    /// At it.
    pub is_now: bool,
}

impl PayPage<'_> {
    fn can_pay(&self) -> bool {
        self.choices.iter().any(|choice| choice.has_key)
    }

    fn is_chosen(&self, choice: &PayChoice) -> bool {
        self.draft.to == Some(choice.to)
    }

    /// The board's price, if it has one.
    fn price(&self) -> Option<u64> {
        self.choices.iter().find_map(|choice| choice.price_sats)
    }
}

impl PayChoice {
    /// Who it is, in words.
    #[must_use]
    pub fn shown(&self) -> String {
        let who = self.recipient.shown();
        match self.to {
            PayTo::Author => format!("{who}, who wrote it"),
            PayTo::Board => format!("{who}, who keeps the board"),
        }
    }

    /// Why they can't be paid, or what to know.
    #[must_use]
    pub fn why_shown(&self) -> Option<String> {
        match (&self.why, self.has_key) {
            (Some(why), _) => Some(visible(why).into_owned()),
            (None, false) => Some("no payment key is published".to_owned()),
            (None, true) => None,
        }
    }
}

impl PaymentPage<'_> {
    /// The owner's own: it can be paid, handed in and forgotten from here.
    fn is_own(&self) -> bool {
        self.frame.signed_in() && self.is_mine()
    }

    fn is_mine(&self) -> bool {
        let viewer = self.frame.viewer.as_ref();
        viewer.is_some_and(|viewer| viewer.author.identity == self.paid.voter.identity)
    }

    fn is_open(&self) -> bool {
        matches!(
            self.paid.state,
            PaymentState::Unpaid | PaymentState::Seen | PaymentState::Disconnected
        ) || self.paid.due_sats > 0
    }

    /// A payment of all that is due may be on its way, or come back with another block.
    fn may_be_sent(&self) -> bool {
        matches!(
            self.paid.state,
            PaymentState::Seen | PaymentState::Disconnected
        )
    }
}

impl PostPaymentsPage<'_> {
    fn sums(&self) -> Paid {
        self.post.paid.unwrap_or_default()
    }
}

impl PaymentsPage<'_> {
    /// Votes that a batch would pay.
    fn unpaid(&self) -> u64 {
        let unpaid = |one: &&PaidVote| {
            let is_underway = one.state == PaymentState::Seen;
            one.due_sats > 0 && !is_underway && !one.superseded
        };
        self.payments.iter().filter(unpaid).count() as u64
    }

    fn received_sats(&self) -> u64 {
        let counted = |one: &&Received| one.state.is_counted();
        let sats = self.received.iter().filter(counted).map(|one| one.sats);
        sats.fold(0, u64::saturating_add)
    }
}

impl PaymentState {
    /// In the sums.
    #[must_use]
    pub fn is_counted(self) -> bool {
        matches!(self, Self::Confirmed | Self::Settled)
    }

    /// Class of its tag.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Confirmed | Self::Settled => "kind",
            Self::Disconnected | Self::False => "warn",
            Self::Unchecked | Self::Unpaid | Self::Seen => "",
        }
    }

    /// Word of its tag.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Unchecked => "not checked here",
            Self::Unpaid => "unpaid",
            Self::Seen => "seen",
            Self::Confirmed => "confirmed",
            Self::Settled => "settled",
            Self::Disconnected => "its block was replaced",
            Self::False => "false",
        }
    }
}

impl PaidVote {
    /// The payment URI, if it is one: other schemes are nothing to follow.
    #[must_use]
    pub fn payment_link(&self) -> Option<&str> {
        let uri = self.uri.as_deref()?;
        let is_plain = uri.bytes().all(|byte| byte.is_ascii_graphic());
        (is_plain && uri.starts_with("bitcoin:")).then_some(uri)
    }

    /// `2 of 6 confirmations`.
    #[must_use]
    pub fn depth_words(&self) -> String {
        format!(
            "{} of {} confirmations",
            self.confirmations, self.settled_at
        )
    }

    /// How far it got, in a sentence.
    #[must_use]
    pub fn state_words(&self) -> String {
        match self.state {
            PaymentState::Unchecked => {
                "There is a proof, but this node can't check it.".to_owned()
            }
            PaymentState::Unpaid => "Not paid yet.".to_owned(),
            PaymentState::Seen => {
                "Seen: a matching transaction was handed to this node. No block has it yet."
                    .to_owned()
            }
            PaymentState::Confirmed => format!("Paid: {}.", self.depth_words()),
            PaymentState::Settled => format!(
                "Settled: {}.",
                amount::count(self.confirmations.into(), "confirmation", "confirmations")
            ),
            PaymentState::Disconnected => {
                "Taken back: its block was replaced by others. It counts again when a new block has it."
                    .to_owned()
            }
            PaymentState::False => "False: the proof proves nothing.".to_owned(),
        }
    }

    /// It is known who is paid: the row that a false proof cites may be nobody's.
    #[must_use]
    pub fn has_recipient(&self) -> bool {
        !self.recipient.identity.is_empty()
    }

    /// There are bytes that prove it, or claim to.
    #[must_use]
    pub fn has_proof(&self) -> bool {
        !matches!(self.state, PaymentState::Unpaid | PaymentState::Seen)
    }

    /// What the direction is called.
    #[must_use]
    pub fn direction(&self) -> &'static str {
        match self.dir {
            ..0 => "down",
            0 => "taken back",
            1.. => "up",
        }
    }

    /// What the recipient is to the post.
    #[must_use]
    pub fn to_words(&self) -> &'static str {
        match self.to {
            PayTo::Author => "who wrote the post",
            PayTo::Board => "who keeps the board",
        }
    }

    /// Why it is as it is, if the node said so.
    #[must_use]
    pub fn why_shown(&self) -> Option<String> {
        self.why.as_deref().map(|why| sentence(&visible(why)))
    }

    /// The way from unpaid to settled, and where on it this one stands.
    #[must_use]
    pub fn steps(&self) -> [Step; 4] {
        let at = match self.state {
            PaymentState::Unpaid | PaymentState::False | PaymentState::Unchecked => 0,
            PaymentState::Seen | PaymentState::Disconnected => 1,
            PaymentState::Confirmed => 2,
            PaymentState::Settled => 3,
        };
        let depth = if self.state == PaymentState::Confirmed {
            self.depth_words()
        } else {
            "Confirmed".to_owned()
        };
        let names = [
            "Unpaid".to_owned(),
            "Seen".to_owned(),
            depth,
            "Settled".to_owned(),
        ];
        let mut place = 0;
        names.map(|name| {
            let step = Step {
                name,
                is_done: place < at,
                is_now: place == at,
            };
            place += 1;
            step
        })
    }
}

impl Paid {
    /// There are proofs, and none that says more than that it can't be checked here.
    #[must_use]
    pub fn is_unchecked(&self) -> bool {
        self.unchecked_votes > 0 && self.is_without_sats()
    }

    /// There are payments, and none that counts.
    #[must_use]
    pub fn is_uncounted(&self) -> bool {
        self.uncounted_votes > 0 && self.is_without_sats()
    }

    fn is_without_sats(&self) -> bool {
        self.sats == 0 && self.pending_sats == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paid(state: PaymentState) -> PaidVote {
        PaidVote {
            state,
            confirmations: 2,
            settled_at: 6,
            ..PaidVote::default()
        }
    }

    #[test]
    fn only_bitcoin_links_are_followed() {
        let table = [
            ("bitcoin:bc1p?amount=1", true),
            ("lightning:lnbc1", false),
            ("javascript:alert(1)", false),
            ("bitcoin:bc1p\njavascript:alert(1)", false),
            (" bitcoin:bc1p", false),
            ("bitcoin:bc1p\u{202E}", false),
        ];
        for (uri, is_followed) in table {
            let paid = PaidVote {
                uri: Some(uri.to_owned()),
                ..PaidVote::default()
            };
            assert_eq!(paid.payment_link().is_some(), is_followed, "{uri}");
        }
        assert_eq!(PaidVote::default().payment_link(), None);
    }

    #[test]
    fn a_payment_stands_at_one_step_of_its_way() {
        let table = [
            (PaymentState::Unpaid, 0),
            (PaymentState::Seen, 1),
            (PaymentState::Confirmed, 2),
            (PaymentState::Settled, 3),
            (PaymentState::Disconnected, 1),
        ];
        for (state, at) in table {
            let steps = paid(state).steps();
            let now: Vec<bool> = steps.iter().map(|step| step.is_now).collect();
            let done = steps.iter().filter(|step| step.is_done).count();
            assert_eq!(now.iter().position(|now| *now), Some(at), "{state:?}");
            assert_eq!(done, at, "{state:?}");
        }
        assert_eq!(
            paid(PaymentState::Confirmed).steps()[2].name,
            "2 of 6 confirmations"
        );
    }
}
