//! Metainfo files: `.torrent`.

use crate::{
    HostPort, Info, Magnet, MetainfoFault,
    bencode::{self, Item, Value},
};

/// The largest metainfo file or info dictionary that is read, bytes.
pub const MAX_METAINFO_BYTES: usize = 16 << 20;
/// As many trackers, DHT nodes and web seeds each are taken from a file or link; what comes after
/// is passed over.
pub const MAX_ADDRESSES: usize = 1000;

/// A metainfo file: what is shared, and hints where to find it (BEP 3, 5, 12, 19).
///
/// The hints are not part of the infohash, and anyone can change them: those that are not what they
/// should be are passed over, as are fields that are not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metainfo {
    /// What is shared.
    pub info: Info,
    /// A tracker's URL; see [`Self::tiers`].
    pub announce: Option<String>,
    /// Trackers' URLs in tiers, the first to be asked first (BEP 12).
    pub announce_list: Vec<Vec<String>>,
    /// Nodes of the DHT to start from (BEP 5). Not to be asked about a private torrent.
    pub nodes: Vec<HostPort>,
    /// URLs of web seeds (BEP 19): of the file, or what album and path are appended to when it ends
    /// with `/`.
    pub url_list: Vec<String>,
    /// Whatever the maker says.
    pub comment: Option<String>,
    /// The program that made it.
    pub created_by: Option<String>,
    /// When it was made, seconds since 1970 UTC, as the maker says.
    pub creation_date_s: Option<i64>,
}

impl Metainfo {
    /// Without hints.
    pub fn new(info: Info) -> Self {
        Self {
            info,
            announce: None,
            announce_list: Vec::new(),
            nodes: Vec::new(),
            url_list: Vec::new(),
            comment: None,
            created_by: None,
            creation_date_s: None,
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When the file is larger than [`MAX_METAINFO_BYTES`], not canonical bencode, or its info
    /// dictionary can't be used.
    pub fn decode(bytes: &[u8]) -> Result<Self, MetainfoFault> {
        check_size(bytes)?;
        let file = bencode::decode(bytes)?;
        let info = file.get(b"info");
        let Some(entries) = file.entries() else {
            return Err(MetainfoFault::Type {
                field: "the file",
                expected: "dictionary",
                at: 0,
            });
        };
        let info = info.ok_or(MetainfoFault::Missing { field: "info" })?;
        let mut metainfo = Self::new(Info::read(info)?);
        let mut comment_utf8 = None;
        for (key, value) in entries {
            match key {
                b"announce" => metainfo.announce = text(value),
                b"announce-list" => metainfo.announce_list = tiers(value),
                b"comment" => metainfo.comment = text(value),
                b"comment.utf-8" => comment_utf8 = text(value),
                b"created by" => metainfo.created_by = text(value),
                b"creation date" => metainfo.creation_date_s = value.integer(),
                b"nodes" => metainfo.nodes = nodes(value),
                b"url-list" => metainfo.url_list = urls(value),
                _ => {}
            }
        }
        metainfo.comment = metainfo.comment.or(comment_utf8);
        Ok(metainfo)
    }

    /// The file's bytes. Reading them gives the same, as long as no text is empty and no list longer
    /// than [`MAX_ADDRESSES`].
    pub fn encode(&self) -> Vec<u8> {
        let texts = [
            ("announce", &self.announce),
            ("comment", &self.comment),
            ("created by", &self.created_by),
        ];
        let texts = texts
            .into_iter()
            .filter_map(|(key, text)| Some((key, text.as_deref()?.into())));
        let tiers = self.announce_list.iter().map(|tier| list(tier)).collect();
        let nodes = self.nodes.iter().map(|node| {
            let port = Item::Integer(node.port().into());
            Item::List(vec![node.host().into(), port])
        });
        let lists = [
            ("announce-list", Item::List(tiers)),
            ("nodes", Item::List(nodes.collect())),
            ("url-list", list(&self.url_list)),
        ];
        let lists = lists
            .into_iter()
            .filter(|(_, list)| *list != Item::List(Vec::new()));
        let date = self.creation_date_s;
        let date = date.map(|seconds| ("creation date", Item::Integer(seconds)));
        let info = ("info", Item::Value(Value::known(self.info.encoded())));
        Item::dict(texts.chain(lists).chain(date).chain([info])).encode()
    }

    /// The trackers to ask, tier by tier: `announce` counts only where there is no list (BEP 12).
    pub fn tiers(&self) -> Vec<Vec<String>> {
        if self.announce_list.is_empty() {
            let single = self.announce.iter().cloned();
            return single.map(|tracker| vec![tracker]).collect();
        }
        self.announce_list.clone()
    }

    /// A link to the torrent, with its name, trackers and web seeds.
    pub fn magnet(&self) -> Magnet {
        Magnet {
            name: Some(self.info.name().to_owned()),
            trackers: self.tiers().into_iter().flatten().collect(),
            web_seeds: self.url_list.clone(),
            ..Magnet::new(self.info.infohash())
        }
    }
}

/// Checks that a description isn't too large to be looked at.
pub(crate) fn check_size(bytes: &[u8]) -> Result<(), MetainfoFault> {
    let size_bytes = bytes.len();
    if size_bytes > MAX_METAINFO_BYTES {
        return Err(MetainfoFault::TooLarge { size_bytes });
    }
    Ok(())
}

fn list(texts: &[String]) -> Item<'_> {
    Item::List(texts.iter().map(|text| text.as_str().into()).collect())
}

/// A hint that says something.
fn text(value: Value<'_>) -> Option<String> {
    let text = value.text()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn tiers(value: Value<'_>) -> Vec<Vec<String>> {
    let mut room = MAX_ADDRESSES;
    let mut tiers = Vec::new();
    for tier in value.items().into_iter().flatten() {
        let urls = tier.items().into_iter().flatten().filter_map(text);
        let tier: Vec<String> = urls.take(room).collect();
        room -= tier.len();
        if !tier.is_empty() {
            tiers.push(tier);
        }
    }
    tiers
}

fn nodes(value: Value<'_>) -> Vec<HostPort> {
    let nodes = value.items().into_iter().flatten().filter_map(|node| {
        let mut parts = node.items()?;
        let host = parts.next()?.text()?;
        let port = u16::try_from(parts.next()?.integer()?).ok()?;
        HostPort::new(host, port).ok()
    });
    nodes.take(MAX_ADDRESSES).collect()
}

/// One URL or a list of them (BEP 19).
fn urls(value: Value<'_>) -> Vec<String> {
    let one = text(value).into_iter();
    let many = value.items().into_iter().flatten().filter_map(text);
    one.chain(many).take(MAX_ADDRESSES).collect()
}
