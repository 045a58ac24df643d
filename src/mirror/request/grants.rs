//! What others were promised here, in `pin-requests.json`: who may ask, for how much, and that no
//! request counts twice.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use gateway::api::types::PinMedia;
use model::{EndpointKey, EntryId, IdentityId, PinAct, PinAsk, PinTarget, SpaceId};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard};

use super::media;
use crate::{
    config::{Accept, PinRequests as Limits},
    data_folder::{DataFolder, FolderError},
    kept::Kept,
    mirror::frame::{PinAnswer, PinRefusal},
};

const FILE: &str = "pin-requests.json";
/// Promises in all, and to one requester.
const IN_ALL: usize = 2_048;
const OF_REQUESTER: usize = 128;
/// A request is taken this long before and after the time that it names, milliseconds.
const WINDOW_MS: u64 = 5 * 60 * 1_000;
/// Requests remembered, so that none counts twice.
const SEEN: usize = 4_096;

/// A promise to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// To whom.
    pub identity: IdentityId,
    /// Of what.
    pub target: PinTarget,
    /// Which media.
    pub media: PinMedia,
    /// Bytes it may take at most.
    pub max_bytes: u64,
    /// Since when, Unix milliseconds.
    pub since_ms: u64,
    /// Until when, Unix milliseconds; none: until taken back.
    pub until_ms: Option<u64>,
    /// Followed here for this promise, and not before.
    pub joined: Option<Joined>,
}

/// What is followed for a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Joined {
    /// A thread.
    Thread(EntryId, SpaceId),
    /// A space.
    Space(SpaceId),
    /// An identity.
    Identity(IdentityId),
}

impl Joined {
    /// The target that it leads to.
    fn target(self) -> PinTarget {
        match self {
            Self::Thread(root, _) => PinTarget::Thread(root),
            Self::Space(space) => PinTarget::Space(space),
            Self::Identity(identity) => PinTarget::Identity(identity),
        }
    }

    /// Who follows this follows the other too.
    fn includes(self, other: Self) -> bool {
        match (self, other) {
            (Self::Space(whole), Self::Thread(_, space)) => whole == space,
            _ => self == other,
        }
    }
}

impl Grant {
    fn is_over(&self, now_ms: u64) -> bool {
        self.until_ms.is_some_and(|until_ms| until_ms <= now_ms)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    nonce: String,
    until_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    grants: Vec<Grant>,
    seen: Vec<Seen>,
    /// Followed for promises that are no more; to be left.
    #[serde(default)]
    left: BTreeSet<Joined>,
}

/// What a request is judged by, besides what was promised before.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// This mirror.
    pub own: EndpointKey,
    /// Its person follows the requester, or is the requester.
    pub is_followed: bool,
    /// Its person blocks the requester.
    pub is_blocked: bool,
    /// Bytes that fit on its disk for the target, what is held of it included and what others are
    /// still owed left out.
    pub room_bytes: u64,
    /// Its clock, Unix milliseconds.
    pub now_ms: u64,
}

/// What is left for a request, by each limit, bytes.
#[derive(Clone, Copy, Debug)]
struct Room {
    item_bytes: u64,
    requester_bytes: u64,
    all_bytes: u64,
    disk_bytes: u64,
}

impl Room {
    /// As much as was asked for; or, where no number was, as much as there is.
    fn take(self, max_bytes: Option<u64>) -> Result<u64, PinRefusal> {
        let by_limit = [
            (
                self.item_bytes,
                PinRefusal::ItemTooLarge {
                    limit_bytes: self.item_bytes,
                },
            ),
            (
                self.requester_bytes,
                PinRefusal::RequesterFull {
                    left_bytes: self.requester_bytes,
                },
            ),
            (
                self.all_bytes,
                PinRefusal::AllFull {
                    left_bytes: self.all_bytes,
                },
            ),
            (
                self.disk_bytes,
                PinRefusal::NoRoom {
                    left_bytes: self.disk_bytes,
                },
            ),
        ];
        let most = by_limit.iter().map(|(left_bytes, _)| *left_bytes).min();
        let max_bytes = max_bytes.unwrap_or(most.unwrap_or(0).max(1));
        match by_limit
            .iter()
            .find(|(left_bytes, _)| max_bytes > *left_bytes)
        {
            Some((_, refusal)) => Err(*refusal),
            None => Ok(max_bytes),
        }
    }
}

impl State {
    /// Whether the request may be looked at.
    fn admit(&self, ask: &PinAsk, standing: &Standing, limits: &Limits) -> Result<(), PinRefusal> {
        if ask.mirror != standing.own {
            return Err(PinRefusal::OtherMirror);
        }
        match limits.accept {
            _ if standing.is_blocked => return Err(PinRefusal::Nobody),
            Accept::Nobody => return Err(PinRefusal::Nobody),
            Accept::Followed if !standing.is_followed => return Err(PinRefusal::NotFollowed),
            Accept::Followed | Accept::Anyone => {}
        }
        if ask.time_ms.abs_diff(standing.now_ms) > WINDOW_MS {
            return Err(PinRefusal::Stale {
                now_ms: standing.now_ms,
            });
        }
        let nonce = HEXLOWER.encode(&ask.nonce);
        if self.seen.iter().any(|seen| seen.nonce == nonce) {
            return Err(PinRefusal::Replayed);
        }
        Ok(())
    }

