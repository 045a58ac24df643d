//! Blocks: raw ones, and data blocks (dag-cbor, dag-json, cbor, json) as what they are.

use axum::response::Response;
use bytes::Bytes;
use cid::Cid;
use tokio::time::Instant;
use views::listing::DagPage;

use super::{
    asked::{Asked, Entity},
    directory::{generated, page_etag},
    format::{Format, not_acceptable},
    preview,
};
use crate::{blob::reader::within, failure::Failure, node::NodeError};

/// Multicodec of dag-cbor.
pub const DAG_CBOR: u64 = 0x71;
const DAG_JSON: u64 = 0x0129;
const CBOR: u64 = 0x51;
const JSON: u64 = 0x0200;

/// One block as it is.
pub async fn raw(asked: &Asked<'_>, cid: Cid) -> Result<Response, Failure> {
    let bytes = block(asked, cid).await?;
    let entity = Entity {
        etag: format!("\"{cid}.raw\""),
        media_type: Format::Raw.media_type(),
        is_inline: false,
        name: Some(format!("{cid}.bin")),
    };
    asked.bytes(&entity, &bytes)
}

/// A data block, in the format of its codec or as the plain one that contains it.
pub async fn serve(
    asked: &Asked<'_>,
    cid: Cid,
    codec: u64,
    format: Option<Format>,
) -> Result<Response, Failure> {
    let own = match codec {
        DAG_CBOR => Format::DagCbor,
        DAG_JSON => Format::DagJson,
        CBOR => Format::Cbor,
        JSON => Format::Json,
        other => {
            let why = format!("{cid} has the codec 0x{other:x}, which is served raw only");
            return Err(NodeError::Unsupported(why).into());
        }
    };
    let given = match (format, own) {
        (Some(Format::Html), Format::DagCbor | Format::DagJson) => {
            return shown(asked, cid, own).await;
        }
        (None | Some(Format::Html), own) => own,
        (Some(Format::Json), Format::DagJson) => Format::Json,
        (Some(Format::Cbor), Format::DagCbor) => Format::Cbor,
        (Some(wanted), own) if wanted == own => own,
        (Some(wanted), _) => return Err(not_acceptable(&cid.to_string(), wanted)),
    };
    let bytes = block(asked, cid).await?;
    let is_json = matches!(own, Format::Json | Format::DagJson);
    let entity = Entity {
        etag: match format {
            None | Some(Format::Html) => format!("\"{cid}\""),
            Some(_) => format!("\"{cid}.{}\"", given.word()),
        },
        media_type: given.media_type(),
        is_inline: is_json,
        name: Some(format!("{cid}.{}", if is_json { "json" } else { "cbor" })),
    };
    asked.bytes(&entity, &bytes)
}

/// The block for people.
async fn shown(asked: &Asked<'_>, cid: Cid, own: Format) -> Result<Response, Failure> {
    let etag = page_etag("DagIndex", &cid);
    let bytes = block(asked, cid).await?;
    let namespace = asked.origin.namespace();
    let codec = own.word();
    let (parts, is_cut) = match preview::read(codec, &bytes) {
        Ok(value) => preview::parts(&value, &namespace),
        Err(why) => {
            let why = format!("The block can't be read as {codec}: {why}");
            (vec![views::listing::Part::text(why)], false)
        }
    };
    let size_bytes = bytes.len() as u64;
    let here = asked
        .origin
        .path(&asked.address.root_text, &asked.address.segments);
    let page = DagPage {
        cid: &cid.to_string(),
        codec,
        size_bytes,
        here: if here.is_empty() { "/" } else { &here },
        parts: &parts,
        is_cut,
    };
    generated(asked, &etag, &page)
}

async fn block(asked: &Asked<'_>, cid: Cid) -> Result<Bytes, Failure> {
    let deadline = Instant::now() + asked.gate.settings().limits.first_byte;
    let node = asked.gate.node();
    let is_raw = asked.wish.format == Some(Format::Raw);
    let block = match asked.own_block() {
        Some(entry) if !is_raw => node.block(asked.viewer, entry),
        _ => node.ipfs_block(asked.viewer, cid),
    };
    let block = within(deadline, cid, block).await;
    block.map_err(|error| asked.failure(error))
}
