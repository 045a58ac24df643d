mod properties;
mod refusals;
mod torrents;

use crate::bencode::Item;

/// An info dictionary of one file of 3 bytes, with fields replaced or added by others, or left out.
fn info<'a>(with: &[(&'a str, Item<'a>)], without: &[&str]) -> Vec<u8> {
    let fields = [
        ("length", Item::Integer(3)),
        ("name", "a".into()),
        ("piece length", Item::Integer(2)),
        ("pieces", Item::Bytes(&[7; 40])),
    ];
    let fields = fields.into_iter().chain(with.iter().cloned());
    Item::dict(fields.filter(|(key, _)| !without.contains(key))).encode()
}

/// A file of an album.
fn file<'a>(path: &[&'a str], length: i64) -> Item<'a> {
    let path = path.iter().map(|part| Item::from(*part)).collect();
    Item::dict([
        ("length", Item::Integer(length)),
        ("path", Item::List(path)),
    ])
}

/// An info dictionary of an album with these files, which have 3 bytes together.
fn album(files: Vec<Item<'_>>) -> Vec<u8> {
    info(&[("files", Item::List(files))], &["length"])
}
