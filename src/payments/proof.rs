//! One proof as a row published it, and how it stands: pure.

use bitcoin::OutPoint;
use model::{EntryId, IdentityId};
use spv::{
    Network,
    proof::{Checked, Headers, ProofError},
};
use views::data::PayTo;

use super::facts::{Falsehood, KeyState, VoteFacts};

/// A chain to judge by.
#[derive(Clone, Copy, Debug)]
pub enum View<'a, H> {
    /// No headers are kept.
    None,
    /// Headers are kept, but not as many yet as the true chain is known to have: a forgery of these
    /// would be cheap.
    Young(&'a H),
    /// As good as headers get.
    Chain(&'a H),
}

/// A proof that holds by itself, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// What was checked, once.
    pub checked: Box<Checked>,
    /// Whom it pays, as far as that can be told.
    pub payee: Result<(PayTo, IdentityId), NoPayee>,
    /// By the chain.
    pub place: Place,
}

/// Why it can't be told whom a payment goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPayee {
    /// The row with the key isn't held: it may come.
    KeyAbsent,
    /// The row with the key doesn't count any more, by which the payer did no wrong.
    KeyGone,
    /// Who owns the board isn't known.
    BoardAbsent,
    /// The vote isn't held.
    VoteAbsent,
}

/// Where a proof's block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Not judged yet, or no headers to judge by.
    Unchecked(Doubt),
    /// On the chain with the most work.
    Confirmed {
        /// Blocks below.
        height: u32,
        /// Blocks from its own to the tip, its own included.
        confirmations: u32,
    },
    /// Its block holds the payment, and others took its place.
    Replaced,
    /// No header of its block is known: anybody can make such.
    Unknown,
}

/// Why a proof wasn't judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// This node keeps no headers.
    NoChain,
    /// It keeps those of another chain.
    OtherChain(Network),
    /// It hasn't all of them yet.
    Young,
}

/// How a proof stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may be true.
    Sound(Sound),
    /// It isn't.
    False(Falsehood),
}

/// How much a proof is worth keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// It proves nothing.
    False,
    /// It can't be judged, or nothing is known of its block: anybody can make such.
    Claimed,
    /// Its block holds it, and whom it pays can't be told.
    Mined,
    /// Its block was replaced by others.
    Disconnected,
    /// It is true.
    Confirmed,
}

impl Standing {
    /// Judges all that doesn't need the chain.
    pub fn new(
        vote: EntryId,
        facts: &VoteFacts,
        checked: Result<Checked, ProofError>,
        key: &KeyState,
    ) -> Self {
        let checked = match checked {
            Ok(checked) if checked.vote == vote => Box::new(checked),
            Ok(checked) => return Self::False(Falsehood::OtherVote(checked.vote)),
            Err(error) => return Self::False(error.into()),
        };
        let payee = owner_of(&checked, key).and_then(|owner| match owner {
            Ok(owner) => role_of(owner, facts),
            Err(nobody) => Ok(Err(nobody)),
        });
        Self::of(checked, payee)
    }

    /// Of a payment whose vote isn't held: its key can be judged, not whether it was to be paid.
    pub fn alone(checked: Checked, key: &KeyState) -> Self {
        let owner = owner_of(&checked, key);
        let payee = owner.map(|owner| Err(owner.err().unwrap_or(NoPayee::VoteAbsent)));
        Self::of(Box::new(checked), payee)
    }

    fn of(checked: Box<Checked>, payee: Result<Payee, Falsehood>) -> Self {
        match payee {
            Ok(payee) => Self::Sound(Sound {
                checked,
                payee,
                place: Place::Unchecked(Doubt::NoChain),
            }),
            Err(why) => Self::False(why),
        }
    }

    /// Judges by the chain.
    pub fn judge<H: Headers>(&mut self, view: &View<'_, H>) {
        let Self::Sound(sound) = self else {
            return;
        };
        let network = sound.checked.network;
        sound.place = match view {
            View::None => Place::Unchecked(Doubt::NoChain),
            View::Young(chain) | View::Chain(chain) if chain.network() != network => {
                Place::Unchecked(Doubt::OtherChain(chain.network()))
            }
            View::Young(_) => Place::Unchecked(Doubt::Young),
            View::Chain(chain) => match sound.checked.judge(*chain) {
                Ok(confirmed) => Place::Confirmed {
                    height: confirmed.height,
                    confirmations: confirmed.confirmations,
                },
                Err(ProofError::BlockReplaced(_)) => Place::Replaced,
                Err(error) if error.is_pending() => Place::Unknown,
                Err(error) => {
                    *self = Self::False(error.into());
                    return;
                }
            },
        };
    }

    /// What it pays by, unless it is false.
    pub fn outpoint(&self) -> Option<OutPoint> {
        match self {
            Self::Sound(sound) => Some(sound.checked.outpoint),
            Self::False(_) => None,
        }
    }

    /// How much it is worth keeping.
    pub fn worth(&self) -> Worth {
        match self {
            Self::False(_) => Worth::False,
            Self::Sound(sound) => sound.worth(),
        }
    }
}

impl Sound {
    /// How much it is worth keeping.
    pub fn worth(&self) -> Worth {
        match self.place {
            Place::Confirmed { .. } | Place::Replaced if self.payee.is_err() => Worth::Mined,
            Place::Confirmed { .. } => Worth::Confirmed,
            Place::Replaced => Worth::Disconnected,
            Place::Unknown | Place::Unchecked(_) => Worth::Claimed,
        }
    }
}

/// Whom a payment goes to, as far as that can be told.
type Payee = Result<(PayTo, IdentityId), NoPayee>;

/// Whose key a payment was made to, as far as that can be told.
///
/// # Errors
/// When the row that the proof cites doesn't say what was paid.
pub fn owner_of(
    checked: &Checked,
    key: &KeyState,
) -> Result<Result<IdentityId, NoPayee>, Falsehood> {
    let cited = checked.key_row;
    let row = match key {
        KeyState::Absent => return Ok(Err(NoPayee::KeyAbsent)),
        KeyState::Gone => return Ok(Err(NoPayee::KeyGone)),
        KeyState::NoKey => return Err(Falsehood::NoKey(cited)),
        KeyState::Key(row) => row,
    };
    if row.network != checked.network {
        return Err(Falsehood::KeyNetwork {
            row: row.network,
            proof: checked.network,
        });
    }
    if row.off {
        return Err(Falsehood::KeyOff(cited));
    }
    if row.key != checked.key {
        return Err(Falsehood::OtherKey(cited));
    }
    if checked.is_batch {
        let script = row.batch_script().map_err(ProofError::from)?;
        if script.as_ref() != Some(&checked.script) {
            return Err(Falsehood::OtherAddress(cited));
        }
    }
    Ok(Ok(row.identity))
}

/// What the owner of a key is to the post voted on.
fn role_of(owner: IdentityId, facts: &VoteFacts) -> Result<Payee, Falsehood> {
    if owner == facts.author {
        return Ok(Ok((PayTo::Author, owner)));
    }
    match facts.owner {
        None => Ok(Err(NoPayee::BoardAbsent)),
        Some(board) if board == owner => Ok(Ok((PayTo::Board, owner))),
        Some(_) => Err(Falsehood::Stranger(owner)),
    }
}
