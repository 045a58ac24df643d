//! Whether other nodes hold the votes that are to be paid: only what a second reconciliation of the
//! thread showed counts, in which the peer took part and lacked nothing. The first may have begun
//! before the vote was there. Pure but for its last functions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use gossip::{Event, Part, Scope};
use model::{EndpointKey, EntryId};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until},
};

use crate::{clock::now_ms, core::Core};

/// Threads and peers of which the second reconciliation is waited for.
const PENDING: usize = 4_096;
/// All that came in this time are asked at once.
const PAUSE: Duration = Duration::from_secs(5);

/// First reconciliations, with the votes that were there when they ended.
#[derive(Debug, Default)]
pub(super) struct Holders {
    first: BTreeMap<(EntryId, EndpointKey), BTreeSet<EntryId>>,
}

/// What follows from a reconciliation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It says nothing.
    Nothing,
    /// Another one will show it.
    Again,
    /// The peer holds these votes.
    Holds(BTreeSet<EntryId>),
}

impl Holders {
    /// A thread was synced with a peer, who took this part in it; `votes` of it are offered and not
    /// yet known to be held by the peer.
    pub(super) fn synced(
        &mut self,
        root: EntryId,
        peer: EndpointKey,
        part: Part,
        votes: BTreeSet<EntryId>,
    ) -> Next {
        if votes.is_empty() {
            self.first.remove(&(root, peer));
            return Next::Nothing;
        }
        if part == Part::Refused {
            // It may follow the thread one day, not by being asked again.
            return Next::Nothing;
        }
        let lacks_nothing = part == Part::Compared { lacked: 0 };
        let known = self.first.get(&(root, peer));
        let held: BTreeSet<EntryId> = match known {
            Some(known) if lacks_nothing => known.intersection(&votes).copied().collect(),
            _ => BTreeSet::new(),
        };
        if held.len() == votes.len() {
            self.first.remove(&(root, peer));
            return Next::Holds(held);
        }
        if self.first.len() >= PENDING && known.is_none() {
            // Who was forgotten would be asked as if for the first time, without end.
            return Next::Nothing;
        }
        let is_first = self.first.insert((root, peer), votes).is_none();
        match held.is_empty() {
            false => Next::Holds(held),
            true if is_first || lacks_nothing => Next::Again,
            true => Next::Nothing,
        }
    }
}

/// When those that came are asked: the first at once, the others together after a pause.
#[derive(Debug, Default)]
struct Asking {
    last: Option<Instant>,
    due: Option<Instant>,
}

impl Asking {
    fn peer_came(&mut self, now: Instant) {
        let soonest = self.last.map_or(now, |last| now.max(last + PAUSE));
        self.due.get_or_insert(soonest);
    }

    fn asked(&mut self, now: Instant) {
        (self.last, self.due) = (Some(now), None);
    }
}

