//! What proofs add up to: of a vote, a post, a thread. Each payment counts once, however many rows
//! prove it; only confirmed ones of votes that stand are counted.

use std::collections::BTreeMap;

use bitcoin::OutPoint;
use model::{EntryId, IdentityId};
use spv::Network;
use views::data::{PayTo, PaymentState};

use super::{
    index::{Index, Vote},
    proof::{Doubt, NoPayee, Place, Sound, Standing, Worth},
};

/// What the proofs of a vote add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoteSum {
    /// How far it got.
    pub state: PaymentState,
    /// Of the least deep of the confirmed payments.
    pub confirmations: u32,
    /// What is confirmed; while nothing is, what is claimed, unless its block is unknown.
    pub sats: u64,
    /// What counts.
    pub counted_sats: u64,
    /// What stands in blocks that were replaced.
    pub pending_sats: u64,
    /// All that there is cites blocks of which nothing is known, as anybody's invention would.
    pub is_invented: bool,
    /// Whom the best payment goes to.
    pub payee: Option<(PayTo, IdentityId)>,
    /// The voter is paid.
    pub to_self: bool,
    /// Output of the best payment.
    pub outpoint: Option<OutPoint>,
    /// Its chain.
    pub network: Option<Network>,
    /// Why nothing is confirmed.
    pub why: Option<String>,
}

impl VoteSum {
    /// Whether people would see another thing. Deeper than settled is told of no more.
    pub(super) fn differs(&self, now: &Self, settled: u32) -> bool {
        let depth = |sum: &Self| sum.confirmations.min(settled);
        depth(self) != depth(now)
            || Self {
                confirmations: now.confirmations,
                ..self.clone()
            } != *now
    }
}

/// Steps from nothing to confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// Nothing is known of its block.
    Unknown,
    /// Can't be judged here.
    Unchecked,
    /// Its block was replaced.
    Replaced,
    /// True.
    Confirmed,
}

fn step(sound: &Sound) -> Step {
    match sound.place {
        Place::Unknown => Step::Unknown,
        Place::Unchecked(_) => Step::Unchecked,
        Place::Replaced | Place::Confirmed { .. } if sound.payee.is_err() => Step::Unchecked,
        Place::Replaced => Step::Replaced,
        Place::Confirmed { .. } => Step::Confirmed,
    }
}

/// Why it can't be told whom a payment goes to, in words.
fn nobody(why: NoPayee) -> &'static str {
    match why {
        NoPayee::KeyAbsent => {
            "whose key was paid is not known here yet: the profile of the recipient is not held"
        }
        NoPayee::KeyGone => {
            "the row with the recipient's key no longer counts, by nothing that the payer did"
        }
        NoPayee::BoardAbsent => "who owns the board is not known here yet",
        NoPayee::VoteAbsent => {
            "the vote is not held here: whether the recipient was to be paid for it can't be told"
        }
    }
}

fn why(sound: &Sound) -> Option<String> {
    let block = sound.checked.block;
    Some(match (sound.place, sound.payee) {
        (Place::Unknown, _) => format!(
            "its block {block} is not on the chain with the most work: no header of it is known \
             here"
        ),
        (_, Err(why)) => nobody(why).to_owned(),
        (Place::Confirmed { .. }, _) => return None,
        (Place::Replaced, _) => format!(
            "its block {block} is not on the chain with the most work: others took its place"
        ),
        (Place::Unchecked(Doubt::NoChain), _) => {
            "not checked here: this node keeps no block headers (payments.network is none)"
                .to_owned()
        }
        (Place::Unchecked(Doubt::OtherChain(network)), _) => format!(
            "not checked here: it was paid on {}, this node keeps the headers of {network}",
            sound.checked.network
        ),
        (Place::Unchecked(Doubt::Young), _) => {
            "not checked yet: this node is still fetching the block headers".to_owned()
        }
    })
}

impl Standing {
    /// How far it got by itself, and why no further.
    pub fn told(&self, settled: u32) -> (PaymentState, Option<String>) {
        let sound = match self {
            Self::False(why) => return (PaymentState::False, Some(why.to_string())),
            Self::Sound(sound) => sound,
        };
        (
            state(step(sound), confirmations(sound), settled),
            why(sound),
        )
    }
}

