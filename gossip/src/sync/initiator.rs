//! The side that opened the stream: works through its agenda, scope by scope.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use model::{EntryId, SpaceId};

use super::{
    Answer, Frame, PeerFault, SessionError,
    outline::{self, Authorities, digest_hash},
    reconcile::Reconcile,
    session::{Desk, News},
};
use crate::{Digest, Part, Replica, ReplicaError, Scope, bounds};

/// One item of the agenda.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    scope: Scope,
    /// Entries to fetch, when the scope is [`Scope::Entries`].
    ids: Vec<EntryId>,
    /// How many steps more may follow missing parents.
    depth: u8,
    /// Whether those are held already and only their payloads are wanted.
    again: bool,
    /// Whether the authority logs it rests on were synced before in this session.
    settled: bool,
    /// Entries that the peer was found to lack.
    lacked: u64,
}

impl Step {
    pub fn scope(scope: Scope) -> Self {
        Self {
            scope,
            ids: Vec::new(),
            depth: bounds::FETCH_DEPTH,
            again: false,
            settled: false,
            lacked: 0,
        }
    }

    pub fn fetch(ids: Vec<EntryId>, depth: u8) -> Self {
        Self {
            scope: Scope::Entries,
            ids,
            depth,
            again: false,
            settled: true,
            lacked: 0,
        }
    }
}

#[derive(Debug)]
enum Stage {
    /// The next step is to be taken.
    Between,
    /// `Open` is out.
    Opening(Step),
    /// The peer lists its authority logs.
    Comparing(Step, Authorities),
    /// Messages go back and forth, entries are moving; a reply waits while too much is still to ask.
    Working(Box<Work>),
    /// `Close` is out.
    Closing(Step),
    /// The agenda is empty.
    Finished,
}

#[derive(Debug)]
struct Work {
    step: Step,
    reconcile: Option<Reconcile>,
    /// The next message, held back while enough is known to ask for.
    reply: Option<Vec<u8>>,
    /// Whether the peer owes a `Reconcile`.
    awaits_message: bool,
    digests: Digests,
}

/// What is known of differing digests.
#[derive(Debug, Default)]
struct Digests {
    ours: BTreeMap<[u8; 32], Digest>,
    differing: BTreeMap<EntryId, Digest>,
    to_ask: Vec<[u8; 32]>,
    asked: usize,
}

/// State of the initiator.
#[derive(Debug)]
pub(super) struct Initiator {
    agenda: VecDeque<Step>,
    stage: Stage,
    tried: BTreeSet<SpaceId>,
    counted: (u64, u64),
}

impl Initiator {
    pub fn new(agenda: VecDeque<Step>) -> Self {
        Self {
            agenda,
            stage: Stage::Between,
            tried: BTreeSet::new(),
            counted: (0, 0),
        }
    }

