//! The caps over everything that leaves or reaches this machine: iroh, the relay, HTTP, BitTorrent.
//!
//! Every way asks before it sends, or says what its library has sent already; then the others yield.
//! What is counted is what the bytes take on an Ethernet of 1500-byte packets, headers included, so
//! that a cap holds for the interface. Bytes that stay on this machine over HTTP aren't counted.

mod bucket;
mod flow;
mod govern;
mod hours;
mod line;
mod month;
mod run;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use futures_lite::StreamExt;
use n0_future::boxed::{BoxFuture, BoxStream};
use tokio_util::sync::CancellationToken;
use views::data::{self, Ways};

pub use flow::Metered;
pub use govern::{Governed, OwnLimits};
pub use hours::{ActiveHours, HoursError};
pub use run::run;

use crate::{
    config::Traffic,
    data_folder::{DataFolder, FolderError},
};
use bucket::Size;
use line::{Line, Turn};
use month::Month;

/// Lower rates make engines stand still: swarms ask for blocks of so many bytes (BEP 3).
pub const LEAST_RATE_BYTES: u64 = 16 << 10;
/// Where the month lies in the data folder.
const MONTH_FILE: &str = "month.json";
/// Bytes that are asked for at once under a cap.
const PART_BYTES: usize = 16 << 10;
/// What pages and entries have together when the month's bytes are used up, bytes a second.
const TRICKLE_BYTES: u64 = 32 << 10;

/// By which way bytes go. Ways that wait share a cap evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Blobs over iroh.
    Iroh,
    /// Pages and media over HTTP.
    Http,
    /// What the embedded relay passes on.
    Relay,
    /// Swarms.
    Torrent,
    /// Entries, gossip, and whatever else the endpoint sends by itself; it never waits.
    Sync,
}

impl Class {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Iroh,
        Self::Http,
        Self::Relay,
        Self::Torrent,
        Self::Sync,
    ];
}

/// Bytes each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Sent.
    pub sent_bytes: u64,
    /// Received.
    pub received_bytes: u64,
}

impl Moved {
    /// Sent only.
    pub fn sent(bytes: u64) -> Self {
        Self {
            sent_bytes: bytes,
            received_bytes: 0,
        }
    }

    /// Received only.
    pub fn received(bytes: u64) -> Self {
        Self {
            sent_bytes: 0,
            received_bytes: bytes,
        }
    }

    /// What was added to an earlier count.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            sent_bytes: self.sent_bytes.saturating_sub(before.sent_bytes),
            received_bytes: self.received_bytes.saturating_sub(before.received_bytes),
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            sent_bytes: self.sent_bytes.saturating_add(other.sent_bytes),
            received_bytes: self.received_bytes.saturating_add(other.received_bytes),
        }
    }
}

/// The caps; clones share them.
#[derive(Clone, Debug)]
pub struct Throttle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    caps: Traffic,
    out: Arc<Line>,
    into: Arc<Line>,
    counts: [Count; Class::ALL.len()],
    sent_bytes: AtomicU64,
    month: Mutex<Month>,
    /// Of the counter since the start; beyond it the month's bytes are used up.
    spent_at: AtomicU64,
}

#[derive(Debug, Default)]
struct Count {
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
}

impl Throttle {
    /// Caps as configured; the month goes on as the folder says.
    ///
    /// # Errors
    /// When the month can't be read.
    pub fn open(caps: Traffic, folder: &DataFolder, now_ms: u64) -> Result<Self, FolderError> {
        let month = Month::new(folder.read_json(MONTH_FILE)?, now_ms);
        let throttle = Self::with_month(caps, month);
        throttle.see_month();
        Ok(throttle)
    }

    /// Caps without a memory of the month.
    pub fn new(caps: Traffic) -> Self {
        Self::with_month(caps, Month::new(None, 0))
    }

    fn with_month(caps: Traffic, month: Month) -> Self {
        Self(Arc::new(Shared {
            caps,
            out: Line::new(caps.max_out_bytes_per_s),
            into: Line::new(caps.max_in_bytes_per_s),
            counts: Default::default(),
            sent_bytes: AtomicU64::new(0),
            month: Mutex::new(month),
            spent_at: AtomicU64::new(u64::MAX),
        }))
    }

    /// The caps.
    pub fn caps(&self) -> Traffic {
        self.0.caps
    }

    /// Whether anything is capped.
    pub fn is_capped(&self) -> bool {
        self.0.caps != Traffic::default()
    }

    /// Returns when `bytes` may be sent.
    pub async fn send(&self, class: Class, bytes: u64) {
        self.ask_to_send(class, Size::Bulk, bytes).await;
    }

    /// Returns when the next bytes may be read, after `bytes` were.
    pub async fn receive(&self, class: Class, bytes: u64) {
        self.ask_to_receive(class, bytes).await;
    }

    /// Counts what a library moved already: the others yield for it.
    pub fn note(&self, class: Class, moved: Moved) {
        if moved.sent_bytes > 0 {
            self.count_sent(class, moved.sent_bytes);
            self.0.out.note(moved.sent_bytes);
        }
        if moved.received_bytes > 0 {
            self.count_received(class, moved.received_bytes);
            self.0.into.note(moved.received_bytes);
        }
    }

    /// Bytes of each class since the start, by its number.
    pub fn moved(&self) -> [Moved; Class::ALL.len()] {
        Class::ALL.map(|class| {
            let count = &self.0.counts[class as usize];
            Moved {
                sent_bytes: count.sent_bytes.load(Ordering::Relaxed),
                received_bytes: count.received_bytes.load(Ordering::Relaxed),
            }
        })
    }