/// Listens to the exchange until the node stops.
pub(super) async fn follow(core: &Arc<Core>, mut events: Receiver<Event>) {
    let mut holders = Holders::default();
    let mut asking = Asking::default();
    loop {
        let due = asking.due;
        let event = tokio::select! {
            event = events.recv() => event,
            () = async { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {
                asking.asked(Instant::now());
                ask_again(core).await;
                continue;
            }
        };
        match event {
            Ok(Event::Synced {
                peer,
                scope: Scope::Threads { space, roots },
                part,
                ..
            }) => {
                for root in roots {
                    let votes = unheld(core, &root, &peer);
                    match holders.synced(root, peer, part, votes) {
                        Next::Nothing => {}
                        // The driver only ends when the node stops.
                        Next::Again => {
                            let _ = core.gossip.sync_now(Scope::thread(space, root)).await;
                        }
                        Next::Holds(votes) => note(core, votes, peer).await,
                    }
                }
            }
            Ok(Event::PeerUp(_)) => asking.peer_came(Instant::now()),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// Offered votes of a thread that a peer isn't known to hold.
fn unheld(core: &Core, root: &EntryId, peer: &EndpointKey) -> BTreeSet<EntryId> {
    core.payments.awaited.with(|state| {
        let offers = state.offers.iter();
        let unheld = offers.filter(|(_, one)| one.root == *root && one.needs_holder(peer));
        unheld.map(|(vote, _)| *vote).collect()
    })
}

/// Threads with votes that nobody else is known to hold are reconciled with whoever came.
async fn ask_again(core: &Core) {
    let threads: BTreeSet<_> = core.payments.awaited.with(|state| {
        let offers = state.offers.values();
        let now_ms = now_ms();
        let alone = offers.filter(|one| one.holders.is_empty() && one.is_looked_for(now_ms));
        alone.map(|offer| (offer.space, offer.root)).collect()
    });
    for (space, root) in threads {
        // The driver only ends when the node stops.
        let _ = core.gossip.sync_now(Scope::thread(space, root)).await;
    }
}

async fn note(core: &Arc<Core>, votes: BTreeSet<EntryId>, peer: EndpointKey) {
    let node = Arc::clone(core);
    let told = votes.clone();
    let noted = tokio::task::spawn_blocking(move || {
        node.payments
            .awaited
            .note_holder(&node.folder, &votes, peer)
    });
    match noted.await {
        Ok(Ok(())) => super::run::tell_offers(core, told).await,
        Ok(Err(error)) => tracing::warn!(%error, "cannot note who holds a vote"),
        Err(panic) => tracing::error!(%panic, "cannot note who holds a vote"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn peers_that_come_one_after_another_are_asked_together() {
        let mut asking = Asking::default();
        let start = Instant::now();
        asking.peer_came(start);
        assert_eq!(asking.due, Some(start));
        asking.asked(start);
        for number in 1..100 {
            asking.peer_came(start + PAUSE * number / 100);
            assert_eq!(asking.due, Some(start + PAUSE));
        }
        asking.asked(start + PAUSE);
        assert_eq!(asking.due, None);
        asking.peer_came(start + PAUSE * 3);
        assert_eq!(asking.due, Some(start + PAUSE * 3));
    }

    /// Compared, and nothing was lacking.
    const ALL: Part = Part::Compared { lacked: 0 };
    const SOME: Part = Part::Compared { lacked: 1 };

    #[test]
    fn a_vote_is_held_once_a_second_reconciliation_had_nothing_to_send() {
        let root = EntryId::of(b"root");
        let peer = EndpointKey::from_bytes([1; 32]);
        let vote = BTreeSet::from([EntryId::of(b"vote")]);
        let mut holders = Holders::default();
        assert_eq!(holders.synced(root, peer, ALL, vote.clone()), Next::Again);
        assert_eq!(
            holders.synced(root, peer, SOME, vote.clone()),
            Next::Nothing
        );
        assert_eq!(
            holders.synced(root, peer, ALL, vote.clone()),
            Next::Holds(vote.clone())
        );
        assert_eq!(
            holders.synced(root, peer, ALL, BTreeSet::new()),
            Next::Nothing
        );
        assert_eq!(holders.synced(root, peer, SOME, vote), Next::Again);
    }

    #[test]
    fn who_refuses_or_takes_nothing_or_was_not_compared_holds_nothing() {
        let root = EntryId::of(b"root");
        let vote = BTreeSet::from([EntryId::of(b"vote")]);
        let mut holders = Holders::default();
        for (number, part, first) in [
            (1, Part::Refused, Next::Nothing),
            (2, SOME, Next::Again),
            (3, Part::Opened, Next::Again),
        ] {
            let peer = EndpointKey::from_bytes([number; 32]);
            assert_eq!(
                holders.synced(root, peer, part, vote.clone()),
                first,
                "{part:?}"
            );
            for _ in 0..3 {
                // Nor is it asked without end.
                let next = holders.synced(root, peer, part, vote.clone());
                assert_eq!(next, Next::Nothing, "{part:?}");
            }
        }
        // A refusal is no first reconciliation.
        let peer = EndpointKey::from_bytes([1; 32]);
        assert_eq!(holders.synced(root, peer, ALL, vote.clone()), Next::Again);
        assert_eq!(
            holders.synced(root, peer, ALL, vote.clone()),
            Next::Holds(vote)
        );
    }

    #[test]
    fn a_vote_that_came_between_waits_for_the_next_one() {
        let root = EntryId::of(b"root");
        let peer = EndpointKey::from_bytes([1; 32]);
        let (old, new) = (EntryId::of(b"old"), EntryId::of(b"new"));
        let mut holders = Holders::default();
        assert_eq!(holders.synced(root, peer, ALL, [old].into()), Next::Again);
        let both = BTreeSet::from([old, new]);
        assert_eq!(
            holders.synced(root, peer, ALL, both),
            Next::Holds([old].into())
        );
        assert_eq!(
            holders.synced(root, peer, ALL, [new].into()),
            Next::Holds([new].into())
        );
    }
}
