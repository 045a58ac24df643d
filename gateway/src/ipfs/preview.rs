//! Data blocks as text for people, with their links.

use std::fmt::Write as _;

use cid::Cid;
use data_encoding::{BASE64_NOPAD, HEXLOWER};
use ipld_core::ipld::Ipld;
use serde_json::Value;
use views::listing::Part;

use super::address::parse_cid;

/// Text of a preview, in bytes; what a block has beyond is left out.
const MAX_TEXT: usize = 256 * 1024;
/// Levels that are shown.
const MAX_DEPTH: usize = 64;
/// Bytes of a byte string that are shown.
const MAX_SHOWN_BYTES: usize = 64;

/// Reads a block of `dag-cbor` or `dag-json`.
///
/// # Errors
/// Why it can't be read.
pub fn read(codec: &str, bytes: &[u8]) -> Result<Ipld, String> {
    if codec == "dag-json" {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        Ok(of_json(value))
    } else {
        serde_ipld_dagcbor::from_slice(bytes).map_err(|error| error.to_string())
    }
}

fn of_json(value: Value) -> Ipld {
    match value {
        Value::Null => Ipld::Null,
        Value::Bool(value) => Ipld::Bool(value),
        Value::Number(number) => match number.as_i128() {
            Some(integer) => Ipld::Integer(integer),
            None => Ipld::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Ipld::String(text),
        Value::Array(items) => Ipld::List(items.into_iter().map(of_json).collect()),
        Value::Object(fields) => match special(&fields) {
            Some(value) => value,
            None => Ipld::Map(
                fields
                    .into_iter()
                    .map(|(name, value)| (name, of_json(value)))
                    .collect(),
            ),
        },
    }
}

/// `{"/": "bafy..."}` is a link and `{"/": {"bytes": "..."}}` are bytes (dag-json).
fn special(fields: &serde_json::Map<String, Value>) -> Option<Ipld> {
    if fields.len() != 1 {
        return None;
    }
    match fields.get("/")? {
        Value::String(cid) => parse_cid(cid).ok().map(Ipld::Link),
        Value::Object(inner) if inner.len() == 1 => {
            let bytes = inner.get("bytes")?.as_str()?;
            BASE64_NOPAD.decode(bytes.as_bytes()).ok().map(Ipld::Bytes)
        }
        _ => None,
    }
}

/// The text of a value in pieces; links lead to `{namespace}{cid}`. The second is true if the end
/// was left out.
pub fn parts(value: &Ipld, namespace: &str) -> (Vec<Part>, bool) {
    let mut writer = Writer {
        parts: Vec::new(),
        text: String::new(),
        written: 0,
        namespace,
        is_cut: false,
    };
    writer.value(value, 0);
    let text = std::mem::take(&mut writer.text);
    writer.parts.push(Part::text(text));
    (writer.parts, writer.is_cut)
}

struct Writer<'a> {
    parts: Vec<Part>,
    text: String,
    written: usize,
    namespace: &'a str,
    is_cut: bool,
}

