//! What a connection's readers and its driver share.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use tokio::sync::{Notify, oneshot, watch};

use super::{
    Have, LeechError,
    core::{Core, Event},
    reads::{ReadId, Taken},
};

/// Where a connection is.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// The peer hasn't yet said what it has.
    Opening,
    /// It did.
    Ready,
    /// The connection is over.
    Over(LeechError),
}

/// A connection's state, and how its parts wake each other. Nothing is waited for while it is
/// locked.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    phase: watch::Sender<Phase>,
    has: watch::Sender<Have>,
    /// For the driver: a reader has done something.
    touched: Notify,
}

#[derive(Debug)]
struct State {
    core: Core,
    wakers: BTreeMap<ReadId, Waker>,
    info: Vec<oneshot::Sender<Result<Vec<u8>, LeechError>>>,
    fault: Option<LeechError>,
}

/// What the driver has to do next.
#[derive(Debug)]
pub(super) struct Next {
    /// When to look at the clock.
    pub deadline: Instant,
    /// As many bytes would be asked for, had they been allowed.
    pub wanted: Option<u64>,
}

impl Shared {
    pub fn new(core: Core) -> Self {
        let has = watch::Sender::new(core.have().clone());
        Self {
            state: Mutex::new(State {
                core,
                wakers: BTreeMap::new(),
                info: Vec::new(),
                fault: None,
            }),
            phase: watch::Sender::new(Phase::Opening),
            has,
            touched: Notify::new(),
        }
    }

    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub fn has(&self) -> watch::Receiver<Have> {
        self.has.subscribe()
    }

    /// Waits until a reader has done something.
    pub async fn touched(&self) {
        self.touched.notified().await;
    }

    pub fn read(&self, range: Range<u64>) -> Result<ReadId, LeechError> {
        let mut state = self.lock();
        if let Some(fault) = &state.fault {
            return Err(fault.clone());
        }
        let id = state.core.read(range)?;
        self.touched.notify_one();
        Ok(id)
    }

    pub fn poll_read(
        &self,
        id: ReadId,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(u64, Bytes), LeechError>>> {
        let mut state = self.lock();
        match state.core.take(id) {
            Taken::Bytes(offset, bytes) => {
                // what was given makes room for more
                if state.core.is_window_open() {
                    self.touched.notify_one();
                }
                Poll::Ready(Some(Ok((offset, bytes))))
            }
            Taken::Done => Poll::Ready(None),
            Taken::Nothing => match &state.fault {
                Some(fault) => Poll::Ready(Some(Err(fault.clone()))),
                None => {
                    state.wakers.insert(id, cx.waker().clone());
                    Poll::Pending
                }
            },
        }
    }

    pub fn end_read(&self, id: ReadId) {
        let mut state = self.lock();
        state.wakers.remove(&id);
        state.core.end_read(id);
        self.touched.notify_one();
    }

    /// Wants the info dictionary.
    pub fn want_info(
        &self,
        now: Instant,
    ) -> Result<oneshot::Receiver<Result<Vec<u8>, LeechError>>, LeechError> {
        let mut state = self.lock();
        if let Some(fault) = &state.fault {
            return Err(fault.clone());
        }
        let (sender, receiver) = oneshot::channel();
        state.info.retain(|waiting| !waiting.is_closed());
        state.info.push(sender);
        state.core.want_info(now);
        self.touched.notify_one();
        Ok(receiver)
    }

    /// Takes what came from the peer.
    pub fn receive(&self, inbox: &mut BytesMut, now: Instant) -> Result<(), LeechError> {
        let mut state = self.lock();
        let received = state.core.receive(inbox, now);
        self.publish(state);
        received
    }

    /// Asks for as many bytes as are allowed (none: any), and gives what is to be sent to an empty
    /// outbox.
    ///
    /// # Errors
    /// When the connection is over.
    pub fn advance(
        &self,
        outbox: &mut BytesMut,
        mut allowed: Option<&mut u64>,
        now: Instant,
    ) -> Result<Next, LeechError> {
        let mut state = self.lock();
        if let Some(fault) = &state.fault {
            return Err(fault.clone());
        }
        let core = &mut state.core;
        let ticked = core.tick(now);
        let mut wanted = core.wants(now);
        while let Some(bytes) = wanted {
            if allowed.as_ref().is_some_and(|allowed| **allowed < bytes) {
                break;
            }
            if core.ask(now)
                && let Some(allowed) = &mut allowed
            {
                **allowed -= bytes;
            }
            wanted = core.wants(now);
        }
        core.settle(now);
        if outbox.is_empty() {
            std::mem::swap(outbox, core.outbox());
        }
        let deadline = core.deadline();
        self.publish(state);
        ticked.map(|()| Next { deadline, wanted })
    }

    /// Ends the connection, if it isn't over.
    pub fn end(&self, error: LeechError) {
        let mut state = self.lock();
        if state.fault.is_some() {
            return;
        }
        state.fault = Some(error.clone());
        let wakers = std::mem::take(&mut state.wakers);
        let info = std::mem::take(&mut state.info);
        drop(state);
        self.touched.notify_one();
        for waiting in info {
            // who doesn't wait any more needs no answer
            let _ = waiting.send(Err(error.clone()));
        }
        self.phase.send_replace(Phase::Over(error));
        wakers.into_values().for_each(Waker::wake);
    }

    /// Tells readers what happened.
    fn publish(&self, mut state: MutexGuard<'_, State>) {
        let mut wakers = Vec::new();
        let (mut is_ready, mut has, mut info) = (false, false, None);
        for event in state.core.events() {
            match event {
                Event::Ready => is_ready = true,
                Event::Have => has = true,
                Event::Bytes(id) => wakers.extend(state.wakers.remove(&id)),
                Event::Info(result) => info = Some(result),
            }
        }
        let have = has.then(|| state.core.have().clone());
        let waiting = match &info {
            Some(_) => std::mem::take(&mut state.info),
            None => Vec::new(),
        };
        state.info.retain(|waiting| !waiting.is_closed());
        if state.info.is_empty() {
            state.core.give_up_info();
        }
        drop(state);
        if let Some(have) = have {
            self.has.send_replace(have);
        }
        if is_ready {
            self.phase.send_if_modified(|phase| {
                let is_opening = matches!(phase, Phase::Opening);
                if is_opening {
                    *phase = Phase::Ready;
                }
                is_opening
            });
        }
        for (waiting, result) in waiting.into_iter().zip(info.iter().cycle()) {
            // who doesn't wait any more needs no answer
            let _ = waiting.send(result.clone());
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