    pub fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Finished)
    }

    /// Queues what the initiator says by itself: the next scope, the next message, the end of one.
    pub fn advance(&mut self, desk: &mut Desk, replica: &dyn Replica) -> Result<(), SessionError> {
        match &mut self.stage {
            Stage::Between => self.open_next(desk, replica),
            Stage::Working(work) => {
                work.advance(desk);
                if work.is_done(desk) {
                    let step = work.step.clone();
                    let differing = std::mem::take(&mut work.digests.differing);
                    desk.send(Frame::Close);
                    self.stage = Stage::Closing(step.clone());
                    self.plan_threads(&step.scope, differing, replica)?;
                }
                Ok(())
            }
            Stage::Opening(_) | Stage::Comparing(..) | Stage::Closing(_) | Stage::Finished => {
                Ok(())
            }
        }
    }

    pub fn receive(
        &mut self,
        frame: Frame,
        desk: &mut Desk,
        replica: &dyn Replica,
    ) -> Result<(), SessionError> {
        let out_of_turn = PeerFault::OutOfTurn { what: frame.name() };
        let stage = std::mem::replace(&mut self.stage, Stage::Finished);
        self.stage = match (frame, stage) {
            (Frame::Opened(answer), Stage::Opening(step)) => {
                self.opened(answer, step, desk, replica)?
            }
            (Frame::Authorities { list, more }, Stage::Comparing(step, mut theirs)) => {
                outline::take_listed(&mut theirs, list, more)?;
                if more {
                    Stage::Comparing(step, theirs)
                } else {
                    self.plan_authorities(step, &theirs, replica)?;
                    Stage::Between
                }
            }
            (Frame::Reconcile { message }, Stage::Working(mut work)) => {
                work.on_message(&message, desk)?;
                Stage::Working(work)
            }
            (Frame::Want { ids }, Stage::Working(work)) => {
                desk.transfer.on_want(ids, true)?;
                Stage::Working(work)
            }
            (Frame::Digests { digests }, Stage::Working(mut work)) => {
                work.digests.on_digests(digests)?;
                Stage::Working(work)
            }
            (Frame::Closed, Stage::Closing(step)) => {
                self.close(step, desk, replica)?;
                Stage::Between
            }
            _ => return Err(out_of_turn.into()),
        };
        Ok(())
    }

    fn open_next(&mut self, desk: &mut Desk, replica: &dyn Replica) -> Result<(), SessionError> {
        let Some(mut step) = self.agenda.pop_front() else {
            self.stage = Stage::Finished;
            return Ok(());
        };
        let authority = if step.settled {
            None
        } else {
            let ours = outline::authorities(&step.scope, replica)?;
            Some(outline::of_authorities(&ours))
        };
        desk.send(Frame::Open {
            set: outline::of_set(&step.scope, replica)?,
            scope: step.scope.clone(),
            authority,
        });
        // Asked for right behind the opening: one round trip less.
        let ids = std::mem::take(&mut step.ids);
        if step.again {
            desk.transfer.need_again(ids);
        } else {
            desk.transfer.need(ids);
        }
        self.stage = Stage::Opening(step);
        Ok(())
    }

    fn opened(
        &mut self,
        answer: Answer,
        step: Step,
        desk: &mut Desk,
        replica: &dyn Replica,
    ) -> Result<Stage, SessionError> {
        match answer {
            Answer::Refused => {
                self.done(step.scope, desk, Part::Refused, Vec::new());
                Ok(Stage::Between)
            }
            Answer::Authorities if step.settled => Err(PeerFault::OutOfTurn {
                what: "Authorities",
            }
            .into()),
            Answer::Authorities => Ok(Stage::Comparing(step, Authorities::new())),
            Answer::Same if !lacking_payloads(&step.scope, replica)?.is_empty() => {
                // The sets agree, but payloads are lacking: fetch those by id.
                desk.send_holdings(&step.scope, replica)?;
                let ids = lacking_payloads(&step.scope, replica)?;
                self.done(step.scope, desk, Part::Compared { lacked: 0 }, Vec::new());
                self.agenda.push_front(Step {
                    again: true,
                    ..Step::fetch(ids, 0)
                });
                Ok(Stage::Between)
            }
            Answer::Same => {
                desk.send_holdings(&step.scope, replica)?;
                self.done(step.scope, desk, Part::Compared { lacked: 0 }, Vec::new());
                Ok(Stage::Between)
            }
            Answer::Differs => {
                desk.send_holdings(&step.scope, replica)?;
                desk.transfer
                    .need_again(lacking_payloads(&step.scope, replica)?);
                Ok(Stage::Working(Box::new(Work::begin(step, desk, replica)?)))
            }
        }
    }

    /// Authority logs that differ go first, then the scope that rests on them.
    fn plan_authorities(
        &mut self,
        mut step: Step,
        theirs: &Authorities,
        replica: &dyn Replica,
    ) -> Result<(), SessionError> {
        let ours = outline::authorities(&step.scope, replica)?;
        let mut differing = BTreeSet::new();
        for space in ours.keys().chain(theirs.keys()) {
            let mine = match ours.get(space) {
                Some(fingerprint) => *fingerprint,
                None => replica.authority_fingerprint(*space)?,
            };
            // What the peer does not list it may hold all the same, through another thread.
            let differs = theirs.get(space) != Some(&mine);
            if differs && self.tried.insert(*space) {
                differing.insert(*space);
            }
        }
        step.settled = true;
        self.agenda.push_front(step);
        self.plan_first(differing);
        Ok(())
    }

    fn plan_first(&mut self, authorities: BTreeSet<SpaceId>) {
        let list: Vec<SpaceId> = authorities.into_iter().collect();
        for chunk in list.chunks(bounds::AUTHORITIES) {
            if self.agenda.len() < bounds::AGENDA {
                let scope = Scope::Authorities(chunk.to_vec());
                self.agenda.push_front(Step::scope(scope));
            }
        }
    }

    /// Threads that differ, newest first, several small ones at a time.
    fn plan_threads(
        &mut self,
        scope: &Scope,
        differing: BTreeMap<EntryId, Digest>,
        replica: &dyn Replica,
    ) -> Result<(), SessionError> {
        let Scope::Digests(space) = scope else {
            return Ok(());
        };
        let mut threads: Vec<Digest> = Vec::new();
        for digest in differing.into_values() {
            if replica.wants_thread(*space, digest.root)? {
                threads.push(digest);
            }
        }
        threads.sort_by_key(|digest| std::cmp::Reverse((digest.last_ms, digest.root)));
        let (mut roots, mut entries) = (Vec::new(), 0_u64);
        let mut groups = Vec::new();
        for digest in threads {
            let size = digest.entries.max(1);
            if !roots.is_empty()
                && (roots.len() == bounds::SCOPE_THREADS
                    || entries.saturating_add(size) > bounds::SCOPE_ENTRIES)
            {
                groups.push(std::mem::take(&mut roots));
                entries = 0;
            }
            roots.push(digest.root);
            entries = entries.saturating_add(size);
        }
        if !roots.is_empty() {
            groups.push(roots);
        }
        for mut roots in groups.into_iter().rev() {
            if self.agenda.len() < bounds::AGENDA {
                roots.sort_unstable();
                let space = *space;
                let scope = Scope::Threads { space, roots };
                self.agenda.push_front(Step::scope(scope));
            }
        }
        Ok(())
    }

    /// A scope is over: what pending entries still wait for is fetched, as deep as allowed.
    fn close(
        &mut self,
        step: Step,
        desk: &mut Desk,
        replica: &dyn Replica,
    ) -> Result<(), SessionError> {
        let missing: Vec<EntryId> = std::mem::take(&mut desk.transfer.missing)
            .into_iter()
            .collect();
        let missing = replica.lacking(&missing)?;
        let authorities: BTreeSet<SpaceId> = std::mem::take(&mut desk.transfer.authorities)
            .into_iter()
            .filter(|space| self.tried.insert(*space))
            .collect();
        let mut unresolved = Vec::new();
        if !missing.is_empty() {
            match step.depth.checked_sub(1) {
                Some(depth) => self.agenda.push_front(Step::fetch(missing, depth)),
                None => unresolved = missing,
            }
        }
        self.plan_first(authorities);
        let part = Part::Compared {
            lacked: step.lacked,
        };
        self.done(step.scope, desk, part, unresolved);
        Ok(())
    }

    fn done(&mut self, scope: Scope, desk: &mut Desk, part: Part, unresolved: Vec<EntryId>) {
        let (received, sent) = (desk.transfer.received, desk.transfer.sent);
        desk.news.push(News::Done {
            scope,
            received: received - self.counted.0,
            sent: sent - self.counted.1,
            part,
            unresolved,
        });
        self.counted = (received, sent);
    }
}

