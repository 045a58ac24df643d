//! One session over one QUIC stream.

use std::{sync::Arc, time::Duration};

use iroh::endpoint::{RecvStream, SendStream};
use model::EndpointKey;
use tokio::{
    sync::mpsc::{self, error::TryRecvError},
    task::JoinSet,
};

use super::shared::{Shared, now_ms};
use crate::{
    bounds,
    node::Input,
    schedule::Ending,
    sync::{News, PeerFault, Session, SessionError},
};

/// Frames that wait on each side of a session.
const FRAMES: usize = 4;
/// Frames that one turn takes, though the reader refills meanwhile.
const TURN_FRAMES: usize = 2 * FRAMES;
/// How often a silent peer is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Runs a session to its end. `id`: of ours; none when the peer opened it.
pub(super) async fn run(
    shared: Arc<Shared>,
    session: Session,
    id: Option<u64>,
    send: SendStream,
    recv: RecvStream,
) -> Ending {
    let peer = session.peer();
    let mut tasks = JoinSet::new();
    let (to_writer, from_session) = mpsc::channel(FRAMES);
    let (to_session, from_reader) = mpsc::channel(FRAMES);
    tasks.spawn(write(send, from_session));
    tasks.spawn(read(recv, to_session));
    let turns = Turns {
        shared,
        peer,
        id,
        to_writer,
        from_reader,
    };
    let ending = match turns.run(session).await {
        Ok(()) => {
            // The writer ends the stream once it has sent what waits.
            let finish = tasks.join_next();
            let _ = tokio::time::timeout(LOOK, finish).await;
            Ending::Done
        }
        Err(SessionError::Peer(fault)) if fault.is_lie() => Ending::Lied(fault.to_string()),
        Err(error) => {
            tracing::debug!(peer = %peer.short(), %error, "sync session ended early");
            Ending::Failed
        }
    };
    tasks.shutdown().await;
    ending
}

struct Turns {
    shared: Arc<Shared>,
    peer: EndpointKey,
    id: Option<u64>,
    to_writer: mpsc::Sender<Vec<u8>>,
    from_reader: mpsc::Receiver<Result<Vec<u8>, PeerFault>>,
}

impl Turns {
    async fn run(mut self, mut session: Session) -> Result<(), SessionError> {
        let mut received = Vec::new();
        let mut speaks = true;
        loop {
            if speaks || !received.is_empty() {
                let room = self.to_writer.capacity();
                let (back, frames, news) = self.step(session, received, room).await?;
                session = back;
                received = Vec::new();
                speaks = frames.len() == room;
                for frame in frames {
                    if self.to_writer.try_send(frame).is_err() {
                        return Err(PeerFault::Gone.into());
                    }
                }
                self.tell(news).await;
                if self.id.is_some() && session.is_finished() {
                    return Ok(());
                }
            }
            tokio::select! {
                has_room = has_room(&self.to_writer), if speaks => {
                    if !has_room {
                        return Err(PeerFault::Gone.into());
                    }
                }
                frame = self.from_reader.recv() => match frame {
                    Some(frame) => received.push(frame?),
                    None if session.is_finished() => return Ok(()),
                    None => return Err(PeerFault::Gone.into()),
                },
                () = tokio::time::sleep(LOOK) => session.check(now_ms())?,
            }
            if !received.is_empty() {
                self.take_waiting(&mut received)?;
            }
        }
    }

    /// What came meanwhile: one turn does for all, but not for what comes while it is taken.
    fn take_waiting(&mut self, received: &mut Vec<Vec<u8>>) -> Result<(), PeerFault> {
        while received.len() < TURN_FRAMES {
            match self.from_reader.try_recv() {
                Ok(frame) => received.push(frame?),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        Ok(())
    }

    /// Hands frames to the session and takes as many from it as the writer has room for.
    async fn step(
        &self,
        mut session: Session,
        received: Vec<Vec<u8>>,
        room: usize,
    ) -> Result<(Session, Vec<Vec<u8>>, Vec<News>), SessionError> {
        let shared = self.shared.clone();
        let work = move || {
            let replica = &*shared.replica;
            for frame in received {
                session.receive(&frame, now_ms(), replica)?;
            }
            let mut frames = Vec::new();
            while frames.len() < room
                && let Some(frame) = session.transmit(replica)?
            {
                frames.push(frame);
            }
            let news = session.take_news();
            Ok((session, frames, news))
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(PeerFault::Gone.into()),
        }
    }

    async fn tell(&self, news: Vec<News>) {
        for item in &news {
            if let News::Done { sent, .. } = item {
                self.shared.count(self.peer, 0, *sent);
            }
        }
        if !news.is_empty() {
            let input = Input::News {
                session: self.id,
                peer: self.peer,
                news,
            };
            // Gone only when the node stops.
            let _ = self.shared.inputs.send(input).await;
        }
    }
}

/// Waits until the writer takes another frame; false when it is gone.
async fn has_room(to_writer: &mpsc::Sender<Vec<u8>>) -> bool {
    to_writer.reserve().await.is_ok()
}

async fn write(mut send: SendStream, mut frames: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = frames.recv().await {
        let length = u32::try_from(frame.len()).expect("a frame is within its limit");
        let written = async {
            send.write_all(&length.to_be_bytes()).await?;
            send.write_all(&frame).await
        };
        if written.await.is_err() {
            return;
        }
    }
    let _ = send.finish();
}

async fn read(mut recv: RecvStream, frames: mpsc::Sender<Result<Vec<u8>, PeerFault>>) {
    let mut length = [0; 4];
    while recv.read_exact(&mut length).await.is_ok() {
        let found = u32::from_be_bytes(length) as usize;
        if found > bounds::FRAME_BYTES {
            let _ = frames.send(Err(PeerFault::FrameTooLong { found })).await;
            return;
        }
        let mut frame = vec![0; found];
        if recv.read_exact(&mut frame).await.is_err() {
            let _ = frames.send(Err(PeerFault::Gone)).await;
            return;
        }
        if frames.send(Ok(frame)).await.is_err() {
            return;
        }
    }
}
