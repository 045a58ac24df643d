//! Peers, and what sessions with them bring.

use model::{EndpointKey, SpaceId};

use super::{CHASE_MOST_MS, CHASE_MS, Input, Node, Output, Peer};
use crate::{
    Event, Follow, Missing, Replica, ReplicaError, Scope, bounds,
    schedule::{Ending, Plan, scope_of},
    sync::News,
};

/// Of two neighbours the one with the larger key waits this long, so that one session does for both,
/// milliseconds.
const POLITE_MS: u64 = 1_500;

impl Node {
    /// Peers that are up.
    pub fn peers_up(&self) -> Vec<EndpointKey> {
        let up = self.peers.iter().filter(|(_, peer)| peer.up);
        up.map(|(key, _)| *key).collect()
    }

    /// Whether a peer may hear of a space: always, unless the space is unlisted.
    pub(super) fn may_tell(&self, space: SpaceId, peer: EndpointKey) -> bool {
        let knowing = self.unlisted.get(&space);
        knowing.is_none_or(|knowing| knowing.contains(&peer))
    }

    /// Peers that know of a space.
    pub(super) fn trust(&mut self, space: SpaceId, peers: &[EndpointKey]) {
        let knowing = self.unlisted.entry(space).or_default();
        let room = bounds::PEERS.saturating_sub(knowing.len());
        knowing.extend(peers.iter().take(room));
    }

    /// Plans a session, unless the peer is banned, may not hear of it, or is this node.
    pub(super) fn plan(&mut self, peer: EndpointKey, plan: Plan, due_ms: u64) {
        let told = match &plan {
            Plan::Scope(Scope::Authorities(spaces)) => {
                spaces.iter().all(|space| self.may_tell(*space, peer))
            }
            Plan::Scope(Scope::Threads { space, .. } | Scope::Digests(space)) => {
                self.may_tell(*space, peer)
            }
            Plan::Scope(Scope::Entries) => true,
            Plan::Fetch { subject, .. } => self.may_tell(subject.space(), peer),
        };
        if told && peer != self.me && !self.bans.contains_key(&peer) {
            self.schedule.add(peer, plan, due_ms);
        }
    }

    /// A peer to try for everything.
    pub(super) fn meet(&mut self, peer: EndpointKey, now_ms: u64) {
        if peer == self.me || self.bans.contains_key(&peer) {
            return;
        }
        self.remember(peer);
        for subject in self.follows.clone() {
            self.plan(peer, Plan::Scope(scope_of(&subject)), now_ms);
        }
        for subject in self.topics.subjects().collect::<Vec<_>>() {
            if !self.may_tell(subject.space(), peer) {
                continue;
            }
            let near = self.topics.neighbors(&subject);
            if near.is_empty() || (matches!(subject, Follow::Space(_)) && near.len() < 5) {
                let topic = crate::live::topic_of(&subject);
                let peers = vec![peer];
                self.outputs.push(Output::Invite { topic, peers });
            }
        }
    }

    fn remember(&mut self, peer: EndpointKey) {
        if self.peers.len() >= bounds::PEERS && !self.peers.contains_key(&peer) {
            let oldest = self
                .peers
                .iter()
                .filter(|(_, peer)| !peer.up)
                .min_by_key(|(_, peer)| peer.seen_ms)
                .map(|(key, _)| *key);
            match oldest {
                Some(oldest) => self.peers.remove(&oldest),
                None => return,
            };
        }
        self.peers.entry(peer).or_default();
    }

    /// A peer was heard of: it is up.
    pub(super) fn heard(&mut self, peer: EndpointKey, now_ms: u64) {
        if peer == self.me {
            return;
        }
        self.remember(peer);
        if let Some(state) = self.peers.get_mut(&peer) {
            let was_up = std::mem::replace(&mut state.up, true);
            state.seen_ms = state.seen_ms.max(now_ms);
            if !was_up {
                self.outputs.push(Output::Event(Event::PeerUp(peer)));
            }
        }
    }

    /// Whether a peer is still up, now that a topic or session with it is gone.
    pub(super) fn weigh(&mut self, peer: EndpointKey) {
        if self.topics.shared_with(peer) > 0 {
            return;
        }
        if let Some(Peer { up, .. }) = self.peers.get_mut(&peer)
            && std::mem::replace(up, false)
        {
            self.outputs.push(Output::Event(Event::PeerDown(peer)));
        }
    }