impl Work {
    fn begin(step: Step, desk: &mut Desk, replica: &dyn Replica) -> Result<Self, SessionError> {
        let mut work = Self {
            reconcile: None,
            reply: None,
            awaits_message: false,
            digests: Digests::default(),
            step,
        };
        match &work.step.scope {
            Scope::Entries => return Ok(work),
            Scope::Digests(space) => {
                let digests = replica.digests(*space)?;
                work.digests.ours = digests.into_iter().map(|d| (digest_hash(&d), d)).collect();
            }
            Scope::Authorities(_) | Scope::Threads { .. } => {}
        }
        let mut reconcile = Reconcile::new(outline::items(&work.step.scope, replica)?);
        desk.send(Frame::Reconcile {
            message: reconcile.initiate(),
        });
        work.awaits_message = true;
        work.reconcile = Some(reconcile);
        Ok(work)
    }

    fn on_message(&mut self, message: &[u8], desk: &mut Desk) -> Result<(), PeerFault> {
        let (true, Some(reconcile)) = (self.awaits_message, &mut self.reconcile) else {
            return Err(PeerFault::OutOfTurn { what: "Reconcile" });
        };
        let round = reconcile.advance(message)?;
        self.awaits_message = false;
        self.reply = round.reply;
        if matches!(self.step.scope, Scope::Digests(_)) {
            self.digests.on_round(&round.have, &round.need)
        } else {
            self.step.lacked += round.have.len() as u64;
            desk.transfer.offer(round.have);
            desk.transfer.need(round.need);
            Ok(())
        }
    }

