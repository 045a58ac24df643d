//! The bytes of one connection over TCP.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Duration, Instant},
};

use super::{Class, Moved, Throttle, bucket::Size, line::Turn};

/// Slices that are written at once.
const SLICES: usize = 16;
/// So much of an answer goes before the bulk, bytes.
const SMALL_BYTES: u64 = 128 << 10;
/// A connection that was silent for so long begins a new answer.
const SILENCE: Duration = Duration::from_millis(500);
/// Payload of a TCP segment in a packet of 1500 bytes, with timestamps (RFC 7323), and what it takes
/// on Ethernet (RFC 894).
const SEGMENT: (u64, u64) = (1_448, 1_514);

/// A stream that keeps the caps.
#[derive(Debug)]
pub struct Metered<S> {
    stream: S,
    flow: Option<Flow>,
}

#[derive(Debug)]
struct Flow {
    throttle: Throttle,
    class: Class,
    /// Bytes that were granted and not written yet.
    granted: usize,
    sending: Option<(Turn, usize)>,
    receiving: Option<Turn>,
    sent_last: Instant,
    /// Bytes since the last silence.
    answer_bytes: u64,
}

impl<S> Metered<S> {
    /// Counts and caps what goes through `stream`.
    pub fn new(stream: S, throttle: Throttle, class: Class) -> Self {
        Self {
            stream,
            flow: Some(Flow {
                throttle,
                class,
                granted: 0,
                sending: None,
                receiving: None,
                sent_last: Instant::now(),
                answer_bytes: 0,
            }),
        }
    }

    /// A stream whose bytes don't leave the machine.
    pub fn free(stream: S) -> Self {
        Self { stream, flow: None }
    }

    /// From now on its bytes are of this class.
    pub fn set_class(&mut self, class: Class) {
        if let Some(flow) = &mut self.flow {
            flow.class = class;
        }
    }

    /// Whether its bytes count.
    pub fn is_metered(&self) -> bool {
        self.flow.is_some()
    }

    /// The stream itself.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }
}

/// What so many bytes over TCP take on the wire.
pub(super) fn on_wire(bytes: u64) -> u64 {
    let (payload_bytes, packet_bytes) = SEGMENT;
    let packets = bytes.div_ceil(payload_bytes);
    bytes.saturating_add(packets.saturating_mul(packet_bytes - payload_bytes))
}

/// What the acknowledgements of so many received bytes take on the wire: one for two segments (RFC
/// 9293, 3.8.6.3).
pub(super) fn acknowledged(bytes: u64) -> u64 {
    let (payload_bytes, packet_bytes) = SEGMENT;
    bytes / (2 * payload_bytes) * (packet_bytes - payload_bytes)
}

impl Flow {
    /// How many of `wanted` bytes may be written now.
    fn poll_grant(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        if self.granted == 0 {
            if self.sending.is_none() {
                let size = self.size();
                if size == Size::Bulk && self.throttle.is_spent() {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::QuotaExceeded,
                        "the bytes of this month are used up",
                    )));
                }
                let bytes = self.throttle.part(wanted);
                let turn = self
                    .throttle
                    .ask_to_send(self.class, size, on_wire(bytes as u64));
                self.sending = Some((turn, bytes));
            }
            if let Some((turn, bytes)) = &mut self.sending {
                ready!(Pin::new(turn).poll(cx));
                self.granted = *bytes;
                self.sending = None;
            }
        }
        Poll::Ready(Ok(self.granted.min(wanted)))
    }

    fn size(&mut self) -> Size {
        if self.sent_last.elapsed() >= SILENCE {
            self.answer_bytes = 0;
        }
        if self.answer_bytes < SMALL_BYTES {
            Size::Small
        } else {
            Size::Bulk
        }
    }

    fn sent(&mut self, bytes: usize) {
        self.granted -= bytes.min(self.granted);
        self.answer_bytes = self.answer_bytes.saturating_add(bytes as u64);
        self.sent_last = Instant::now();
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(turn) = &mut self.receiving {
            ready!(Pin::new(turn).poll(cx));
            self.receiving = None;
        }
        Poll::Ready(())
    }

    fn received(&mut self, bytes: usize) {
        if bytes > 0 {
            let turn = self
                .throttle
                .ask_to_receive(self.class, on_wire(bytes as u64));
            self.throttle
                .note(self.class, Moved::sent(acknowledged(bytes as u64)));
            self.receiving = Some(turn);
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        if self.granted > 0 {
            self.throttle
                .give_back(self.class, on_wire(self.granted as u64));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, flow } = &mut *self;
        let Some(flow) = flow else {
            return Pin::new(stream).poll_read(cx, buf);
        };
        ready!(flow.poll_readable(cx));
        let before = buf.filled().len();
        ready!(Pin::new(stream).poll_read(cx, buf))?;
        flow.received(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, flow } = &mut *self;
        let Some(flow) = flow else {
            return Pin::new(stream).poll_write(cx, buf);
        };
        if buf.is_empty() {
            return Pin::new(stream).poll_write(cx, buf);
        }
        let bytes = ready!(flow.poll_grant(cx, buf.len()))?;
        let written = ready!(Pin::new(stream).poll_write(cx, &buf[..bytes]))?;
        flow.sent(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, flow } = &mut *self;
        let wanted: usize = bufs.iter().map(|buf| buf.len()).sum();
        let Some(flow) = flow.as_mut().filter(|_| wanted > 0) else {
            return Pin::new(stream).poll_write_vectored(cx, bufs);
        };
        let mut left = ready!(flow.poll_grant(cx, wanted))?;
        let mut part = [IoSlice::new(&[]); SLICES];
        for (slot, buf) in part.iter_mut().zip(bufs) {
            let bytes = buf.len().min(left);
            *slot = IoSlice::new(&buf[..bytes]);
            left -= bytes;
        }
        let slices = bufs.len().min(SLICES);
        let written = ready!(Pin::new(stream).poll_write_vectored(cx, &part[..slices]))?;
        flow.sent(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