    fn forget_over(&mut self, now_ms: u64) -> Vec<Grant> {
        self.seen.retain(|seen| seen.until_ms > now_ms);
        self.drop_where(|grant| grant.is_over(now_ms))
    }

    fn drop_where(&mut self, is_no_more: impl FnMut(&Grant) -> bool) -> Vec<Grant> {
        let all = std::mem::take(&mut self.grants).into_iter();
        let (dropped, stay): (Vec<Grant>, Vec<Grant>) = all.partition(is_no_more);
        self.grants = stay;
        for joined in dropped.iter().filter_map(|grant| grant.joined) {
            self.hand_on(joined);
        }
        dropped
    }

    /// What was followed for a promise is followed for the next about the same; after the last it
    /// is to be left.
    fn hand_on(&mut self, joined: Joined) {
        let mut others = self
            .grants
            .iter_mut()
            .filter(|grant| grant.target == joined.target());
        match others.next() {
            Some(heir) => heir.joined = heir.joined.or(Some(joined)),
            None => {
                self.left.insert(joined);
            }
        }
    }

    /// What is to be left and leads to a target: promised again, it is followed for that.
    fn take_left(&mut self, target: PinTarget) -> Option<Joined> {
        let joined = *self.left.iter().find(|left| left.target() == target)?;
        self.left.take(&joined)
    }

    fn own(&mut self, way: Joined) {
        self.left.retain(|left| !way.includes(*left));
        for grant in &mut self.grants {
            grant.joined = grant.joined.filter(|joined| !way.includes(*joined));
        }
    }

    fn remember(&mut self, ask: &PinAsk) -> Result<(), PinRefusal> {
        if self.seen.len() >= SEEN {
            return Err(PinRefusal::Busy { after_s: 60 });
        }
        self.seen.push(Seen {
            nonce: HEXLOWER.encode(&ask.nonce),
            until_ms: ask.time_ms + WINDOW_MS + 1,
        });
        Ok(())
    }

    fn decide(
        &mut self,
        ask: &PinAsk,
        standing: &Standing,
        limits: &Limits,
    ) -> Result<PinAnswer, PinRefusal> {
        self.forget_over(standing.now_ms);
        self.admit(ask, standing, limits)?;
        let place = self
            .grants
            .iter()
            .position(|grant| grant.identity == ask.identity && grant.target == ask.target);
        let (scope, max_bytes, until_ms) = match ask.act {
            PinAct::Pin {
                media,
                max_bytes,
                until_ms,
            } => (media, max_bytes, until_ms),
            PinAct::Unpin => {
                place.ok_or(PinRefusal::NotPinned)?;
                self.remember(ask)?;
                self.drop_where(|grant| {
                    grant.identity == ask.identity && grant.target == ask.target
                });
                let left_bytes = self.left(&ask.identity, limits);
                return Ok(PinAnswer::Released { left_bytes });
            }
        };
        if until_ms.is_some_and(|until_ms| until_ms <= standing.now_ms) {
            return Err(PinRefusal::Stale {
                now_ms: standing.now_ms,
            });
        }
        if place.is_none() && !self.has_place(&ask.identity) {
            return Err(PinRefusal::TooMany);
        }
        let before = place.map(|place| self.grants[place].clone());
        let room = self.room(ask, before.as_ref(), standing, limits);
        let max_bytes = room.take(max_bytes)?;
        self.remember(ask)?;
        let grant = Grant {
            identity: ask.identity,
            target: ask.target,
            media: media(scope),
            max_bytes,
            since_ms: before
                .as_ref()
                .map_or(standing.now_ms, |before| before.since_ms),
            until_ms,
            joined: match before {
                Some(before) => before.joined,
                None => self.take_left(ask.target),
            },
        };
        match place {
            Some(place) => self.grants[place] = grant,
            None => self.grants.push(grant),
        }
        Ok(PinAnswer::Accepted {
            max_bytes,
            left_bytes: room.requester_bytes - max_bytes,
            until_ms,
        })
    }

    fn has_place(&self, identity: &IdentityId) -> bool {
        let of_requester = self
            .grants
            .iter()
            .filter(|grant| grant.identity == *identity);
        self.grants.len() < IN_ALL && of_requester.count() < OF_REQUESTER
    }

