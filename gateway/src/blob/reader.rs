//! Reading a blob or an IPFS file through the node, held or not, before a deadline.

use std::ops::Range;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use cid::Cid;
use futures_lite::{StreamExt, stream};
use model::BlobId;
use tokio::time::{Instant, timeout_at};

use super::{
    body::{self, Slot},
    media_type,
};
use crate::{
    gate::Gate,
    node::{BlobBody, ByteStream, NodeError, OpenBlob, Viewer},
};

/// Under which name the bytes are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A blob: the node may look for it at peers.
    Blob(BlobId),
    /// A UnixFS file or a block.
    Ipfs(Cid),
}

impl Source {
    fn cid(self) -> Cid {
        match self {
            Self::Blob(blob) => blob.to_cid(),
            Self::Ipfs(cid) => cid,
        }
    }
}

/// A file opened for one request.
pub struct Reader<'a> {
    gate: &'a Gate,
    viewer: Viewer,
    source: Source,
    open: OpenBlob,
    deadline: Instant,
}

impl<'a> Reader<'a> {
    /// Opens a file; the clock for the first byte runs from now.
    pub async fn open(gate: &'a Gate, viewer: Viewer, source: Source) -> Result<Self, NodeError> {
        let deadline = Instant::now() + gate.settings().limits.first_byte;
        let opening = match source {
            Source::Blob(blob) => gate.node().open_blob(viewer, blob),
            Source::Ipfs(cid) => gate.node().ipfs_open(viewer, cid),
        };
        let open = within(deadline, source.cid(), opening).await?;
        Ok(Self {
            gate,
            viewer,
            source,
            open,
            deadline,
        })
    }

    /// Length of the whole file.
    pub fn size_bytes(&self) -> u64 {
        self.open.size_bytes
    }

    /// The type to serve it with, which `sniff` tells by its first bytes.
    pub async fn media_type(
        &self,
        sniff: fn(&[u8]) -> &'static str,
    ) -> Result<&'static str, NodeError> {
        let head = 0..self.open.size_bytes.min(media_type::HEAD_BYTES);
        match &self.open.body {
            BlobBody::File(file) => {
                let head = body::read(file, head).await;
                let head = head.map_err(|error| NodeError::local("read the blob's file", error))?;
                Ok(sniff(&head))
            }
            BlobBody::Bytes(bytes) => {
                let head = usize::try_from(head.end).unwrap_or(usize::MAX);
                Ok(sniff(bytes.get(..head).unwrap_or(bytes)))
            }
            BlobBody::Partial => {
                let cid = self.source.cid();
                if let Some(known) = self.gate.known_types().get(cid) {
                    return Ok(known);
                }
                let found = sniff(&self.fetched_head(head).await?);
                self.gate.known_types().put(cid, found);
                Ok(found)
            }
        }
    }

    /// The bytes of a range as a body; waits for the first of them.
    pub async fn body(&self, range: Range<u64>, slot: Slot) -> Result<Body, NodeError> {
        if range.is_empty() {
            return Ok(Body::empty());
        }
        match &self.open.body {
            BlobBody::File(file) => Ok(body::from_file(file.clone(), range, slot)),
            BlobBody::Bytes(bytes) => {
                let part = part(bytes, &range).ok_or_else(|| self.cut_short())?;
                Ok(body::from_stream(part, stream::empty().boxed(), slot))
            }
            BlobBody::Partial => {
                let (first, rest) = self.fetch(range).await?;
                Ok(body::from_stream(first, rest, slot))
            }
        }
    }

    async fn fetched_head(&self, head: Range<u64>) -> Result<Bytes, NodeError> {
        if head.is_empty() {
            return Ok(Bytes::new());
        }
        let wanted = head.end;
        let (first, mut rest) = self.fetch(head).await?;
        let mut bytes = BytesMut::from(first.as_ref());
        while (bytes.len() as u64) < wanted {
            let Some(next) = within(self.deadline, self.source.cid(), async {
                Ok(rest.next().await)
            })
            .await?
            else {
                return Err(self.cut_short());
            };
            bytes.extend_from_slice(&next?);
        }
        Ok(bytes.freeze())
    }

    async fn fetch(&self, range: Range<u64>) -> Result<(Bytes, ByteStream), NodeError> {
        let begun = async {
            let node = self.gate.node();
            let mut rest = match self.source {
                Source::Blob(blob) => node.fetch_range(self.viewer, blob, range).await?,
                Source::Ipfs(cid) => node.ipfs_range(self.viewer, cid, range).await?,
            };
            match rest.next().await {
                Some(first) => Ok((first?, rest)),
                None => Err(self.cut_short()),
            }
        };
        within(self.deadline, self.source.cid(), begun).await
    }

    fn cut_short(&self) -> NodeError {
        NodeError::local(
            format!("read {}", self.source.cid()),
            "the store gave too few bytes",
        )
    }
}

fn part(bytes: &Bytes, range: &Range<u64>) -> Option<Bytes> {
    let start = usize::try_from(range.start).ok()?;
    let end = usize::try_from(range.end).ok()?;
    (end <= bytes.len()).then(|| bytes.slice(start..end))
}

/// Work on a file before a deadline; beyond it, nobody delivered.
pub async fn within<T>(
    deadline: Instant,
    file: Cid,
    work: impl Future<Output = Result<T, NodeError>>,
) -> Result<T, NodeError> {
    timeout_at(deadline, work).await.unwrap_or_else(|_| {
        Err(NodeError::NotHeld {
            what: format!("file {file}"),
            ways: vec![
                "Try again later: a node that holds it may come back".to_owned(),
                "Join with a ticket of a node that holds it (`datt join TICKET`)".to_owned(),
                format!("Or let this node go on looking: `datt get {file}`"),
            ],
        })
    })
}
