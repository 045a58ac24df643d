//! Rows of the forum and profile schemas, from what a person asked for.

use std::collections::BTreeMap;

use gateway::api::types::{BlobAdded, NewPost, NewSpace, Policy};
use model::{BlobId, EntryId, IdentityId, Ipld, Row};

/// A row under construction; absent optional columns are left out.
#[derive(Debug, Default)]
pub struct RowBuilder(Row);

impl RowBuilder {
    /// A text column.
    pub fn text(mut self, column: &str, text: impl Into<String>) -> Self {
        self.0.insert(column.to_owned(), Ipld::String(text.into()));
        self
    }

    /// A text column, if there is something to say.
    pub fn text_if(self, column: &str, text: Option<&str>) -> Self {
        match text.filter(|text| !text.is_empty()) {
            Some(text) => self.text(column, text),
            None => self,
        }
    }

    /// An int column.
    pub fn int(mut self, column: &str, number: impl Into<i128>) -> Self {
        self.0
            .insert(column.to_owned(), Ipld::Integer(number.into()));
        self
    }

    /// An int column, if the number is known.
    pub fn int_if(self, column: &str, number: Option<impl Into<i128>>) -> Self {
        match number {
            Some(number) => self.int(column, number),
            None => self,
        }
    }

    /// A bool column.
    pub fn flag(mut self, column: &str, flag: bool) -> Self {
        self.0.insert(column.to_owned(), Ipld::Bool(flag));
        self
    }

    /// A ref column.
    pub fn entry(mut self, column: &str, entry: EntryId) -> Self {
        self.0.insert(column.to_owned(), Ipld::Link(entry.to_cid()));
        self
    }

    /// A column that names a space or an identity.
    pub fn identity(self, column: &str, identity: IdentityId) -> Self {
        self.entry(column, identity.entry())
    }

    /// A blob column.
    pub fn blob(mut self, column: &str, blob: BlobId) -> Self {
        self.0.insert(column.to_owned(), Ipld::Link(blob.to_cid()));
        self
    }

    /// A bytes column.
    pub fn bytes(mut self, column: &str, bytes: &[u8]) -> Self {
        self.0
            .insert(column.to_owned(), Ipld::Bytes(bytes.to_vec()));
        self
    }

    /// A list column.
    pub fn list(mut self, column: &str, items: Vec<Ipld>) -> Self {
        self.0.insert(column.to_owned(), Ipld::List(items));
        self
    }

    /// The row.
    pub fn build(self) -> Row {
        self.0
    }

    fn record(self) -> Ipld {
        Ipld::Map(self.0)
    }
}

/// Texts as a list column holds them.
pub fn texts(texts: &[String]) -> Vec<Ipld> {
    texts
        .iter()
        .map(|text| Ipld::String(text.clone()))
        .collect()
}

/// A post.
pub fn post(new: &NewPost, media: Vec<Ipld>) -> Row {
    let mut row = RowBuilder::default()
        .text_if("title", new.title.as_deref())
        .text_if("url", new.url.as_deref())
        .text("body", &new.body)
        .list("media", media)
        .text_if("lang", new.lang.as_deref())
        .flag("nsfw", new.nsfw);
    if let Some(parent) = new.reply_to {
        row = row.entry("parent", parent);
    }
    row.build()
}

/// A medium of a post.
///
/// The infohash is that of what goes into swarms by its author's consent.
pub fn medium(
    blob: BlobId,
    added: &BlobAdded,
    name: &str,
    alt: Option<&str>,
    infohash: Option<[u8; 20]>,
) -> Ipld {
    let mut row = RowBuilder::default()
        .blob("blob", blob)
        .int("size", added.size_bytes)
        .text("type", &added.media_type)
        .text("name", name)
        .text_if("alt", alt)
        .int_if("width", added.width)
        .int_if("height", added.height)
        .int_if("duration_ms", added.duration_ms)
        .list("captions", Vec::new());
    if let Some(thumb) = added.thumb.as_deref().and_then(|thumb| thumb.parse().ok()) {
        row = row.blob("thumb", thumb);
    }
    if let Some(infohash) = infohash {
        row = row.bytes("infohash", &infohash);
    }
    row.record()
}

/// A board's own row.
pub fn board(new: &NewSpace) -> Row {
    RowBuilder::default()
        .text("title", &new.title)
        .text("about", &new.about)
        .text("rules", &new.rules)
        .text("lang", &new.lang)
        .list("homes", Vec::new())
        .text("policy", Policy::as_str(new.policy))
        .int_if("price_sats", new.price_sats)
        .build()
}

/// The genesis of a space with a schema.
pub fn genesis(unlisted: bool) -> Row {
    BTreeMap::from([("unlisted".to_owned(), Ipld::Bool(unlisted))])
}

/// A vote.
pub fn vote(on: EntryId, dir: i8) -> Row {
    RowBuilder::default()
        .entry("on", on)
        .int("dir", dir)
        .build()
}

/// A moderator's mark.
pub fn mark(on: EntryId, act: &str, off: bool, why: Option<&str>) -> Row {
    RowBuilder::default()
        .entry("on", on)
        .text("act", act)
        .flag("off", off)
        .text_if("why", why)
        .build()
}

/// A report.
pub fn report(on: EntryId, why: &str) -> Row {
    RowBuilder::default()
        .entry("on", on)
        .text("why", why)
        .build()
}

/// An edit.
pub fn revision(of: EntryId, body: &str) -> Row {
    RowBuilder::default()
        .entry("of", of)
        .text("body", body)
        .build()
}

/// A proof of a payment on a chain.
pub fn payment(vote: EntryId, proof: &[u8]) -> Row {
    RowBuilder::default()
        .entry("vote", vote)
        .text("class", "chain")
        .bytes("proof", proof)
        .build()
}

/// A payment key.
pub fn payment_key(network: &str, key: &[u8], address: Option<&str>, off: bool) -> Row {
    RowBuilder::default()
        .text("class", "chain")
        .text("network", network)
        .bytes("key", key)
        .text_if("address", address)
        .flag("off", off)
        .build()
}