    /// What is left for a request. What it had before is given back first: a renewal takes no more
    /// than a new one.
    fn room(
        &self,
        ask: &PinAsk,
        before: Option<&Grant>,
        standing: &Standing,
        limits: &Limits,
    ) -> Room {
        let others = self.grants.iter().filter(|grant| Some(*grant) != before);
        let (mut of_requester, mut of_all) = (0_u64, 0_u64);
        for grant in others {
            of_all = of_all.saturating_add(grant.max_bytes);
            if grant.identity == ask.identity {
                of_requester = of_requester.saturating_add(grant.max_bytes);
            }
        }
        Room {
            item_bytes: limits.item_bytes,
            requester_bytes: limits.requester_bytes.saturating_sub(of_requester),
            all_bytes: limits.total_bytes.saturating_sub(of_all),
            disk_bytes: standing.room_bytes,
        }
    }

    fn left(&self, identity: &IdentityId, limits: &Limits) -> u64 {
        let grants = self
            .grants
            .iter()
            .filter(|grant| grant.identity == *identity);
        let used = grants.fold(0_u64, |sum, grant| sum.saturating_add(grant.max_bytes));
        limits.requester_bytes.saturating_sub(used)
    }
}

/// The promises; every change is on disk when its call returns.
#[derive(Debug)]
pub struct PinRequests {
    state: Kept<State>,
    follows: Mutex<()>,
}

impl PinRequests {
    /// Reads the list; empty at the first start.
    ///
    /// # Errors
    /// When the file is damaged or can't be read.
    pub fn open(folder: &DataFolder) -> Result<Self, FolderError> {
        Kept::open(folder, FILE).map(|state| Self {
            state,
            follows: Mutex::default(),
        })
    }

    /// What is followed for promises changes in one place at a time.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.follows.lock().await
    }

    /// Whether a request may be looked at: cheap, before its proof is.
    ///
    /// # Errors
    /// When it may not.
    pub fn admit(
        &self,
        ask: &PinAsk,
        standing: &Standing,
        limits: &Limits,
    ) -> Result<(), PinRefusal> {
        self.state.lock().admit(ask, standing, limits)
    }

    /// Decides about a request and notes what was promised.
    ///
    /// # Errors
    /// When the list can't be written: then nothing was promised.
    pub fn decide(
        &self,
        folder: &DataFolder,
        ask: &PinAsk,
        standing: &Standing,
        limits: &Limits,
    ) -> Result<PinAnswer, FolderError> {
        let mut answer = PinAnswer::Refused(PinRefusal::Fault);
        self.state.change(folder, |state| {
            let decided = state.decide(ask, standing, limits);
            answer = decided.unwrap_or_else(PinAnswer::Refused);
        })?;
        Ok(answer)
    }

    /// Notes what was followed for a promise.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn set_joined(
        &self,
        folder: &DataFolder,
        identity: IdentityId,
        target: PinTarget,
        joined: Joined,
    ) -> Result<(), FolderError> {
        self.state.change(folder, |state| {
            let of = |grant: &&mut Grant| grant.identity == identity && grant.target == target;
            if let Some(grant) = state.grants.iter_mut().find(of) {
                grant.joined = Some(joined);
            }
        })
    }

    /// Takes out, and gives, what is over.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn take_over(&self, folder: &DataFolder, now_ms: u64) -> Result<Vec<Grant>, FolderError> {
        let mut over = Vec::new();
        self.state
            .change(folder, |state| over = state.forget_over(now_ms))?;
        Ok(over)
    }

    /// Takes out, and gives, every promise about a target: the node's person wants it no longer.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn drop_target(
        &self,
        folder: &DataFolder,
        target: PinTarget,
    ) -> Result<Vec<Grant>, FolderError> {
        let mut dropped = Vec::new();
        self.state.change(folder, |state| {
            dropped = state.drop_where(|grant| grant.target == target);
        })?;
        Ok(dropped)
    }

    /// The node's person follows something himself: it isn't left when promises end.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn own(&self, folder: &DataFolder, way: Joined) -> Result<(), FolderError> {
        self.state.change(folder, |state| state.own(way))
    }

    /// What was followed for promises that are no more, and is to be left.
    pub fn left(&self) -> BTreeSet<Joined> {
        self.state.lock().left.clone()
    }

    /// Something is followed no longer.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn forget_left(&self, folder: &DataFolder, left: Joined) -> Result<(), FolderError> {
        self.state.change(folder, |state| {
            state.left.remove(&left);
        })
    }

    /// All promises.
    pub fn all(&self) -> Vec<Grant> {
        self.state.lock().grants.clone()
    }

    /// Promises about a target.
    pub fn of(&self, target: PinTarget) -> Vec<Grant> {
        let mut all = self.all();
        all.retain(|grant| grant.target == target);
        all
    }

    /// What is followed for promises only, those included that just ended.
    pub fn joined(&self) -> BTreeSet<Joined> {
        let state = self.state.lock();
        let of_grants = state.grants.iter().filter_map(|grant| grant.joined);
        of_grants.chain(state.left.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests;
