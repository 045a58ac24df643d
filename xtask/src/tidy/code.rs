//! Reading Rust source just closely enough: what is code, what is comment, what is test.

use std::ops::Range;

/// What a byte of a source file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// A source file taken apart. All views keep line numbers.
#[derive(Debug)]
pub struct Source {
    code: String,
    comments: String,
    tests: Vec<Range<usize>>,
    test_modules: Vec<String>,
}

impl Source {
    /// Takes a file apart.
    pub fn parse(text: &str) -> Self {
        let kinds = classify(text.as_bytes());
        let mut code = view(text, &kinds, Kind::Code);
        let comments = view(text, &kinds, Kind::Comment);
        let tests = test_items(&code);
        let test_modules = tests
            .iter()
            .filter_map(|range| declared_module(&code[range.clone()]))
            .collect();
        for range in &tests {
            let blank = blanked(&code[range.clone()]);
            code.replace_range(range.clone(), &blank);
        }
        Self {
            code,
            comments,
            tests,
            test_modules,
        }
    }

    /// Names of modules in files of their own that only tests compile: `#[cfg(test)] mod name;`.
    pub fn test_modules(&self) -> &[String] {
        &self.test_modules
    }

    /// Code without comments, literals and `#[cfg(test)]` items.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Comments alone.
    pub fn comments(&self) -> &str {
        &self.comments
    }

    /// Lines of the file that no `#[cfg(test)]` item takes up.
    pub fn lines_without_tests(&self) -> usize {
        let in_tests: usize = self
            .tests
            .iter()
            .map(|range| newlines(&self.code[range.clone()]) + 1)
            .sum();
        self.code.lines().count().saturating_sub(in_tests)
    }

    /// Every function with a body: name, first line (from 1), number of lines.
    pub fn functions(&self) -> Vec<(String, usize, usize)> {
        let mut found = Vec::new();
        for at in word_positions(&self.code, "fn") {
            let after = self.code[at + 2..].trim_start();
            let name: String = after
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if name.is_empty() {
                continue;
            }
            if let Some(end) = item_end(&self.code, at)
                && self.code.as_bytes()[end] == b'}'
            {
                let lines = newlines(&self.code[at..end]) + 1;
                found.push((name, line_of(&self.code, at), lines));
            }
        }
        found
    }
}

/// Line number, from 1, of a byte position.
pub fn line_of(text: &str, at: usize) -> usize {
    newlines(&text[..at]) + 1
}

/// Where a word stands by itself, not inside a longer name.
pub fn word_positions(text: &str, word: &str) -> Vec<usize> {
    let name_byte = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(|&at| {
            let before = at.checked_sub(1).map(|i| text.as_bytes()[i]);
            let after = text.as_bytes().get(at + word.len()).copied();
            let starts = before.is_none_or(|b| !name_byte(b))
                || !word.starts_with(|c: char| c.is_alphanumeric());
            let ends = after.is_none_or(|b| !name_byte(b))
                || !word.ends_with(|c: char| c.is_alphanumeric());
            starts && ends
        })
        .collect()
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|&b| b == b'\n').count()
}

fn blanked(text: &str) -> String {
    text.bytes()
        .map(|b| if b == b'\n' { '\n' } else { ' ' })
        .collect()
}

fn view(text: &str, kinds: &[Kind], wanted: Kind) -> String {
    text.bytes()
        .zip(kinds)
        .map(|(byte, kind)| match byte {
            b'\n' => '\n',
            _ if *kind == wanted && byte.is_ascii() => char::from(byte),
            _ => ' ',
        })
        .collect()
}

fn classify(bytes: &[u8]) -> Vec<Kind> {
    let mut kinds = vec![Kind::Code; bytes.len()];
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let name_before =
            at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let (length, kind) = if rest.starts_with(b"//") {
            (line_length(rest), Kind::Comment)
        } else if rest.starts_with(b"/*") {
            (block_comment_length(rest), Kind::Comment)
        } else if let Some(length) = raw_string_length(rest).filter(|_| !name_before) {
            (length, Kind::Literal)
        } else if rest[0] == b'"' {
            (quoted_length(rest, b'"'), Kind::Literal)
        } else if rest[0] == b'\'' && is_char_literal(rest) {
            (quoted_length(rest, b'\''), Kind::Literal)
        } else {
            (1, Kind::Code)
        };
        kinds[at..at + length].fill(kind);
        at += length;
    }
    kinds
}

