//! Whether the client of an HTTP/2 connection takes what it asked for.
//!
//! There a client can go on answering pings and never grant an answer its window, which the kernel
//! can't see. So the bodies of a connection tell when more of them is asked for, and one watch
//! decides.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

/// Looks at a connection this often in the time that it may stand still.
const LOOKS: u32 = 4;
/// A client counts as moving when it takes so much: bodies come in larger pieces, which a slow one
/// takes long for.
const PIECE_BYTES: usize = 64 << 10;

/// What goes on on one connection.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    /// Requests whose answer isn't over.
    open: AtomicUsize,
    /// Bodies of which a part was given to the client and no further one asked for.
    given: AtomicUsize,
    /// Of the last thing that moved, since the beginning.
    moved_ms: AtomicU64,
}

/// Why a connection is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nothing was asked for.
    Idle,
    /// The client took nothing of what it asked for.
    Stalled,
}

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            open: AtomicUsize::new(0),
            given: AtomicUsize::new(0),
            moved_ms: AtomicU64::new(0),
        })
    }

    /// A request arrived; it is open as long as the value lives.
    pub(super) fn request(self: &Arc<Self>) -> Request {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.moved();
        Request(Arc::clone(self))
    }

    fn moved(&self) {
        self.moved_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns when nothing was asked for in `idle`, or nothing taken in `stall`.
    pub(super) async fn stops(&self, idle: Duration, stall: Duration) -> Stop {
        let pause = idle.min(stall) / LOOKS;
        loop {
            tokio::time::sleep(pause).await;
            let still_ms = self
                .now_ms()
                .saturating_sub(self.moved_ms.load(Ordering::Relaxed));
            let still = Duration::from_millis(still_ms);
            if self.open.load(Ordering::Relaxed) == 0 && still >= idle {
                return Stop::Idle;
            }
            if self.given.load(Ordering::Relaxed) > 0 && still >= stall {
                return Stop::Stalled;
            }
        }
    }
}

/// An open request.
#[derive(Debug)]
pub(super) struct Request(Arc<Progress>);

impl Request {
    /// The body of its answer; the request is over when that is.
    pub(super) fn answered_by(self, body: Body) -> Answer {
        Answer {
            body,
            rest: Bytes::new(),
            is_given: false,
            request: self,
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.moved();
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body that tells when its client asks for more.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    /// Of the body's last frame, not yet given.
    rest: Bytes,
    is_given: bool,
    request: Request,
}

impl Answer {
    fn set_given(&mut self, is_given: bool) {
        if self.is_given == is_given {
            return;
        }
        self.is_given = is_given;
        let given = &self.request.0.given;
        if is_given {
            given.fetch_add(1, Ordering::Relaxed);
        } else {
            given.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.set_given(false);
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.request.0.moved();
        self.set_given(false);
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        self.set_given(true);
        let piece_bytes = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(piece_bytes);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(rest));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}
