//! What drives a pull: it asks the plan what to do, and has it done.

use std::{sync::Arc, time::Duration};

use iroh::EndpointAddr;
use tokio::{
    sync::Mutex as Turn,
    task::{JoinError, JoinSet},
    time::{Instant, sleep, sleep_until},
};

use super::{
    Pull, Sized, State,
    sources::{Errand, Origin},
    whole_groups,
};
use crate::{
    StoreError,
    fetch::{
        peer::PeerFault,
        plan::{Action, Groups, RequestId, SourceId, Trouble},
        raw::transfer_raw,
        source::ShareState,
        transfer::{TransferError, transfer},
    },
};

/// How long a pull keeps its sources when nobody wants anything: a seek is a new reader.
const LINGER: Duration = Duration::from_secs(5);

/// Time for the request that met the cause of a fault of the store to say so.
const FIRST_CAUSE: Duration = Duration::from_millis(100);

/// What is to be done next.
#[derive(Default)]
struct Step {
    actions: Vec<Action>,
    connect: Vec<EndpointAddr>,
    proves: bool,
    collects: bool,
    deadline: Option<Instant>,
    is_idle: bool,
    is_unused: bool,
    is_over: bool,
}

/// Drives a pull until nobody has wanted anything for a while.
pub(super) async fn run(pull: Arc<Pull>, turn: Arc<Turn<()>>) {
    let _turn = turn.lock_owned().await;
    let mut tasks = JoinSet::new();
    if let Err(error) = pull.begin().await {
        pull.store_failed(error);
    }
    if pull.inner.finder().is_some() {
        pull.lock().sources.search = Errand::Running;
        tasks.spawn(Arc::clone(&pull).search());
    }
    loop {
        let step = pull.step();
        pull.carry_out(step.actions, &mut tasks);
        for addr in step.connect {
            tasks.spawn(Arc::clone(&pull).connect(addr));
        }
        if step.proves {
            tasks.spawn(Arc::clone(&pull).prove());
        }
        if step.collects {
            tasks.spawn(Arc::clone(&pull).collect());
        }
        if step.is_over {
            break;
        }
        if (step.is_idle || step.is_unused)
            && let Err(error) = pull.rest().await
        {
            pull.store_failed(error);
        }
        if step.is_unused {
            if !pull.linger(&mut tasks).await {
                break;
            }
            continue;
        }
        let deadline = async {
            match step.deadline {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = pull.changed.notified() => {}
            () = deadline => {}
            Some(ended) = tasks.join_next() => pull.reap(ended),
        }
    }
    tasks.shutdown().await;
    if let Err(error) = pull.rest().await {
        tracing::warn!(target: "blocks::fetch", %error, "what a fetch took is measured later");
    }
    pull.say_goodbye();
}

impl Pull {
    /// What is here already.
    async fn begin(&self) -> Result<(), StoreError> {
        let held = self.blobs().held(self.blob).await?;
        let is_empty = crate::hash(self.blob) == iroh_blobs::Hash::EMPTY;
        let size_bytes = held
            .validated_size()
            .or(is_empty.then_some(0))
            .or_else(|| self.inner.sizes.of(self.blob));
        self.lock().held = held.ranges;
        if let Some(size_bytes) = size_bytes {
            let blob = self.blob;
            self.begin_plan(Sized { blob, size_bytes });
        }
        Ok(())
    }

    fn step(&self) -> Step {
        let now = self.now();
        let mut state = self.lock();
        let mut step = Step {
            is_over: state.is_closed,
            is_unused: state.participants == 0,
            ..Step::default()
        };
        if step.is_over {
            return step;
        }
        step.connect = state.sources.due();
        if state.outboard.is_none() && state.sources.needs_proof() {
            state.sources.proof = Errand::Running;
            step.proves = true;
        }
        let may_grow = state.sources.may_grow();
        let blob = self.blob;
        let is_hopeless = !may_grow && state.ready.is_none() && state.rested.is_none();
        if is_hopeless && state.whole > 0 && state.sources.may_be_blind() {
            state.sources.blind = Errand::Running;
            step.collects = true;
            return step;
        }
        match &mut state.ready {
            Some(ready) => {
                ready.plan.set_searching(may_grow);
                step.actions = ready.plan.poll(now);
                step.deadline = ready.plan.deadline(now).map(|at| self.began + at);
                step.is_idle = ready.plan.is_idle();
            }
            None if is_hopeless => {
                let report = state.faults_since(0);
                state.wants.fail_all(|| super::FetchError::NoPeer {
                    blob,
                    faults: report.clone(),
                });
            }
            None => {}
        }
        let State { ready, wants, .. } = &mut *state;
        if let Some(ready) = ready {
            wants.end_turns(ready.plan.held());
        }
        for action in &step.actions {
            if let Action::GiveUp { want } = action {
                let error = state.no_source(blob);
                state.wants.fail(*want, error);
                if let Some(ready) = &mut state.ready {
                    ready.plan.unwant(*want);
                }
            }
        }
        let shares = state.share_changes();
        drop(state);
        for (label, share) in shares {
            self.show(&label, share);
        }
        step
    }

    fn carry_out(self: &Arc<Self>, actions: Vec<Action>, tasks: &mut JoinSet<()>) {
        for action in actions {
            match action {
                Action::Start {
                    request,
                    source,
                    span,
                } => {
                    let pull = Arc::clone(self);
                    // Held until the request is on the list, or it could end before.
                    let mut state = self.lock();
                    let handle = tasks.spawn(pull.request(request, source, span));
                    state.sources.began(request, source, handle);
                }
                // The request learns of its new end with its next group.
                Action::Trim { .. } | Action::GiveUp { .. } => {}
                Action::Cancel { request } => {
                    let mut state = self.lock();
                    state.sources.cancel(request);
                    state.was_cut_off = true;
                }
                Action::Stalled { source } => {
                    let stall = self.lock().stall;
                    self.source_failed(source, PeerFault::Stalled(stall));
                }
                Action::Ban { source } => {
                    let mut state = self.lock();
                    let label = state.sources.entry(source).map(|e| e.label.clone());
                    if let Some(label) = label {
                        state.sources.liars.add(&label);
                        drop(state);
                        self.show(&label, ShareState::Banned);
                    }
                }
            }
        }
    }

    async fn request(self: Arc<Self>, request: RequestId, source: SourceId, span: Groups) {
        let done = self.ask(request, source, &span).await;
        if !self.note_ended(request, &done) {
            return; // cancelled
        }
        match done {
            Ok(()) => {}
            Err(TransferError::Source(fault)) => self.source_failed(source, fault),
            Err(TransferError::Local(error)) => {
                if !matches!(error, StoreError::DiskFull { .. }) {
                    // Several write at once: the one that met the cause says it, the others only
                    // that the store no longer takes anything.
                    sleep(FIRST_CAUSE).await;
                }
                self.store_failed(error);
            }
        }
        self.changed.notify_one();
    }

    /// False for a request that was cancelled.
    fn note_ended(&self, request: RequestId, done: &Result<(), TransferError>) -> bool {
        let now = self.now();
        let mut state = self.lock();
        if state.sources.ended(request).is_none() {
            return false;
        }
        // The store has everything now that this one brought.
        state.wants.notify_all();
        if let Some(ready) = &mut state.ready {
            match done {
                Ok(()) => ready.plan.ended(request, now),
                Err(TransferError::Source(fault)) => {
                    ready.plan.failed(request, trouble(fault), now);
                }
                Err(TransferError::Local(_)) => {}
            }
        }
        true
    }

    async fn ask(
        &self,
        request: RequestId,
        source: SourceId,
        span: &Groups,
    ) -> Result<(), TransferError> {
        let (origin, what, outboard, stall) = {
            let state = self.lock();
            let origin = state.sources.entry(source).map(|e| e.origin.clone());
            let what = state.ready.as_ref().map(|ready| ready.what);
            (origin, what, state.outboard.clone(), state.stall)
        };
        match (origin, what, outboard) {
            (Some(Origin::Peer(addr)), Some(what), _) => {
                let connection = self.inner.peers.connect(&addr).await?;
                transfer(self, connection, what, request, span, stall).await
            }
            (Some(Origin::Raw(raw)), Some(_), Some(outboard)) => {
                transfer_raw(self, &raw, &outboard, request, span, stall).await
            }
            _ => Ok(()),
        }
    }

    fn source_failed(&self, source: SourceId, fault: PeerFault) {
        let entry = {
            let state = self.lock();
            let entry = state.sources.entry(source);
            entry.map(|entry| (entry.label.clone(), entry.peer()))
        };
        let Some((label, peer)) = entry else {
            return;
        };
        if let Some(peer) = peer {
            self.drop_if_bad(peer, &fault);
        }
        self.fault((*label).clone(), peer, fault);
    }

    fn reap(&self, ended: Result<(), JoinError>) {
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(target: "blocks::fetch", %error, "a part of a fetch panicked");
            self.store_failed(StoreError::Stopped);
        }
    }

    /// Waits for somebody to want something; false when nobody does for long.
    async fn linger(&self, tasks: &mut JoinSet<()>) -> bool {
        {
            let mut state = self.lock();
            if state.participants == 0 && state.ready.is_some() {
                state.rested = state.ready.take();
            }
        }
        let mut over = std::pin::pin!(sleep(LINGER));
        loop {
            {
                let mut state = self.lock();
                if state.participants > 0 {
                    break;
                }
                if over.is_elapsed() || state.rested.is_none() {
                    state.is_closed = true;
                    return false;
                }
            }
            tokio::select! {
                () = &mut over => {}
                () = self.changed.notified() => {}
                Some(ended) = tasks.join_next() => self.reap(ended),
            }
        }
        if let Err(error) = self.resume().await {
            self.store_failed(error);
        }
        true
    }

    /// Goes on with what is held now: blobs may have been deleted meanwhile.
    async fn resume(&self) -> Result<(), StoreError> {
        let held = self.blobs().held(self.blob).await?;
        let mut state = self.lock();
        if let Some(mut ready) = state.rested.take() {
            ready.plan.resume(whole_groups(&held.ranges, ready.what));
            state.ready = Some(ready);
        }
        state.wants.notify_all();
        Ok(())
    }

    fn say_goodbye(&self) {
        let labels: Vec<_> = {
            let state = self.lock();
            let entries = state.sources.all();
            entries.map(|entry| entry.label.clone()).collect()
        };
        for label in labels {
            self.show(&label, ShareState::Gone);
        }
    }
}

fn trouble(fault: &PeerFault) -> Trouble {
    match fault {
        PeerFault::Lied(_) => Trouble::Lied,
        PeerFault::NotHeld => Trouble::NotHeld,
        PeerFault::Refused => Trouble::Final,
        PeerFault::Busy
        | PeerFault::Stalled(_)
        | PeerFault::Unreachable(_)
        | PeerFault::Broke(_) => Trouble::Passing,
    }
}