fn line_length(rest: &[u8]) -> usize {
    rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len())
}

fn block_comment_length(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Length of `r"…"`, `r#"…"#`, `br"…"` and so on, when one starts here.
fn raw_string_length(rest: &[u8]) -> Option<usize> {
    let prefix = [&b"br"[..], b"cr", b"r"]
        .into_iter()
        .find(|prefix| rest.starts_with(prefix))?
        .len();
    let hashes = rest[prefix..].iter().take_while(|&&b| b == b'#').count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let body = &rest[open + 1..];
    let end = body.windows(close.len()).position(|window| window == close);
    Some(end.map_or(rest.len(), |end| open + 1 + end + close.len()))
}

fn quoted_length(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b if b == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A `'` starts a character when it is closed after one (maybe escaped) character; else a lifetime.
fn is_char_literal(rest: &[u8]) -> bool {
    match rest.get(1) {
        Some(b'\\') => true,
        Some(first) => {
            let width = match first {
                0..=0x7f => 1,
                0xc0..=0xdf => 2,
                0xe0..=0xef => 3,
                _ => 4,
            };
            rest.get(1 + width) == Some(&b'\'')
        }
        None => false,
    }
}

/// Byte ranges of items behind `#[cfg(test)]`.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (at, marker) in code.match_indices("#[cfg(test)]") {
        if ranges.last().is_some_and(|last| last.contains(&at)) {
            continue;
        }
        let mut from = at + marker.len();
        // further attributes stand between the marker and its item
        while code[from..].trim_start().starts_with("#[") {
            match code[from..].find(']') {
                Some(end) => from += end + 1,
                None => break,
            }
        }
        if let Some(end) = item_end(code, from) {
            ranges.push(at..end + 1);
        }
    }
    ranges
}

/// The name in `mod name;`, when that is what the item is.
fn declared_module(item: &str) -> Option<String> {
    let name = item.strip_suffix(';')?.rsplit_once("mod ")?.1.trim();
    let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    plain.then(|| name.to_owned())
}

/// Position of the `}` or `;` that ends the item that starts at `from`.
fn item_end(code: &str, from: usize) -> Option<usize> {
    let mut nested = 0_i32;
    let mut braces = 0_i32;
    for (offset, byte) in code[from..].bytes().enumerate() {
        match byte {
            b'(' | b'[' => nested += 1,
            b')' | b']' => nested -= 1,
            b'{' => braces += 1,
            b'}' => {
                braces -= 1;
                if braces <= 0 {
                    return Some(from + offset);
                }
            }
            b';' if nested == 0 && braces == 0 => return Some(from + offset),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_not_code() {
        let source = Source::parse(
            "let a = \"one // two\"; // three\nlet b = r#\"four\"five\"#; /* six /* */ seven */ let c = 'x'; fn f<'a>() {}",
        );
        for gone in ["one", "two", "three", "four", "five", "six", "seven", "x"] {
            assert!(!source.code().contains(gone), "{gone} in {}", source.code());
        }
        assert!(source.code().contains("fn f<'a>() {}"));
        assert!(source.comments().contains("three") && source.comments().contains("seven"));
        assert!(!source.comments().contains("two"));
    }

    #[test]
    fn tests_are_left_out() {
        let source = Source::parse(
            "fn a() {}\n#[cfg(test)]\n#[expect(clippy::x)]\nmod tests {\n    fn b() { let s = \"}\"; }\n}\nfn c() {}\n",
        );
        assert_eq!(source.lines_without_tests(), 2);
        let names: Vec<String> = source.functions().into_iter().map(|f| f.0).collect();
        assert_eq!(names, ["a", "c"]);
    }

    #[test]
    fn modules_of_tests_are_known() {
        let source =
            Source::parse("#[cfg(test)]\nmod one;\n#[cfg(test)]\nmod two { mod no; }\nmod three;");
        assert_eq!(source.test_modules(), ["one"]);
    }

    #[test]
    fn functions_are_measured() {
        let source = Source::parse(
            "trait T { fn none(&self) -> [u8; 2]; }\nfn long<F: fn(u8)>(f: F) -> [u8; 2] {\n    if x {\n    }\n}\n",
        );
        assert_eq!(source.functions(), [("long".to_owned(), 2, 4)]);
    }

    #[test]
    fn words_stand_alone() {
        assert_eq!(
            word_positions("iroh::x girolle::iroh::y iroh_x", "iroh"),
            [0, 17]
        );
    }
}
