//! A denylist file: its header, its lines, and what they say of a name (IPIP-383, "File syntax").

use std::collections::BTreeMap;

use cid::multihash::Multihash;

use super::{
    hashes::Asked,
    rule::{self, DIGEST_BYTES, LineFault, PathRule, Rule, Target},
};

/// Longest line with its end, bytes ("File syntax").
pub(super) const MAX_LINE_BYTES: usize = 2 << 20;
/// Longest header, bytes ("Header").
const MAX_HEADER_BYTES: usize = 1 << 20;
/// The version of the format that is read here.
const VERSION: &str = "1";
/// The line between header and rules.
const SEPARATOR: &[u8] = b"---";
/// Most rules of one list; what lies behind is not read.
pub(super) const MAX_RULES: usize = 4_000_000;
/// Faulty lines that are told one by one.
const FAULTS: usize = 20;

/// A rule's place in its list, and its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    at: u32,
    is_allow: bool,
}

/// A list as it was read.
#[derive(Debug, Default)]
pub(super) struct List {
    reason: Option<String>,
    content: BTreeMap<Vec<u8>, Vec<(PathRule, Mark)>>,
    /// Sorted by digest, then by place, once the list is read.
    hashed: BTreeMap<u64, Vec<([u8; DIGEST_BYTES], Mark)>>,
    reasons: BTreeMap<u32, String>,
    rules: u32,
}

/// What a list says of a name and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Denied, and why if that was written down.
    Deny(Option<String>),
    /// Taken back.
    Allow,
}

/// What is wrong with a list, told once each time that it is read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Faults {
    /// The first faulty lines, by their number.
    pub(super) lines: Vec<(u64, LineFault)>,
    /// How many there are in all.
    pub(super) count: u64,
    /// Rules behind the limit, not read.
    pub(super) is_cut: bool,
    /// The header can't be read, so the whole list isn't.
    pub(super) header: Option<String>,
}

impl List {
    /// How many rules it has.
    pub(super) fn rules(&self) -> u32 {
        self.rules
    }

    /// The hash functions of its double hashes.
    pub(super) fn functions(&self) -> impl Iterator<Item = u64> + '_ {
        self.hashed.keys().copied()
    }

    /// The last rule that is about this name and path, under any of the names of the same bytes.
    pub(super) fn verdict(&self, names: &[Asked]) -> Option<Verdict> {
        let last = names.iter().filter_map(|asked| self.last(asked)).max()?;
        Some(if last.is_allow {
            Verdict::Allow
        } else {
            let reason = self.reasons.get(&last.at).or(self.reason.as_ref());
            Verdict::Deny(reason.cloned())
        })
    }

    fn last(&self, asked: &Asked) -> Option<Mark> {
        let direct = self.content.get(asked.multihash());
        let direct = direct.into_iter().flatten();
        let direct = direct.filter(|(path, _)| path.matches(asked.path()));
        let hashed = asked.hashes().iter().filter_map(|(code, digest)| {
            let table = self.hashed.get(code)?;
            let behind = table.partition_point(|(found, _)| found <= digest);
            let (found, mark) = table.get(behind.checked_sub(1)?)?;
            (found == digest).then_some(*mark)
        });
        direct.map(|(_, mark)| *mark).chain(hashed).max()
    }

    /// The hashes that it names outright, denied or taken back.
    pub(super) fn named(&self) -> impl Iterator<Item = Multihash<64>> + '_ {
        let hashes = self.content.keys();
        hashes.filter_map(|bytes| Multihash::from_bytes(bytes).ok())
    }

    fn add(&mut self, rule: Rule) {
        let mark = Mark {
            at: self.rules,
            is_allow: rule.is_allow,
        };
        self.rules += 1;
        if let Some(reason) = rule.reason {
            self.reasons.insert(mark.at, reason);
        }
        match rule.target {
            Target::Content { multihash, path } => {
                self.content
                    .entry(multihash)
                    .or_default()
                    .push((path, mark));
            }
            Target::Hashed(hashes) => {
                for hash in hashes {
                    let table = self.hashed.entry(hash.code).or_default();
                    table.push((hash.digest, mark));
                }
            }
            Target::Name => {}
        }
    }

    /// The header's lines: a subset of YAML, of which version, name and hints mean something here.
    fn read_header(&mut self, header: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(header).map_err(|_| "it is not UTF-8".to_owned())?;
        let mut is_hints = false;
        for line in text.lines() {
            let is_nested = line.starts_with([' ', '\t', '-']);
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if is_nested {
                if let Some((key, value)) = line.split_once(':').filter(|_| is_hints) {
                    let hint = (key.trim(), unquoted(value));
                    self.reason = rule::reason(hint).or_else(|| self.reason.take());
                }
                continue;
            }
            let Some((key, value)) = line.split_once(':') else {
                return Err(format!("`{}` is no `key: value`", shown(line)));
            };
            if key.contains(['/', ' ']) {
                return Err(format!("`{}` is no field of a header", shown(line)));
            }
            is_hints = key == "hints";
            if key == "version" && unquoted(value) != VERSION {
                return Err(format!(
                    "version {} is not known here",
                    shown(unquoted(value))
                ));
            }
        }
        Ok(())
    }
}

