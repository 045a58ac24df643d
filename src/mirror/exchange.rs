//! The mirror protocol over iroh: a stream for each question, closed by its answer.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, Weak},
    time::{Duration, Instant},
};

use blocks::BlobStatus;
use iroh::{
    EndpointAddr,
    endpoint::{Connection, RecvStream, SendStream},
    protocol::{AcceptError, ProtocolHandler},
};
use model::{Challenge, EndpointKey, Holding, Item, Receipt};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{timeout, timeout_at},
};

use super::{
    challenge::Heard,
    frame::{ANSWER_BYTES, Answer, PinAnswer, PinRefusal, QUESTION_BYTES, Question, Refusal},
    rate::{Kind, Rates},
    request,
};
use crate::{clock::now_ms, core::Core, flow::fetch, holdings::Holdings, throttle::Class};

/// The protocol.
pub const ALPN: &[u8] = b"datt/mirror/1";

/// Questions answered at once, of all peers and of one connection.
const AT_ONCE: usize = 32;
const AT_ONCE_OF_PEER: usize = 4;
/// A question comes, and an answer goes, within this.
const EXCHANGE: Duration = Duration::from_secs(30);
/// A connection without a question for this long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(8);
/// Code that closes a connection whose peer sends something else.
const BROKEN: u32 = 1;

/// Answers for the node's router; clones share it.
#[derive(Clone)]
pub struct MirrorProtocol {
    core: Arc<OnceLock<Weak<Core>>>,
    rates: Arc<Mutex<Rates>>,
    room: Arc<Semaphore>,
}

impl fmt::Debug for MirrorProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MirrorProtocol")
    }
}

