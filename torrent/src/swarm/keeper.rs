//! What goes on by itself: turns, and files that change.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc},
    time::{MissedTickBehavior, interval},
};

use super::{content::Changed, engine::CHECKS, entry::Entry, shared::Shared};
use crate::InfoHash;

/// Without a word, turns are looked at this often.
const LOOK: Duration = Duration::from_secs(5);

/// Works until the session ends.
pub(super) async fn keep(shared: Arc<Shared>, mut changed: mpsc::Receiver<Changed>) {
    let checks = Arc::new(Semaphore::new(CHECKS));
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.cancel.cancelled() => return,
            _ = tick.tick() => shared.note_demand(),
            () = shared.look.notified() => {}
            Some(changed) = changed.recv() => shared.look_again(changed).await,
        }
        shared.take_turn(&checks).await;
    }
}

impl Shared {
    /// What serves bytes stays.
    fn note_demand(&self) {
        let now_ms = self.now_ms();
        let mut state = self.lock();
        let seeds = state.seeds.values();
        let busy = seeds.filter(|entry| entry.is_live() && entry.has_served());
        let busy: Vec<InfoHash> = busy.map(|entry| entry.infohash).collect();
        for infohash in busy {
            state.rotation.demand(infohash, now_ms);
        }
    }

    /// A file is not what it was: the torrent goes out at once, and comes back only when all its
    /// bytes have been checked.
    async fn look_again(self: &Arc<Self>, changed: Changed) {
        let entry = self.lock().seeds.get(&changed.infohash).cloned();
        let Some(entry) = entry.filter(|entry| entry.is_of(changed)) else {
            return;
        };
        self.leave(&entry).await;
        let now_ms = self.now_ms();
        let mut state = self.lock();
        state.rotation.is_out(changed.infohash, now_ms);
        state.rotation.demand(changed.infohash, now_ms);
    }

    /// Those whose turn is over go, then others come.
    pub(super) async fn take_turn(self: &Arc<Self>, checks: &Arc<Semaphore>) {
        let (leave, enter) = self.decide();
        for entry in leave {
            self.leave(&entry).await;
        }
        for entry in enter {
            let (shared, checks) = (Arc::clone(self), Arc::clone(checks));
            self.tasks.spawn(async move {
                let come = async {
                    let _permit = checks.acquire().await;
                    shared.come(&entry).await;
                };
                shared.cancel.run_until_cancelled(come).await;
            });
        }
    }

    pub(super) async fn come(self: &Arc<Self>, entry: &Arc<Entry>) {
        // whoever wants it asks again; what can't be served said so
        if self.enter(entry).await.is_err() {
            let now_ms = self.now_ms();
            self.lock().rotation.is_out(entry.infohash, now_ms);
        }
    }

    /// Who goes, and who comes.
    pub(super) fn decide(&self) -> (Vec<Arc<Entry>>, Vec<Arc<Entry>>) {
        let (now_ms, is_paused) = (self.now_ms(), *self.is_paused.borrow());
        let mut state = self.lock();
        let turn = if is_paused {
            state.rotation.clear(now_ms)
        } else {
            state.rotation.turn(now_ms)
        };
        let entries = |infohashes: Vec<InfoHash>| {
            let entries = infohashes.iter();
            let entries = entries.filter_map(|infohash| state.seeds.get(infohash));
            entries.cloned().collect()
        };
        (entries(turn.leave), entries(turn.enter))
    }
}