    /// The same by network.
    pub fn ways(&self) -> Ways {
        let moved = self.moved();
        let way = |class: Class| moved[class as usize];
        let shown = |moved: Moved| data::Traffic {
            in_bytes: moved.received_bytes,
            out_bytes: moved.sent_bytes,
        };
        Ways {
            peers: shown(way(Class::Iroh).and(way(Class::Sync))),
            relay: shown(way(Class::Relay)),
            http: shown(way(Class::Http)),
            torrent: shown(way(Class::Torrent)),
        }
    }

    /// Sent in this calendar month, bytes.
    pub fn month_bytes(&self) -> u64 {
        let total_bytes = self.total_sent();
        self.month().sent_bytes(total_bytes)
    }

    /// Sent since the start, bytes.
    fn total_sent(&self) -> u64 {
        self.0.sent_bytes.load(Ordering::Relaxed)
    }

    /// Seconds until the month's bytes are there again, if they are used up.
    pub fn spent_for_s(&self, now_ms: u64) -> Option<u64> {
        self.is_spent().then(|| self.month().rest_s(now_ms))
    }

    /// Whether the month's bytes are used up.
    pub fn is_spent(&self) -> bool {
        self.total_sent() >= self.0.spent_at.load(Ordering::Relaxed)
    }

    /// What comes over HTTP from elsewhere, read as fast as the caps let it.
    pub fn paced<E: Send + 'static>(
        &self,
        stream: BoxStream<Result<Bytes, E>>,
    ) -> BoxStream<Result<Bytes, E>> {
        let throttle = self.clone();
        let paced = stream.then(move |piece| {
            let bytes = piece.as_ref().map_or(0, |piece| piece.len() as u64);
            let turn = throttle.ask_to_receive(Class::Http, flow::on_wire(bytes));
            async move {
                turn.await;
                piece
            }
        });
        paced.boxed()
    }

    /// Keeps an engine within its share until `cancel`.
    pub async fn govern(
        &self,
        engine: Arc<dyn Governed>,
        own: OwnLimits,
        cancel: CancellationToken,
    ) {
        govern::govern(self, Class::Torrent, engine, own, cancel).await;
    }

    /// How many of `wanted` bytes are asked for at once.
    fn part(&self, wanted: usize) -> usize {
        if self.is_capped() {
            wanted.min(PART_BYTES)
        } else {
            wanted
        }
    }

    fn ask_to_send(&self, class: Class, size: Size, bytes: u64) -> Turn {
        self.count_sent(class, bytes);
        if self.is_capped() {
            self.0.out.ask(class, size, bytes)
        } else {
            Turn::now()
        }
    }

    fn ask_to_receive(&self, class: Class, bytes: u64) -> Turn {
        self.count_received(class, bytes);
        if self.is_capped() {
            self.0.into.ask(class, Size::Bulk, bytes)
        } else {
            Turn::now()
        }
    }

    /// Takes back what was asked for and not sent.
    fn give_back(&self, class: Class, bytes: u64) {
        let count = &self.0.counts[class as usize];
        count.sent_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.0.sent_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.0.out.give_back(bytes);
    }

    fn count_sent(&self, class: Class, bytes: u64) {
        let count = &self.0.counts[class as usize];
        count.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.0.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn count_received(&self, class: Class, bytes: u64) {
        let count = &self.0.counts[class as usize];
        count.received_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Classes of which someone waits: to send, to receive.
    fn waiting(&self) -> (u64, u64) {
        (self.0.out.waiting(), self.0.into.waiting())
    }

    /// Lets those go whose turn it is; runs until dropped.
    pub(crate) async fn let_go(&self) {
        tokio::join!(self.0.out.run(), self.0.into.run());
    }

    /// Reckons anew when the month's bytes will be used up, and how fast the rest may go.
    pub(crate) fn see_month(&self) {
        let max_bytes = self.0.caps.max_month_bytes;
        if max_bytes == 0 {
            return;
        }
        let total_bytes = self.total_sent();
        let left_bytes = max_bytes.saturating_sub(self.month().sent_bytes(total_bytes));
        let spent_at = total_bytes.saturating_add(left_bytes);
        self.0.spent_at.store(spent_at, Ordering::Relaxed);
        let rate_bytes = match self.0.caps.max_out_bytes_per_s {
            rate_bytes if left_bytes > 0 => rate_bytes,
            0 => TRICKLE_BYTES,
            rate_bytes => rate_bytes.min(TRICKLE_BYTES),
        };
        self.0.out.set_rate(rate_bytes);
    }

    fn month(&self) -> MutexGuard<'_, Month> {
        self.0.month.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Peers of swarms that are read from one by one, apart from the engine.
impl torrent::leech::Throttle for Throttle {
    fn take(&self, bytes: u64) -> torrent::leech::BoxFuture<'_, ()> {
        Box::pin(self.ask_to_receive(Class::Torrent, flow::on_wire(bytes)))
    }
}

impl blocks::Throttle for Throttle {
    fn send(&self, bytes: u64) -> BoxFuture<()> {
        let turn = self.ask_to_send(Class::Iroh, Size::Bulk, bytes);
        Box::pin(turn)
    }

    fn receive(&self, bytes: u64) -> BoxFuture<()> {
        let turn = self.ask_to_receive(Class::Iroh, bytes);
        Box::pin(turn)
    }

    fn is_spent(&self) -> bool {
        Self::is_spent(self)
    }
}