impl Default for MirrorProtocol {
    fn default() -> Self {
        Self {
            core: Arc::default(),
            rates: Arc::default(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl MirrorProtocol {
    /// Connects the rest of the node; until then nobody is answered.
    pub fn connect(&self, core: &Arc<Core>) {
        // Connected once by `node.rs`; a second call would change nothing.
        let _ = self.core.set(Arc::downgrade(core));
    }

    async fn answer(&self, peer: EndpointKey, question: Question) -> Option<Answer> {
        let core = self.core.get().and_then(Weak::upgrade)?;
        let kind = match &question {
            Question::Pin { .. } => Kind::Request,
            Question::Challenge(_) | Question::Holding { .. } => Kind::Look,
        };
        let allowed = Core::lock(&self.rates).take(peer, kind, now_ms());
        Some(match (question, allowed) {
            (Question::Challenge(challenge), Ok(())) => prove(&core, &challenge).await,
            (Question::Holding { items }, Ok(())) => Answer::Holding(state(&core, items).await),
            (Question::Pin { demand, proof }, Ok(())) => {
                Answer::Pin(request::serve::answer(&core, peer, &demand, &proof).await)
            }
            (Question::Challenge(_), Err(_)) => Answer::Refused(Refusal::Busy),
            (Question::Holding { .. }, Err(_)) => Answer::Holding(None),
            (Question::Pin { .. }, Err(wait_ms)) => {
                let after_s = u32::try_from(wait_ms.div_ceil(1_000)).unwrap_or(u32::MAX);
                Answer::Pin(PinAnswer::Refused(PinRefusal::Busy { after_s }))
            }
        })
    }

    async fn exchange(self, connection: Connection, mut send: SendStream, mut recv: RecvStream) {
        let peer = EndpointKey::from_bytes(*connection.remote_id().as_bytes());
        // A stream that broke off needs no answer.
        let Ok(bytes) = recv.read_to_end(QUESTION_BYTES).await else {
            return;
        };
        let Ok(question) = Question::decode(&bytes) else {
            connection.close(BROKEN.into(), b"broken frame");
            return;
        };
        let Ok(_room) = self.room.acquire().await else {
            return;
        };
        if let Some(answer) = self.answer(peer, question).await
            && send.write_all(&answer.encode()).await.is_ok()
        {
            // The peer may have gone meanwhile.
            let _ = send.finish();
            let _ = send.stopped().await;
        }
    }
}

impl ProtocolHandler for MirrorProtocol {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        let mut running = JoinSet::new();
        loop {
            while running.len() >= AT_ONCE_OF_PEER {
                running.join_next().await;
            }
            let Ok(Ok((send, recv))) = timeout(IDLE, connection.accept_bi()).await else {
                break;
            };
            let one = self.clone().exchange(connection.clone(), send, recv);
            running.spawn(async move { timeout(EXCHANGE, one).await });
        }
        while running.join_next().await.is_some() {}
        Ok(())
    }
}

/// Answers a challenge, if the blob is here and peers may have it.
async fn prove(core: &Arc<Core>, challenge: &Challenge) -> Answer {
    let blob = challenge.blob;
    if challenge.check().is_err() {
        return Answer::Refused(Refusal::Range);
    }
    if core.is_denied(blob) {
        return Answer::Refused(Refusal::Denied);
    }
    if !core.torrents.publicity.is_for_peers(&blob) {
        return Answer::Refused(Refusal::NotShared);
    }
    if core.throttle.is_spent() {
        return Answer::Refused(Refusal::Busy);
    }
    let Ok(BlobStatus::Complete { size_bytes }) = core.blobs.status(blob).await else {
        return Answer::Refused(Refusal::NotHeld);
    };
    match core.blobs.slice(blob, challenge.bytes(size_bytes)).await {
        Ok(slice) => {
            core.throttle.send(Class::Iroh, slice.len() as u64).await;
            Answer::Slice {
                receipt: Receipt::sign(&core.endpoint_secret, challenge, size_bytes, &slice),
                slice,
            }
        }
        Err(error) => {
            tracing::warn!(%blob, %error, "a challenge can't be answered");
            Answer::Refused(Refusal::NotHeld)
        }
    }
}

/// States which of these blobs are held in full. Posts are stated by gossip.
async fn state(core: &Arc<Core>, items: Vec<Item>) -> Option<Vec<u8>> {
    let mut held = Vec::new();
    for item in items {
        if let Item::Blob(blob) = item
            && !core.is_denied(blob)
            && core.torrents.publicity.is_for_peers(&blob)
            && fetch::is_held(core, blob).await
        {
            held.push(item);
        }
    }
    let time_ms = now_ms();
    let until_ms = Holdings::until_ms(time_ms);
    let statement = Holding::sign(&core.endpoint_secret, held, time_ms, until_ms);
    statement.ok().map(|statement| statement.bytes().to_vec())
}

/// A connection to a mirror.
#[derive(Debug)]
pub struct Line {
    connection: Connection,
}

impl Line {
    /// Connects; none when there is no way.
    pub async fn open(core: &Core, mirror: EndpointAddr) -> Option<Self> {
        let connecting = core.network.endpoint.connect(mirror, ALPN);
        let connection = timeout(CONNECT, connecting).await.ok()?.ok()?;
        Some(Self { connection })
    }

    /// Puts a question; how it ended, and how many milliseconds that took.
    pub async fn ask(&self, question: &Question, wait: Duration) -> (Heard, u32) {
        let began = Instant::now();
        let heard = timeout_at((began + wait).into(), self.exchange(question)).await;
        let took_ms = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
        (heard.unwrap_or(Heard::Silence), took_ms)
    }

    async fn exchange(&self, question: &Question) -> Heard {
        let Ok((mut send, mut recv)) = self.connection.open_bi().await else {
            return Heard::NoWay;
        };
        if send.write_all(&question.encode()).await.is_err() || send.finish().is_err() {
            return Heard::NoWay;
        }
        match recv.read_to_end(ANSWER_BYTES).await {
            Ok(bytes) => match Answer::decode(&bytes) {
                Ok(answer) => Heard::Answer(answer),
                Err(_) => Heard::Garbage,
            },
            Err(iroh::endpoint::ReadToEndError::TooLong) => Heard::Garbage,
            Err(iroh::endpoint::ReadToEndError::Read(_)) => Heard::Silence,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.connection.close(0_u32.into(), b"done");
    }
}