    pub(super) fn neighbor(&mut self, topic: [u8; 32], peer: EndpointKey, up: bool, now_ms: u64) {
        let Some(subject) = self.topics.neighbor(topic, peer, up) else {
            return;
        };
        if !up {
            self.weigh(peer);
            return;
        }
        self.heard(peer, now_ms);
        if self.unlisted.contains_key(&subject.space()) {
            self.trust(subject.space(), &[peer]);
        }
        let wait_ms = if self.me < peer {
            0
        } else {
            POLITE_MS + self.schedule.spread(POLITE_MS)
        };
        // A thread rides along when its space is synced with the same peer.
        let followed = self.follows.contains(&subject);
        let alone = !self.follows.contains(&Follow::Space(subject.space()));
        if followed || alone {
            self.plan(peer, Plan::Scope(scope_of(&subject)), now_ms + wait_ms);
        }
    }

    /// Messages were lost: reconcile with someone near.
    pub(super) fn check(&mut self, topic: [u8; 32], now_ms: u64) {
        if let Some(subject) = self.topics.subject(topic) {
            self.check_with_someone(&subject, now_ms);
        }
    }

    /// Reconciles a subject with one of those near on its topic, or with any that is up or known.
    pub(super) fn check_with_someone(&mut self, subject: &Follow, now_ms: u64) {
        let near: Vec<EndpointKey> = self.topics.neighbors(subject).into_iter().collect();
        let tell = |peer: &EndpointKey| self.may_tell(subject.space(), *peer);
        let known: Vec<EndpointKey> = self.peers.keys().copied().filter(tell).collect();
        let up: Vec<EndpointKey> = self.peers_up().into_iter().filter(tell).collect();
        let someone = [near, up, known]
            .iter()
            .find_map(|list| self.schedule.pick(list));
        if let Some(peer) = someone {
            self.plan(peer, Plan::Scope(scope_of(subject)), now_ms);
        }
    }

    /// The periodic check: now with someone near, now with anyone known, who is also invited to the
    /// topic. So two halves of a topic that a partition left behind find each other again.
    pub(super) fn check_around(&mut self, subject: &Follow, now_ms: u64) {
        self.check_with_someone(subject, now_ms);
        let near = self.topics.neighbors(subject);
        let mut far: Vec<EndpointKey> = self.peers.keys().copied().collect();
        far.retain(|peer| !near.contains(peer) && self.may_tell(subject.space(), *peer));
        if let Some(peer) = self.schedule.pick(&far) {
            self.plan(peer, Plan::Scope(scope_of(subject)), now_ms);
            if self.topics.contains(subject) {
                let topic = crate::live::topic_of(subject);
                let peers = vec![peer];
                self.outputs.push(Output::Invite { topic, peers });
            }
        }
    }

