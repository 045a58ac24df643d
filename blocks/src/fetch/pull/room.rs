//! Room for what a pull fetches: promised before anything is asked for, and only once, however
//! many want it.

use crate::{
    Keep, StoreError,
    fetch::{FetchError, plan::Spans},
    files::Write,
    quota::{Reservation, stored_bytes},
    store::Blobs,
};

use super::{Pull, Sized};

/// What is promised to a pull since it last rested.
#[derive(Debug, Default)]
pub(super) struct Room {
    promised: Option<Promised>,
    is_tagged: bool,
}

#[derive(Debug)]
struct Promised {
    reservation: Reservation,
    /// What it is for.
    covered: Spans,
    /// Bytes that were held when it was given.
    held_bytes: u64,
    write: Write,
}

impl Room {
    /// Promises room for those of `spans` that aren't held.
    pub(super) async fn cover(
        &mut self,
        pull: &Pull,
        what: Sized,
        spans: &Spans,
    ) -> Result<(), FetchError> {
        let mut new = Spans::default();
        {
            let state = pull.lock();
            let held = state.ready.as_ref().map(|ready| ready.plan.held());
            for run in spans.all() {
                let gaps: Vec<_> = match held {
                    Some(held) => held.gaps(&run).collect(),
                    None => vec![run],
                };
                gaps.into_iter().for_each(|gap| new.insert(gap));
            }
        }
        if let Some(promised) = &self.promised {
            let covered: Vec<_> = promised.covered.all().collect();
            covered.into_iter().for_each(|run| new.remove(run));
        }
        if new.is_empty() {
            return Ok(());
        }
        let bytes = stored_bytes(bytes_of(&new, what));
        let blobs = pull.blobs();
        match &mut self.promised {
            Some(promised) => {
                blobs.grow(&mut promised.reservation, bytes).await?;
                new.all().for_each(|run| promised.covered.insert(run));
            }
            None => {
                let reservation = blobs.reserve(bytes).await?;
                self.promised = Some(Promised {
                    reservation,
                    covered: new,
                    held_bytes: blobs.held(pull.blob).await?.total_bytes(),
                    write: blobs.writes().begin(),
                });
            }
        }
        if !self.is_tagged {
            // From here on, what arrives is kept across a crash.
            blobs.keep(pull.blob, &Keep::Partial).await?;
            self.is_tagged = true;
        }
        Ok(())
    }

    /// Nothing is asked for at present: what came is charged, the rest given back.
    pub(super) async fn rest(&mut self, pull: &Pull, is_whole: bool) -> Result<(), StoreError> {
        let Some(promised) = self.promised.take() else {
            return Ok(());
        };
        let blobs: &Blobs = pull.blobs();
        if !is_whole {
            blobs.files().drop_ballast_if_full();
        }
        if let Ok(after) = blobs.held(pull.blob).await {
            let new_bytes = after.total_bytes().saturating_sub(promised.held_bytes);
            promised.reservation.commit(stored_bytes(new_bytes));
        }
        if is_whole {
            promised.write.succeeded();
        } else {
            drop(promised.write);
            blobs.tidy_after_failure(pull.blob).await;
        }
        Ok(())
    }

    pub(super) fn is_resting(&self) -> bool {
        self.promised.is_none()
    }
}

/// Bytes of groups.
pub(super) fn bytes_of(spans: &Spans, what: Sized) -> u64 {
    spans
        .all()
        .map(|run| what.bytes(&run))
        .map(|bytes| bytes.end - bytes.start)
        .sum()
}
