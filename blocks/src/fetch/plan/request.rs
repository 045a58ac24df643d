//! What sources were asked for, and what they still owe.

use std::time::Duration;

use super::{Action, Groups, Plan, Reader, RequestId, SourceId, Spans};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Read,
    Bulk,
    Hedge,
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) source: SourceId,
    pub(super) start: u64,
    /// The next group that is to come.
    pub(super) at: u64,
    pub(super) end: u64,
    pub(super) asked: Duration,
    pub(super) purpose: Purpose,
}

impl Request {
    pub(super) fn rest(&self) -> Groups {
        self.at..self.end
    }

    pub(super) fn owed(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }

    pub(super) fn has_begun(&self) -> bool {
        self.at > self.start
    }
}

impl Plan {
    /// What nobody wants any more is cancelled; what no reader wants soon is no longer urgent.
    pub(super) fn cull(&mut self) {
        let mut useless = Vec::new();
        for (id, request) in &mut self.requests {
            let rest = request.rest();
            let is_ahead = |reader: &Reader| {
                let ahead = reader.ahead();
                ahead.start < rest.end && rest.start < ahead.end
            };
            if self.readers.values().any(is_ahead) {
                continue;
            }
            if self.missing.runs(&rest).next().is_some() {
                request.purpose = Purpose::Bulk;
            } else {
                useless.push(*id);
            }
        }
        for id in useless {
            self.cancel(id);
        }
    }

    pub(super) fn start(&mut self, id: SourceId, span: Groups, purpose: Purpose, now: Duration) {
        let Some(source) = self.sources.get_mut(&id) else {
            return;
        };
        source.asked(span.end - span.start, now);
        self.next_request += 1;
        let request = RequestId(self.next_request);
        self.taken.insert(span.clone());
        self.may_overlap |=
            purpose == Purpose::Hedge || self.sources.values().any(|source| source.is_silent);
        self.requests.insert(
            request,
            Request {
                source: id,
                start: span.start,
                at: span.start,
                end: span.end,
                asked: now,
                purpose,
            },
        );
        self.actions.push(Action::Start {
            request,
            source: id,
            span,
        });
    }

    pub(super) fn trim(&mut self, id: RequestId, end: u64) {
        let Some(request) = self.requests.get_mut(&id) else {
            return;
        };
        if end <= request.at {
            return self.cancel(id);
        }
        let cut = request.end.saturating_sub(end);
        if cut == 0 {
            return;
        }
        request.end -= cut;
        let end = request.end;
        if let Some(source) = self.sources.get_mut(&request.source) {
            source.owed = source.owed.saturating_sub(cut);
        }
        self.taken.remove(end..end + cut);
        self.actions.push(Action::Trim { request: id, end });
    }

    pub(super) fn cancel(&mut self, id: RequestId) {
        if self.forget(id).is_some() {
            self.actions.push(Action::Cancel { request: id });
        }
    }

    pub(super) fn cancel_all(&mut self, source: SourceId) {
        let requests = self.requests.iter();
        let of_source = requests.filter(|(_, request)| request.source == source);
        let of_source: Vec<RequestId> = of_source.map(|(id, _)| *id).collect();
        for id in of_source {
            self.cancel(id);
        }
    }

    /// Others that were to bring this group next are too late, and so are they for the next ones.
    pub(super) fn cancel_overtaken(&mut self, group: u64) {
        let requests = self.requests.iter();
        let overtaken = requests.filter(|(_, request)| request.at == group);
        let overtaken: Vec<RequestId> = overtaken.map(|(id, _)| *id).collect();
        for id in overtaken {
            self.cancel(id);
        }
    }

    pub(super) fn forget(&mut self, id: RequestId) -> Option<Request> {
        let request = self.requests.remove(&id)?;
        if let Some(source) = self.sources.get_mut(&request.source) {
            source.owed = source.owed.saturating_sub(request.owed());
        }
        if request.owed() > 0 {
            if self.may_overlap {
                self.retake();
            } else {
                self.taken.remove(request.rest());
            }
        }
        Some(request)
    }

    pub(super) fn retake(&mut self) {
        let (mut taken, mut all) = (Spans::default(), Spans::default());
        let mut owed = 0;
        for request in self.requests.values() {
            let source = self.sources.get(&request.source);
            owed += request.owed();
            all.insert(request.rest());
            if source.is_some_and(|source| !source.is_silent) {
                taken.insert(request.rest());
            }
        }
        self.may_overlap = owed > all.count();
        self.taken = taken;
    }
}
