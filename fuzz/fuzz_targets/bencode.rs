//! A value that is read is written as it was, and all in it know their place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use torrent::bencode::{Item, Kind, Value, decode, decode_prefix};

fuzz_target!(|bytes: &[u8]| {
    let Ok((value, rest)) = decode_prefix(bytes) else {
        assert!(decode(bytes).is_err());
        return;
    };
    assert_eq!(decode(bytes).is_ok(), rest.is_empty());
    assert_eq!([value.encoded(), rest].concat(), bytes);
    assert_eq!(again(value, bytes).encode(), value.encoded());
});

fn again<'a>(value: Value<'a>, bytes: &[u8]) -> Item<'a> {
    assert_eq!(value.encoded(), &bytes[value.span()]);
    match value.kind() {
        Kind::Integer(number) => Item::Integer(number),
        Kind::Bytes(string) => Item::Bytes(string),
        Kind::List(items) => Item::List(items.map(|item| again(item, bytes)).collect()),
        Kind::Dict(entries) => {
            let entries = entries.map(|(key, value)| (key, again(value, bytes)));
            Item::Dict(entries.collect())
        }
    }
}
