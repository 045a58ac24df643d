//! A connection's task: bytes between the socket and the state machine.

use std::{io, sync::Arc, time::Instant};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::sleep_until,
};

use super::{BoxFuture, LeechError, Throttle, shared::Shared, wire::BLOCK_BYTES};

/// As much is read at once, bytes.
const READ_BYTES: usize = 128 << 10;

/// The time, as all deadlines of connections are told.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Ends the connection for its readers when its task ends, however that comes.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.end(LeechError::Closed);
    }
}

/// Runs a connection until it is over.
pub(super) async fn run(
    stream: impl AsyncRead + AsyncWrite,
    shared: Arc<Shared>,
    throttle: Option<Arc<dyn Throttle>>,
) {
    let running = Running(shared);
    if let Err(error) = speak(stream, &running.0, throttle).await {
        running.0.end(error);
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite,
    shared: &Shared,
    throttle: Option<Arc<dyn Throttle>>,
) -> Result<(), LeechError> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut inbox = BytesMut::new();
    let mut outbox = BytesMut::new();
    let mut allowed = throttle.as_ref().map(|_| 0);
    let mut waiting: Option<BoxFuture<'static, ()>> = None;
    loop {
        let next = shared.advance(&mut outbox, allowed.as_mut(), now())?;
        if waiting.is_none() && next.wanted.is_some() {
            waiting = throttle.clone().map(take);
        }
        inbox.reserve(READ_BYTES);
        tokio::select! {
            read = reader.read_buf(&mut inbox) => match read {
                Ok(0) => return Err(LeechError::Broke { source: None }),
                Ok(_) => shared.receive(&mut inbox, now())?,
                Err(error) => return Err(broke(error)),
            },
            written = writer.write_buf(&mut outbox), if !outbox.is_empty() => match written {
                Ok(0) => return Err(LeechError::Broke { source: None }),
                Ok(_) => {}
                Err(error) => return Err(broke(error)),
            },
            () = maybe(&mut waiting) => {
                waiting = None;
                if let Some(allowed) = &mut allowed {
                    *allowed += u64::from(BLOCK_BYTES);
                }
            }
            () = shared.touched() => {}
            () = sleep_until(next.deadline.into()) => {}
        }
    }
}

/// Waits for another block's worth of bytes.
fn take(throttle: Arc<dyn Throttle>) -> BoxFuture<'static, ()> {
    Box::pin(async move { throttle.take(BLOCK_BYTES.into()).await })
}

/// Waits for what is waited for, for ever if for nothing.
async fn maybe(waiting: &mut Option<BoxFuture<'static, ()>>) {
    match waiting {
        Some(waiting) => waiting.await,
        None => std::future::pending().await,
    }
}

fn broke(error: io::Error) -> LeechError {
    LeechError::Broke {
        source: Some(Arc::new(error)),
    }
}