fn state(step: Step, confirmations: u32, settled: u32) -> PaymentState {
    match step {
        Step::Unknown | Step::Unchecked => PaymentState::Unchecked,
        Step::Replaced => PaymentState::Disconnected,
        Step::Confirmed if confirmations >= settled => PaymentState::Settled,
        Step::Confirmed => PaymentState::Confirmed,
    }
}

fn confirmations(sound: &Sound) -> u32 {
    match sound.place {
        Place::Confirmed { confirmations, .. } => confirmations,
        Place::Replaced | Place::Unknown | Place::Unchecked(_) => 0,
    }
}

impl Index {
    /// What the proofs of a vote add up to.
    pub fn sum(&self, vote: &EntryId, settled: u32) -> Option<VoteSum> {
        self.vote(vote).map(|vote| self.sum_of(vote, settled))
    }

    /// The payments of a vote: of several proofs of one the best.
    fn payments_of(&self, vote: &Vote) -> BTreeMap<OutPoint, &Sound> {
        let mut payments = BTreeMap::<OutPoint, &Sound>::new();
        for proof in vote.proofs.iter().filter_map(|row| self.proof(row)) {
            let Standing::Sound(sound) = &proof.standing else {
                continue;
            };
            let rank = |sound: &Sound| (step(sound), sound.checked.sats);
            payments
                .entry(sound.checked.outpoint)
                .and_modify(|best| {
                    if rank(sound) > rank(best) {
                        *best = sound;
                    }
                })
                .or_insert(sound);
        }
        payments
    }

    pub(super) fn sum_of(&self, vote: &Vote, settled: u32) -> VoteSum {
        let payments = self.payments_of(vote);
        let Some(best) = payments.values().map(|sound| step(sound)).max() else {
            return self.nothing_sound(vote);
        };
        let mut sum = VoteSum {
            is_invented: best == Step::Unknown,
            ..VoteSum::default()
        };
        for (outpoint, sound) in payments {
            if sound.worth() == Worth::Disconnected && vote.facts.counts() {
                sum.pending_sats = sum.pending_sats.saturating_add(sound.checked.sats);
            }
            if step(sound) != best {
                continue;
            }
            let depth = confirmations(sound);
            if sum.outpoint.is_none() {
                sum.confirmations = depth;
                sum.payee = sound.payee.ok().filter(|_| best != Step::Unknown);
                sum.outpoint = Some(outpoint);
                sum.network = Some(sound.checked.network);
                sum.why = why(sound);
            }
            sum.confirmations = sum.confirmations.min(depth);
            if best == Step::Unknown {
                continue;
            }
            let payee = sound.payee.map(|(_, identity)| identity);
            sum.to_self |= payee == Ok(vote.facts.voter);
            sum.sats = sum.sats.saturating_add(sound.checked.sats);
        }
        if sum.is_invented {
            sum.outpoint = None;
        }
        sum.state = state(best, sum.confirmations, settled);
        if best == Step::Confirmed && vote.facts.counts() {
            sum.counted_sats = sum.sats;
        }
        sum
    }

    /// Of a vote whose proofs all are false, or gone.
    fn nothing_sound(&self, vote: &Vote) -> VoteSum {
        let mut proofs = vote.proofs.iter().filter_map(|row| self.proof(row));
        let why = proofs.find_map(|proof| match &proof.standing {
            Standing::False(why) => Some(why.to_string()),
            Standing::Sound(_) => None,
        });
        VoteSum {
            state: match why {
                Some(_) => PaymentState::False,
                None => PaymentState::Unpaid,
            },
            why,
            ..VoteSum::default()
        }
    }

    /// What votes on a post paid one recipient. With `claims`, what can't be judged here is taken
    /// for true.
    pub fn paid_to(&self, post: &EntryId, recipient: &IdentityId, claims: bool) -> u64 {
        let votes = self.votes_on(post).filter_map(|vote| self.vote(vote));
        let standing = votes.filter(|vote| !vote.facts.superseded);
        let sums = standing.map(|vote| {
            let payments = self.payments_of(vote).into_values();
            let theirs = payments.filter(|sound| {
                let is_unjudged = matches!(sound.place, Place::Unchecked(_));
                sound
                    .payee
                    .is_ok_and(|(_, identity)| identity == *recipient)
                    && (step(sound) == Step::Confirmed || (claims && is_unjudged))
            });
            theirs.fold(0, |sum: u64, sound| sum.saturating_add(sound.checked.sats))
        });
        sums.fold(0, u64::saturating_add)
    }
}