fn unquoted(value: &str) -> &str {
    let value = value.trim();
    let inner = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Reads a list from its bytes as they come, in bounded memory besides the rules.
#[derive(Debug, Default)]
pub(super) struct ListReader {
    list: List,
    faults: Faults,
    /// A line that has not ended, or everything while the header may still come.
    held: Vec<u8>,
    /// How far `held` was looked through for the end of the header.
    looked: usize,
    is_in_header: Option<bool>,
    /// The rest of a line that is too long is passed over.
    is_skipping: bool,
    line: u64,
}

impl ListReader {
    /// At the beginning of a file.
    pub(super) fn new() -> Self {
        Self {
            is_in_header: Some(true),
            ..Self::default()
        }
    }

    /// Takes more bytes; false when nothing behind them is needed.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        if self.is_in_header == Some(true) {
            self.held.extend_from_slice(bytes);
            self.look_for_header(false);
        } else {
            self.lines(bytes);
        }
        self.faults.header.is_none() && !self.faults.is_cut
    }

    /// The list, at the end of the file. A list with a faulty header has no rules.
    pub(super) fn finish(mut self) -> (List, Faults) {
        if self.is_in_header == Some(true) {
            self.look_for_header(true);
        }
        if !self.held.is_empty() && !self.is_skipping {
            let last = std::mem::take(&mut self.held);
            self.rule(&last);
        }
        if self.faults.header.is_some() {
            self.list = List::default();
        }
        for table in self.list.hashed.values_mut() {
            table.sort_unstable();
        }
        (self.list, self.faults)
    }

    fn look_for_header(&mut self, is_end: bool) {
        let mut from = self.looked;
        while let Some(length) = self.held[from..].iter().position(|byte| *byte == b'\n') {
            let end = from + length;
            let line = &self.held[from..end];
            if end >= MAX_HEADER_BYTES {
                break;
            }
            self.line += 1;
            if line.strip_suffix(b"\r").unwrap_or(line) == SEPARATOR {
                self.is_in_header = Some(false);
                let held = std::mem::take(&mut self.held);
                self.faults.header = self.list.read_header(&held[..from]).err();
                self.lines(&held[end + 1..]);
                return;
            }
            from = end + 1;
        }
        self.looked = from;
        if is_end || self.held.len() >= MAX_HEADER_BYTES {
            // No header: everything so far are rules.
            self.is_in_header = Some(false);
            self.line = 0;
            let held = std::mem::take(&mut self.held);
            self.lines(&held);
        }
    }

    fn lines(&mut self, mut bytes: &[u8]) {
        while !self.faults.is_cut && self.faults.header.is_none() {
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                self.hold(bytes);
                return;
            };
            self.hold(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.held);
            if std::mem::take(&mut self.is_skipping) {
                self.line += 1;
                self.fault(LineFault::TooLong(MAX_LINE_BYTES));
            } else {
                self.rule(&line);
            }
            // The room is used again.
            self.held = line;
            self.held.clear();
        }
    }

    fn hold(&mut self, part: &[u8]) {
        if self.held.len() + part.len() >= MAX_LINE_BYTES {
            self.is_skipping = true;
        }
        if self.is_skipping {
            self.held.clear();
        } else {
            self.held.extend_from_slice(part);
        }
    }

    fn rule(&mut self, line: &[u8]) {
        self.line += 1;
        match Rule::parse(line) {
            Ok(None) => {}
            Ok(Some(_)) if self.list.rules as usize >= MAX_RULES => self.faults.is_cut = true,
            Ok(Some(rule)) => self.list.add(rule),
            Err(fault) => self.fault(fault),
        }
    }

    fn fault(&mut self, fault: LineFault) {
        self.faults.count += 1;
        if self.faults.lines.len() < FAULTS {
            self.faults.lines.push((self.line, fault));
        }
    }
}

#[cfg(test)]
mod tests;
