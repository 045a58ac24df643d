//! Writing.

use std::collections::BTreeMap;

use super::Value;

/// A value to be written. Dictionaries are sorted and have no key twice, by construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A number.
    Integer(i64),
    /// A byte string.
    Bytes(&'a [u8]),
    /// A list.
    List(Vec<Item<'a>>),
    /// A dictionary.
    Dict(BTreeMap<&'a [u8], Item<'a>>),
    /// A value that was read, as it was received.
    Value(Value<'a>),
}

impl<'a> Item<'a> {
    /// A dictionary; of entries with the same key, the last stays.
    pub fn dict(entries: impl IntoIterator<Item = (&'a str, Item<'a>)>) -> Self {
        let entries = entries
            .into_iter()
            .map(|(key, item)| (key.as_bytes(), item));
        Self::Dict(entries.collect())
    }

    /// Its canonical encoding. [`super::decode`] reads it when it nests no deeper than
    /// [`super::MAX_NESTING`].
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::new();
        self.put(&mut to);
        to
    }

    fn put(&self, to: &mut Vec<u8>) {
        match self {
            Self::Integer(number) => {
                to.extend_from_slice(format!("i{number}e").as_bytes());
            }
            Self::Bytes(bytes) => put_bytes(to, bytes),
            Self::List(items) => {
                to.push(b'l');
                for item in items {
                    item.put(to);
                }
                to.push(b'e');
            }
            Self::Dict(entries) => {
                to.push(b'd');
                for (key, item) in entries {
                    put_bytes(to, key);
                    item.put(to);
                }
                to.push(b'e');
            }
            Self::Value(value) => to.extend_from_slice(value.encoded()),
        }
    }
}

impl<'a> From<&'a str> for Item<'a> {
    fn from(text: &'a str) -> Self {
        Self::Bytes(text.as_bytes())
    }
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(format!("{}:", bytes.len()).as_bytes());
    to.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bencode::decode;

    #[test]
    fn values_are_written() {
        // the examples of BEP 3, and the ends of the ranges
        let table: [(Item<'_>, &[u8]); 9] = [
            ("spam".into(), b"4:spam"),
            ("".into(), b"0:"),
            (Item::Integer(3), b"i3e"),
            (Item::Integer(-3), b"i-3e"),
            (Item::Integer(0), b"i0e"),
            (Item::Integer(i64::MIN), b"i-9223372036854775808e"),
            (
                Item::List(vec!["spam".into(), "eggs".into()]),
                b"l4:spam4:eggse",
            ),
            (
                Item::dict([("spam", "eggs".into()), ("cow", "moo".into())]),
                b"d3:cow3:moo4:spam4:eggse",
            ),
            (
                Item::dict([("spam", Item::List(vec!["a".into(), "b".into()]))]),
                b"d4:spaml1:a1:bee",
            ),
        ];
        for (item, bytes) in table {
            assert_eq!(item.encode(), bytes);
            assert_eq!(Item::Value(decode(bytes).unwrap()).encode(), bytes);
        }
    }

    #[test]
    fn a_key_stands_once() {
        let twice = Item::dict([("a", Item::Integer(1)), ("a", Item::Integer(2))]);
        assert_eq!(twice.encode(), b"d1:ai2ee");
    }
}
