//! Those who wait for one direction of a cap.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    Class,
    bucket::{Bucket, Size, Waiter},
};

/// A cap on one direction.
#[derive(Debug)]
pub(super) struct Line {
    began: Instant,
    state: Mutex<State>,
    /// Someone began to wait, or the rate changed.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    bucket: Bucket,
    waiting: BTreeMap<Waiter, oneshot::Sender<()>>,
    next: Waiter,
}

impl Line {
    pub fn new(rate_bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            state: Mutex::new(State {
                bucket: Bucket::new(rate_bytes, 0),
                waiting: BTreeMap::new(),
                next: 0,
            }),
            changed: Notify::new(),
        })
    }

    /// Asks; what comes back is over when the bytes may go.
    pub fn ask(self: &Arc<Self>, class: Class, size: Size, bytes: u64) -> Turn {
        let now_us = self.now_us();
        let mut state = self.state();
        let waiter = state.next;
        state.next += 1;
        if state.bucket.ask(waiter, class, size, bytes, now_us) {
            return Turn(None);
        }
        let (due, is_due) = oneshot::channel();
        state.waiting.insert(waiter, due);
        drop(state);
        self.changed.notify_one();
        Turn(Some(Waiting {
            line: Arc::clone(self),
            waiter,
            is_due,
        }))
    }

    pub fn note(&self, bytes: u64) {
        let now_us = self.now_us();
        self.state().bucket.note(bytes, now_us);
    }

    pub fn give_back(&self, bytes: u64) {
        self.state().bucket.give_back(bytes);
        self.changed.notify_one();
    }

    pub fn set_rate(&self, rate_bytes: u64) {
        let now_us = self.now_us();
        self.state().bucket.set_rate(rate_bytes, now_us);
        self.changed.notify_one();
    }

    /// Classes in which someone waits.
    pub fn waiting(&self) -> u64 {
        self.state().bucket.classes_waiting()
    }

    /// Lets those go who may; runs until dropped.
    pub async fn run(&self) {
        loop {
            let pause = self.let_go();
            let changed = self.changed.notified();
            match pause {
                Some(pause) => tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    fn let_go(&self) -> Option<Duration> {
        let now_us = self.now_us();
        let mut state = self.state();
        for waiter in state.bucket.due(now_us) {
            if let Some(due) = state.waiting.remove(&waiter) {
                // Who doesn't listen any more leaves by itself.
                due.send(()).ok();
            }
        }
        state.bucket.pause_us(now_us).map(Duration::from_micros)
    }

    fn leave(&self, waiter: Waiter) {
        let mut state = self.state();
        if state.waiting.remove(&waiter).is_some() {
            state.bucket.leave(waiter);
        }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the line, left when dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<Waiting>);

#[derive(Debug)]
struct Waiting {
    line: Arc<Line>,
    waiter: Waiter,
    is_due: oneshot::Receiver<()>,
}

impl Turn {
    /// Without a cap it is always one's turn.
    pub fn now() -> Self {
        Self(None)
    }
}

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(waiting) = &mut self.0 {
            // The line lives as long as its turns: there is no error to tell apart.
            ready!(Pin::new(&mut waiting.is_due).poll(cx)).ok();
            self.0 = None;
        }
        Poll::Ready(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.line.leave(self.waiter);
    }
}