    pub(super) fn news(
        &mut self,
        session: Option<u64>,
        peer: EndpointKey,
        news: Vec<News>,
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<(), ReplicaError> {
        self.heard(peer, now_ms);
        for item in news {
            match item {
                News::Entries(ids) => {
                    if let Some(session) = session {
                        self.schedule.note_news(session);
                    }
                    self.outputs
                        .push(Output::Event(Event::NewEntries { peer, ids }));
                }
                News::Holding(bytes) => {
                    self.outputs
                        .push(Output::Event(Event::HoldingReceived(bytes)));
                }
                News::Clock(by_ms) => {
                    if by_ms.unsigned_abs() > model::limits::FUTURE_SIGN_MS {
                        self.outputs
                            .push(Output::Event(Event::ClockDiffers { peer, by_ms }));
                    }
                }
                News::Done {
                    scope,
                    received,
                    sent,
                    part,
                    unresolved: _,
                } => {
                    self.note_knowing(&scope, peer);
                    if received > 0 {
                        self.changed_by_sync(&scope, now_ms, replica)?;
                    }
                    if session.is_some() {
                        self.outputs.push(Output::Event(Event::Synced {
                            peer,
                            scope,
                            received,
                            sent,
                            part,
                        }));
                    }
                }
            }
        }
        Ok(())
    }

    /// Who opened or answered a scope of an unlisted space knows of it.
    fn note_knowing(&mut self, scope: &Scope, peer: EndpointKey) {
        if let Scope::Threads { space, .. } | Scope::Digests(space) = scope
            && self.unlisted.contains_key(space)
        {
            self.trust(*space, &[peer]);
        }
    }

    /// Threads grew by a session: others may lack the same.
    fn changed_by_sync(
        &mut self,
        scope: &Scope,
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<(), ReplicaError> {
        let Scope::Threads { space, roots } = scope else {
            return Ok(());
        };
        for root in roots {
            let Some(digest) = replica.digest(*root)? else {
                continue;
            };
            if !replica.wants_thread(*space, *root)? {
                continue;
            }
            self.note_change(*space, *root, now_ms);
            let active_ms = digest.last_ms.min(now_ms);
            if active_ms + super::LIVE_AGE_MS >= now_ms {
                let root = *root;
                self.touch(
                    Follow::Thread {
                        space: *space,
                        root,
                    },
                    active_ms,
                );
            }
        }
        self.schedule.quicken(&Follow::Space(*space), now_ms);
        Ok(())
    }

    pub(super) fn ended(
        &mut self,
        session: u64,
        peer: EndpointKey,
        ending: Ending,
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<(), ReplicaError> {
        let attempts = self.schedule.attempts(session);
        let Some((plan, _)) = self.schedule.end(session, &ending, now_ms) else {
            return Ok(());
        };
        match ending {
            Ending::Lied(reason) => self.ban(peer, reason, now_ms),
            Ending::Failed => self.weigh(peer),
            Ending::Done => {
                self.heard(peer, now_ms);
                if let Plan::Fetch { ids, subject } = plan {
                    self.after_fetch(peer, &ids, subject, attempts, now_ms, replica)?;
                }
            }
        }
        Ok(())
    }

    /// The deliverer may not have had it yet itself: ask twice more, then reconcile.
    fn after_fetch(
        &mut self,
        peer: EndpointKey,
        ids: &[model::EntryId],
        subject: Follow,
        attempts: u32,
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<(), ReplicaError> {
        let ids = replica.lacking(ids)?;
        if ids.is_empty() {
            return Ok(());
        }
        if attempts < 2 {
            let plan = Plan::Fetch { ids, subject };
            self.schedule.retry(peer, plan, attempts, now_ms);
        } else {
            self.check_with_someone(&subject, now_ms);
        }
        Ok(())
    }

    /// Asks someone for what pending entries wait for: who delivered those may not have had it.
    pub(super) fn chase_missing(
        &mut self,
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<(), ReplicaError> {
        if now_ms < self.chase.due_ms {
            return Ok(());
        }
        let mut missing = replica.missing(bounds::AUTHORITIES)?;
        missing.authorities.sort_unstable();
        missing.authorities.dedup();
        missing.authorities.truncate(bounds::AUTHORITIES);
        let same = missing == self.chase.missing;
        self.chase.wait_ms = if same && missing != Missing::default() {
            (self.chase.wait_ms * 2).clamp(CHASE_MS, CHASE_MOST_MS)
        } else {
            CHASE_MS
        };
        self.chase.due_ms =
            now_ms + self.chase.wait_ms / 2 + self.schedule.spread(self.chase.wait_ms);
        self.chase.missing = missing.clone();
        let up = self.peers_up();
        let (Some(peer), Some(subject)) = (self.schedule.pick(&up), self.follows.first().copied())
        else {
            return Ok(());
        };
        if !missing.authorities.is_empty() {
            let scope = Scope::Authorities(missing.authorities);
            self.plan(peer, Plan::Scope(scope), now_ms);
        }
        if !missing.entries.is_empty() {
            let ids = missing.entries;
            self.plan(peer, Plan::Fetch { ids, subject }, now_ms);
        }
        Ok(())
    }

    /// Remembers a liar: no more sessions with it for a while.
    pub(super) fn ban(&mut self, peer: EndpointKey, reason: String, now_ms: u64) {
        let until_ms = now_ms + bounds::BAN_MS;
        if self.bans.len() >= bounds::BANS
            && let Some(first) = self.bans.iter().min_by_key(|(_, until)| **until)
        {
            let peer = *first.0;
            self.bans.remove(&peer);
        }
        self.bans.insert(peer, until_ms);
        self.schedule.drop_peer(peer);
        self.peers.remove(&peer);
        self.outputs.push(Output::Ban { peer, until_ms });
        self.outputs
            .push(Output::Event(Event::Banned { peer, reason }));
    }
}

impl Input {
    /// Whether it is bulk from topics, which may wait for others of its kind.
    pub fn is_gossip(&self) -> bool {
        matches!(self, Self::Received { .. })
    }
}