    fn advance(&mut self, desk: &mut Desk) {
        if self.digests.asked == 0 && !self.digests.to_ask.is_empty() {
            let count = self.digests.to_ask.len().min(bounds::FRAME_DIGESTS);
            let hashes: Vec<_> = self.digests.to_ask.drain(..count).collect();
            self.digests.asked = hashes.len();
            desk.send(Frame::WantDigests { hashes });
        }
        if !desk.transfer.is_full()
            && let Some(message) = self.reply.take()
        {
            self.awaits_message = true;
            desk.send(Frame::Reconcile { message });
        }
    }

    fn is_done(&self, desk: &Desk) -> bool {
        self.reply.is_none()
            && !self.awaits_message
            && self.digests.asked == 0
            && self.digests.to_ask.is_empty()
            && desk.outbox.is_empty()
            && desk.transfer.is_idle()
    }
}

impl Digests {
    fn on_round(&mut self, have: &[EntryId], need: &[EntryId]) -> Result<(), PeerFault> {
        for hash in have {
            if let Some(digest) = self.ours.get(hash.as_bytes()) {
                self.differing.entry(digest.root).or_insert(*digest);
            }
        }
        self.to_ask.extend(need.iter().map(|hash| *hash.as_bytes()));
        if self.to_ask.len() > bounds::SET_ENTRIES {
            return Err(PeerFault::Flood { what: "digests" });
        }
        Ok(())
    }

    fn on_digests(&mut self, digests: Vec<Digest>) -> Result<(), PeerFault> {
        if self.asked == 0 || digests.len() > self.asked {
            return Err(PeerFault::OutOfTurn { what: "Digests" });
        }
        self.asked = 0;
        self.differing
            .extend(digests.into_iter().map(|digest| (digest.root, digest)));
        Ok(())
    }
}

/// Entries of a scope whose payload is still wanted.
fn lacking_payloads(scope: &Scope, replica: &dyn Replica) -> Result<Vec<EntryId>, SessionError> {
    let mut ids = Vec::new();
    let mut add = |of: &dyn Fn(usize) -> Result<Vec<EntryId>, ReplicaError>| {
        let room = bounds::PAYLOADS_AGAIN.saturating_sub(ids.len());
        if room > 0 {
            ids.extend(of(room)?.into_iter().take(room));
        }
        Ok::<(), ReplicaError>(())
    };
    match scope {
        Scope::Threads { roots, .. } => {
            for root in roots {
                add(&|room| replica.lacking_payloads(*root, room))?;
            }
        }
        Scope::Authorities(spaces) => {
            for space in spaces {
                add(&|room| replica.lacking_payloads_in(*space, room))?;
            }
        }
        Scope::Digests(space) => add(&|room| replica.lacking_payloads_in(*space, room))?,
        Scope::Entries => {}
    }
    Ok(ids)
}