impl Writer<'_> {
    fn push(&mut self, text: &str) {
        if self.written + text.len() > MAX_TEXT {
            self.is_cut = true;
            return;
        }
        self.written += text.len();
        self.text.push_str(text);
    }

    fn line(&mut self, depth: usize) {
        self.push("\n");
        for _ in 0..depth {
            self.push("  ");
        }
    }

    fn value(&mut self, value: &Ipld, depth: usize) {
        if self.is_cut {
            return;
        }
        if depth > MAX_DEPTH {
            self.push("…");
            self.is_cut = true;
            return;
        }
        match value {
            Ipld::Null => self.push("null"),
            Ipld::Bool(value) => self.push(if *value { "true" } else { "false" }),
            Ipld::Integer(integer) => self.push(&integer.to_string()),
            Ipld::Float(number) => self.push(&format!("{number:?}")),
            Ipld::String(text) => self.push(&quoted(text)),
            Ipld::Bytes(bytes) => self.bytes(bytes),
            Ipld::Link(cid) => self.link(cid),
            Ipld::List(items) => {
                let items = items.iter().map(|item| (None, item));
                self.items(('[', ']'), items, depth);
            }
            Ipld::Map(fields) => {
                let fields = fields.iter().map(|(name, value)| (Some(name), value));
                self.items(('{', '}'), fields, depth);
            }
        }
    }

    fn items<'v>(
        &mut self,
        (open, close): (char, char),
        items: impl Iterator<Item = (Option<&'v String>, &'v Ipld)>,
        depth: usize,
    ) {
        self.push(&open.to_string());
        let mut is_first = true;
        for (name, value) in items {
            if !is_first {
                self.push(",");
            }
            is_first = false;
            self.line(depth + 1);
            if let Some(name) = name {
                self.push(&quoted(name));
                self.push(": ");
            }
            self.value(value, depth + 1);
            if self.is_cut {
                return;
            }
        }
        if !is_first {
            self.line(depth);
        }
        self.push(&close.to_string());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let shown = bytes.get(..MAX_SHOWN_BYTES).unwrap_or(bytes);
        let mut text = format!("h'{}", HEXLOWER.encode(shown));
        if shown.len() < bytes.len() {
            // Writing to a string can't fail.
            let _ = write!(text, "… ({} bytes)", bytes.len());
        }
        text.push('\'');
        self.push(&text);
    }

    fn link(&mut self, cid: &Cid) {
        let cid = cid.to_string();
        if self.written + 2 * cid.len() > MAX_TEXT {
            self.is_cut = true;
            return;
        }
        self.written += 2 * cid.len();
        let before = std::mem::take(&mut self.text);
        self.parts.push(Part::text(before));
        self.parts
            .push(Part::link(format!("{}{cid}", self.namespace), cid));
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(parts: &[Part]) -> String {
        parts.iter().map(|part| part.text.clone()).collect()
    }

    #[test]
    fn a_block_is_written_with_its_links() {
        let cid = "bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
        let json = format!(
            r#"{{"a": [1, -2.5, null, true, "x\"<b>"], "b": {{"/": {{"bytes": "AQL/"}}}}, "c": {{"/": "{cid}"}}, "d": {{}}}}"#
        );
        let value = read("dag-json", json.as_bytes()).unwrap();
        let (parts, is_cut) = parts(&value, "/ipfs/");
        assert!(!is_cut);
        let expected = format!(
            "{{\n  \"a\": [\n    1,\n    -2.5,\n    null,\n    true,\n    \"x\\\"<b>\"\n  ],\n  \
             \"b\": h'0102ff',\n  \"c\": {cid},\n  \"d\": {{}}\n}}"
        );
        assert_eq!(text(&parts), expected);
        let links: Vec<_> = parts
            .iter()
            .filter_map(|part| part.path.as_deref())
            .collect();
        assert_eq!(links, [format!("/ipfs/{cid}")]);
        assert_eq!(
            read("dag-cbor", b"\xa1\x61a\x01").unwrap(),
            read("dag-json", b"{\"a\":1}").unwrap()
        );
        let followed = read(
            "dag-json",
            format!("{{\"/\":\"{cid}junkjunk\"}}").as_bytes(),
        );
        assert!(matches!(followed, Ok(Ipld::Map(_))), "{followed:?}");
        for bad in [("dag-cbor", &b"\xa1"[..]), ("dag-json", b"{")] {
            read(bad.0, bad.1).unwrap_err();
        }
    }

    #[test]
    fn a_large_or_deep_block_is_cut() {
        let large = Ipld::List(vec![Ipld::String("x".repeat(1000)); 1000]);
        let (shown, is_cut) = parts(&large, "/ipfs/");
        assert!(is_cut && text(&shown).len() <= MAX_TEXT);
        let deep = (0..200).fold(Ipld::Null, |inner, _| Ipld::List(vec![inner]));
        assert!(parts(&deep, "/ipfs/").1);
    }
}
