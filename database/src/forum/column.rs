//! Columns of rows that were checked against their schema.

use model::{BlobId, Ipld, Row};

use super::Media;

pub(crate) fn text<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    match row.get(name) {
        Some(Ipld::String(text)) => Some(text),
        _ => None,
    }
}

pub(crate) fn owned(row: &Row, name: &str) -> Option<String> {
    text(row, name).map(str::to_owned)
}

pub(crate) fn int(row: &Row, name: &str) -> Option<i64> {
    match row.get(name) {
        Some(Ipld::Integer(number)) => i64::try_from(*number).ok(),
        _ => None,
    }
}

pub(crate) fn flag(row: &Row, name: &str) -> bool {
    row.get(name) == Some(&Ipld::Bool(true))
}

pub(crate) fn blob(row: &Row, name: &str) -> Option<BlobId> {
    row.get(name).and_then(as_blob)
}

pub(crate) fn texts(row: &Row, name: &str) -> Vec<String> {
    list(row, name)
        .iter()
        .filter_map(|item| match item {
            Ipld::String(text) => Some(text.clone()),
            _ => None,
        })
        .collect()
}

fn list<'a>(row: &'a Row, name: &str) -> &'a [Ipld] {
    match row.get(name) {
        Some(Ipld::List(list)) => list,
        _ => &[],
    }
}

fn bytes<'a>(row: &'a Row, name: &str) -> Option<&'a [u8]> {
    match row.get(name) {
        Some(Ipld::Bytes(bytes)) => Some(bytes),
        _ => None,
    }
}

fn as_blob(value: &Ipld) -> Option<BlobId> {
    match value {
        Ipld::Link(cid) => BlobId::try_from(cid).ok(),
        _ => None,
    }
}

/// The media of a post.
pub(crate) fn media(row: &Row) -> Vec<Media> {
    list(row, "media").iter().filter_map(record).collect()
}

fn record(value: &Ipld) -> Option<Media> {
    let Ipld::Map(row) = value else {
        return None;
    };
    let unsigned = |name| int(row, name).and_then(|number| u64::try_from(number).ok());
    let pixels = |name| unsigned(name).and_then(|number| u32::try_from(number).ok());
    Some(Media {
        blob: blob(row, "blob")?,
        size_bytes: unsigned("size").unwrap_or(0),
        media_type: owned(row, "type").unwrap_or_default(),
        name: owned(row, "name").unwrap_or_default(),
        alt: owned(row, "alt"),
        width: pixels("width"),
        height: pixels("height"),
        duration_ms: unsigned("duration_ms"),
        thumb: blob(row, "thumb"),
        wave: blob(row, "wave"),
        captions: list(row, "captions").iter().filter_map(as_blob).collect(),
        infohash: bytes(row, "infohash").and_then(|bytes| bytes.try_into().ok()),
    })
}
