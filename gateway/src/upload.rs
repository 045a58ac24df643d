//! Bytes on their way in: bounded by a limit and by the sender's silence.

use axum::{body::Body, extract::multipart::Field};
use bytes::Bytes;
use futures_lite::{Stream, StreamExt, future, stream};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::timeout,
};

use crate::{
    api::types::BlobAdded,
    failure::Failure,
    gate::Gate,
    node::{ByteStream, NodeError},
};

/// Chunks of a form's file between the parser and the store.
const FIELD_CHUNKS: usize = 4;

/// Refuses an upload that is announced over the limit, before a byte of it is read.
pub fn check_announced(gate: &Gate, size_bytes: Option<u64>) -> Result<(), NodeError> {
    let limit_bytes = gate.settings().max_upload_bytes;
    match size_bytes {
        Some(size_bytes) if size_bytes > limit_bytes => Err(NodeError::TooLarge {
            what: "the upload".to_owned(),
            size_bytes,
            limit_bytes,
        }),
        _ => Ok(()),
    }
}

/// A request's body as the node takes it; it keeps its place until it is dropped.
pub fn from_body(gate: &Gate, body: Body, slot: OwnedSemaphorePermit) -> ByteStream {
    let chunks = body
        .into_data_stream()
        .map(|chunk| chunk.map_err(|_| broken_off()));
    bounded(gate, chunks, slot).boxed()
}

/// Imports the file of a multipart form.
pub async fn import_field(
    gate: &Gate,
    name: String,
    mut field: Field<'_>,
) -> Result<BlobAdded, Failure> {
    let slot = gate.slots().upload()?;
    let (sender, receiver) = mpsc::channel::<Result<Bytes, NodeError>>(FIELD_CHUNKS);
    let received = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    let body = bounded(gate, received, slot).boxed();
    let import = gate.node().add_blob(name, None, body);
    let feed = async move {
        loop {
            let chunk = match field.chunk().await {
                Ok(Some(chunk)) => Ok(chunk),
                Ok(None) => return,
                Err(_) => Err(broken_off()),
            };
            let is_last = chunk.is_err();
            if sender.send(chunk).await.is_err() || is_last {
                return;
            }
        }
    };
    // The import decides: when it gives up, a sender that fell silent is not waited for.
    let feed = async move {
        feed.await;
        future::pending().await
    };
    Ok(future::or(import, feed).await?)
}

fn bounded(
    gate: &Gate,
    chunks: impl Stream<Item = Result<Bytes, NodeError>> + Send + 'static,
    slot: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, NodeError>> + Send + 'static {
    let limit_bytes = gate.settings().max_upload_bytes;
    let idle = gate.settings().limits.upload_idle;
    let state = (Some(Box::pin(chunks)), 0_u64, slot);
    stream::unfold(state, move |(chunks, received, slot)| async move {
        let mut chunks = chunks?;
        let chunk = timeout(idle, chunks.next()).await;
        let chunk = chunk.unwrap_or_else(|_| Some(Err(silent(idle.as_secs()))))?;
        let received = received + chunk.as_ref().map_or(0, |bytes| bytes.len() as u64);
        if received > limit_bytes {
            let what = "the upload".to_owned();
            let error = NodeError::TooLarge {
                what,
                size_bytes: received,
                limit_bytes,
            };
            return Some((Err(error), (None, received, slot)));
        }
        let rest = chunk.is_ok().then_some(chunks);
        Some((chunk, (rest, received, slot)))
    })
}

fn broken_off() -> NodeError {
    NodeError::Invalid(
        "the upload broke off before its end; nothing was kept, send it again".to_owned(),
    )
}

fn silent(idle_s: u64) -> NodeError {
    NodeError::Invalid(format!(
        "the upload was silent for {idle_s} s and was given up; nothing was kept, send it again"
    ))
}
