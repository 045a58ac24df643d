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
    /// Whom it pays; none while the row with the key isn't held.
    pub payee: Option<(PayTo, IdentityId)>,
    /// By the chain.
    pub place: Place,
    /// It was confirmed at some time since the node started.
    pub was_confirmed: bool,
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
    /// Not, or no longer, on it.
    Away,
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
    /// It can't be judged, or its block was never seen on the chain: anybody can make such.
    Claimed,
    /// Its block was on the chain.
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
        match payee(&checked, facts, key) {
            Ok(payee) => Self::Sound(Sound {
                checked,
                payee,
                place: Place::Unchecked(Doubt::NoChain),
                was_confirmed: false,
            }),
            Err(why) => Self::False(why),
        }
    }

    /// Of a payment whose vote isn't held: whom it pays can't be told.
    pub fn alone(checked: Checked) -> Self {
        Self::Sound(Sound {
            checked: Box::new(checked),
            payee: None,
            place: Place::Unchecked(Doubt::NoChain),
            was_confirmed: false,
        })
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
                Ok(confirmed) => {
                    sound.was_confirmed = true;
                    Place::Confirmed {
                        height: confirmed.height,
                        confirmations: confirmed.confirmations,
                    }
                }
                Err(error) if error.is_pending() => Place::Away,
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
            Place::Confirmed { .. } if self.payee.is_some() => Worth::Confirmed,
            Place::Away if self.was_confirmed && self.payee.is_some() => Worth::Disconnected,
            _ => Worth::Claimed,
        }
    }
}

/// Whom a payment goes to; none while that can't be told.
fn payee(
    checked: &Checked,
    facts: &VoteFacts,
    key: &KeyState,
) -> Result<Option<(PayTo, IdentityId)>, Falsehood> {
    let cited = checked.key_row;
    let row = match key {
        KeyState::Absent => return Ok(None),
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
    if row.identity == facts.author {
        return Ok(Some((PayTo::Author, row.identity)));
    }
    match facts.owner {
        None => Ok(None),
        Some(owner) if owner == row.identity => Ok(Some((PayTo::Board, row.identity))),
        Some(_) => Err(Falsehood::Stranger(row.identity)),
    }
}
