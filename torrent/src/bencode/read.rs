//! Reading: all is checked once, then found again as it is asked for.

use std::{fmt, ops::Range};

use super::{BencodeFault, MAX_NESTING};

/// A value that was found to be canonical, inside the bytes that it was read from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// Exactly this value's encoding.
    encoded: &'a [u8],
    /// Where it starts in what was read, bytes.
    at: usize,
}

/// What a [`Value`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A number.
    Integer(i64),
    /// A byte string.
    Bytes(&'a [u8]),
    /// A list.
    List(Items<'a>),
    /// A dictionary.
    Dict(Entries<'a>),
}

/// Reads one value that takes all bytes. Values found in it know their place in these bytes.
///
/// # Errors
/// When the bytes are anything but one canonical value, nesting at most [`MAX_NESTING`] deep.
pub fn decode(bytes: &[u8]) -> Result<Value<'_>, BencodeFault> {
    let (value, rest) = decode_prefix(bytes)?;
    if rest.is_empty() {
        Ok(value)
    } else {
        let at = value.encoded.len();
        Err(BencodeFault::Trailing { at })
    }
}

/// Reads the value that the bytes begin with, and gives what follows it: messages of BEP 9 carry
/// bytes behind a dictionary.
///
/// # Errors
/// As [`decode`], but for bytes that follow.
pub fn decode_prefix(bytes: &[u8]) -> Result<(Value<'_>, &[u8]), BencodeFault> {
    let mut cursor = Cursor {
        bytes,
        at: 0,
        base: 0,
    };
    let value = cursor.value(MAX_NESTING)?;
    Ok((value, &bytes[cursor.at..]))
}

impl<'a> Value<'a> {
    /// A value whose bytes were read before.
    pub(crate) fn known(encoded: &'a [u8]) -> Self {
        debug_assert!(decode(encoded).is_ok());
        Self { encoded, at: 0 }
    }

    /// What it is.
    pub fn kind(&self) -> Kind<'a> {
        let inner = Cursor {
            bytes: self.encoded,
            at: 1,
            base: self.at,
        };
        match self.encoded[0] {
            b'l' => Kind::List(Items(inner)),
            b'd' => Kind::Dict(Entries(inner)),
            b'i' => {
                let digits = &self.encoded[1..self.encoded.len() - 1];
                Kind::Integer(parse(digits).expect("integers were checked when they were read"))
            }
            _ => {
                let digits = self.encoded.iter().take_while(|byte| **byte != b':');
                Kind::Bytes(&self.encoded[digits.count() + 1..])
            }
        }
    }

    /// Its encoding, as received.
    pub fn encoded(&self) -> &'a [u8] {
        self.encoded
    }

    /// Where its encoding lies in the bytes that were read.
    pub fn span(&self) -> Range<usize> {
        self.at..self.at + self.encoded.len()
    }

    /// The number, if it is one.
    pub fn integer(&self) -> Option<i64> {
        match self.kind() {
            Kind::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The byte string, if it is one.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match self.kind() {
            Kind::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The byte string, if it is one, and UTF-8.
    pub fn text(&self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// What the list holds, if it is one.
    pub fn items(&self) -> Option<Items<'a>> {
        match self.kind() {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    /// What the dictionary holds, in the order of its keys, if it is one.
    pub fn entries(&self) -> Option<Entries<'a>> {
        match self.kind() {
            Kind::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// What stands under a key, if this is a dictionary that has it. Reads all that comes before.
    pub fn get(&self, key: &[u8]) -> Option<Value<'a>> {
        self.entries()?
            .find_map(|(name, value)| (name == key).then_some(value))
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Value(\"{}\" at {})",
            self.encoded.escape_ascii(),
            self.at
        )
    }
}

/// The values of a list, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Items<'a>(Cursor<'a>);

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.0.known_value()
    }
}

/// The keys and values of a dictionary, in the order of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entries<'a>(Cursor<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<(&'a [u8], Value<'a>)> {
        let key = self.0.known_value()?.bytes()?;
        Some((key, self.0.known_value()?))
    }
}

/// A place in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where `bytes` starts in what was read, for spans and faults.
    base: usize,
}

impl<'a> Cursor<'a> {
    /// Checks the value that stands here, and passes over it. `nesting` is how deep it may nest.
    fn value(&mut self, nesting: usize) -> Result<Value<'a>, BencodeFault> {
        let start = self.at;
        let at = self.base + start;
        match self.peek(at)? {
            b'i' => self.integer()?,
            b'0'..=b'9' => drop(self.string()?),
            b'l' | b'd' if nesting == 0 => return Err(BencodeFault::TooDeep { at }),
            b'l' => self.list(nesting - 1)?,
            b'd' => self.dict(nesting - 1)?,
            found => return Err(BencodeFault::NoValue { found, at }),
        }
        Ok(Value {
            encoded: &self.bytes[start..self.at],
            at,
        })
    }

    /// The next value of a list or dictionary that was checked before; none at its end.
    fn known_value(&mut self) -> Option<Value<'a>> {
        if self.bytes.get(self.at) == Some(&b'e') {
            return None;
        }
        self.value(MAX_NESTING).ok()
    }

    /// The next byte of the value that starts at `at`.
    fn peek(&self, at: usize) -> Result<u8, BencodeFault> {
        let next = self.bytes.get(self.at).copied();
        next.ok_or(BencodeFault::Truncated { at })
    }

    fn list(&mut self, nesting: usize) -> Result<(), BencodeFault> {
        let at = self.base + self.at;
        self.at += 1;
        while self.peek(at)? != b'e' {
            self.value(nesting)?;
        }
        self.at += 1;
        Ok(())
    }

    fn dict(&mut self, nesting: usize) -> Result<(), BencodeFault> {
        let at = self.base + self.at;
        self.at += 1;
        let mut last: Option<&[u8]> = None;
        while self.peek(at)? != b'e' {
            let key_at = self.base + self.at;
            if !self.peek(at)?.is_ascii_digit() {
                return Err(BencodeFault::Key { at: key_at });
            }
            let key = self.string()?;
            match last {
                Some(last) if key == last => {
                    return Err(BencodeFault::KeyRepeated { at: key_at });
                }
                Some(last) if key < last => return Err(BencodeFault::KeyOrder { at: key_at }),
                _ => last = Some(key),
            }
            self.value(nesting)?;
        }
        self.at += 1;
        Ok(())
    }

    fn integer(&mut self) -> Result<(), BencodeFault> {
        let at = self.base + self.at;
        let digits = self.at + 1;
        self.at = digits;
        while self.peek(at)? != b'e' {
            // the longest is that of -2^63; what goes on behind it is not looked at
            if self.at - digits == "-9223372036854775808".len() {
                break;
            }
            self.at += 1;
        }
        let text = &self.bytes[digits..self.at];
        let (sign, number) = match text.strip_prefix(b"-") {
            Some(number) => (true, number),
            None => (false, text),
        };
        let leading = number.first() == Some(&b'0') && (sign || number.len() > 1);
        if number.is_empty() || leading || !number.iter().all(u8::is_ascii_digit) {
            return Err(BencodeFault::Integer { at });
        }
        if self.bytes[self.at] != b'e' || parse(text).is_none() {
            return Err(BencodeFault::IntegerTooLarge { at });
        }
        self.at += 1;
        Ok(())
    }

    /// A byte string, whose first digit stands here.
    fn string(&mut self) -> Result<&'a [u8], BencodeFault> {
        let at = self.base + self.at;
        let first = self.at;
        let mut length = 0usize;
        loop {
            let byte = self.peek(at)?;
            self.at += 1;
            match byte {
                b':' => break,
                b'0'..=b'9' if self.at - first == 1 || self.bytes[first] != b'0' => {
                    // a length beyond the address space is beyond the bytes, too
                    length = length
                        .checked_mul(10)
                        .and_then(|length| length.checked_add(usize::from(byte - b'0')))
                        .ok_or(BencodeFault::Truncated { at })?;
                }
                _ => return Err(BencodeFault::Length { at }),
            }
        }
        let rest = &self.bytes[self.at..];
        let string = rest.get(..length).ok_or(BencodeFault::Truncated { at })?;
        self.at += length;
        Ok(string)
    }
}

fn parse(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read() {
        let integers: [(&[u8], i64); 6] = [
            (b"i0e", 0),
            (b"i3e", 3),
            (b"i-3e", -3),
            (b"i10e", 10),
            (b"i9223372036854775807e", i64::MAX),
            (b"i-9223372036854775808e", i64::MIN),
        ];
        for (bytes, number) in integers {
            assert_eq!(decode(bytes).unwrap().integer(), Some(number));
        }
        let strings: [(&[u8], &[u8]); 4] = [
            (b"0:", b""),
            (b"4:spam", b"spam"),
            (b"2::e", b":e"),
            (b"10:0123456789", b"0123456789"),
        ];
        for (bytes, string) in strings {
            assert_eq!(decode(bytes).unwrap().bytes(), Some(string));
        }
        assert_eq!(decode(b"le").unwrap().items().unwrap().count(), 0);
        assert_eq!(decode(b"de").unwrap().entries().unwrap().count(), 0);
    }

    #[test]
    fn values_know_their_place() {
        let bytes = b"d4:listl4:spami42ee4:spamd1:a1:bee";
        let dict = decode(bytes).unwrap();
        assert_eq!(dict.span(), 0..bytes.len());
        let spans: Vec<_> = dict
            .entries()
            .unwrap()
            .map(|(key, value)| (key, value.span()))
            .collect();
        assert_eq!(spans, [(&b"list"[..], 7..19), (b"spam", 25..33)]);
        for (_, value) in dict.entries().unwrap() {
            assert_eq!(value.encoded(), &bytes[value.span()]);
        }
        let list = dict.get(b"list").unwrap();
        let inner: Vec<_> = list.items().unwrap().map(|value| value.span()).collect();
        assert_eq!(inner, [8..14, 14..18]);
        let deepest = dict.get(b"spam").unwrap().get(b"a").unwrap();
        assert_eq!((deepest.text(), deepest.span()), (Some("b"), 29..32));
        assert_eq!(dict.get(b"egg"), None);
        assert_eq!(list.get(b"spam"), None);
    }

    #[test]
    fn a_value_is_one_kind_only() {
        let kinds: [(&[u8], [bool; 4]); 4] = [
            (b"i1e", [true, false, false, false]),
            (b"1:a", [false, true, false, false]),
            (b"le", [false, false, true, false]),
            (b"de", [false, false, false, true]),
        ];
        for (bytes, expected) in kinds {
            let value = decode(bytes).unwrap();
            let found = [
                value.integer().is_some(),
                value.bytes().is_some(),
                value.items().is_some(),
                value.entries().is_some(),
            ];
            assert_eq!(found, expected, "{value:?}");
        }
        assert_eq!(decode(b"1:\xff").unwrap().text(), None);
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        use BencodeFault::{
            Integer, IntegerTooLarge, Key, KeyOrder, KeyRepeated, Length, NoValue, Trailing,
            Truncated,
        };
        let table: [(&[u8], BencodeFault); 41] = [
            (b"", Truncated { at: 0 }),
            (b"i", Truncated { at: 0 }),
            (b"i1", Truncated { at: 0 }),
            (b"i-", Truncated { at: 0 }),
            (b"ie", Integer { at: 0 }),
            (b"i-e", Integer { at: 0 }),
            (b"i-0e", Integer { at: 0 }),
            (b"i00e", Integer { at: 0 }),
            (b"i03e", Integer { at: 0 }),
            (b"i-03e", Integer { at: 0 }),
            (b"i+3e", Integer { at: 0 }),
            (b"i 3e", Integer { at: 0 }),
            (b"i1.0e", Integer { at: 0 }),
            (b"i--1e", Integer { at: 0 }),
            (b"i9223372036854775808e", IntegerTooLarge { at: 0 }),
            (b"i-9223372036854775809e", IntegerTooLarge { at: 0 }),
            (b"i99999999999999999999999999e", IntegerTooLarge { at: 0 }),
            (b"4", Truncated { at: 0 }),
            (b"4:", Truncated { at: 0 }),
            (b"4:spa", Truncated { at: 0 }),
            (b"99999999999999999999999999:a", Truncated { at: 0 }),
            (b"18446744073709551615:a", Truncated { at: 0 }),
            (b"04:spam", Length { at: 0 }),
            (b"00:", Length { at: 0 }),
            (b"4spam", Length { at: 0 }),
            (b"-1:", NoValue { found: b'-', at: 0 }),
            (b":", NoValue { found: b':', at: 0 }),
            (b"e", NoValue { found: b'e', at: 0 }),
            (b"l", Truncated { at: 0 }),
            (b"li1e", Truncated { at: 0 }),
            (b"lli1e", Truncated { at: 1 }),
            (b"lxe", NoValue { found: b'x', at: 1 }),
            (b"d", Truncated { at: 0 }),
            (b"d1:a", Truncated { at: 7 - 3 }),
            (b"d1:ae", NoValue { found: b'e', at: 4 }),
            (b"di1ei2ee", Key { at: 1 }),
            (b"dlei2ee", Key { at: 1 }),
            (b"d1:bi1e1:ai2ee", KeyOrder { at: 7 }),
            (b"d1:ai1e1:ai2ee", KeyRepeated { at: 7 }),
            (b"i1ei2e", Trailing { at: 3 }),
            (b"de\n", Trailing { at: 2 }),
        ];
        for (bytes, fault) in table {
            assert_eq!(decode(bytes), Err(fault), "{}", bytes.escape_ascii());
        }
        // keys are ordered as bytes, a prefix first
        assert!(decode(b"d0:i1e1:Bi1e1:ai1e2:aai1e1:\xffi1ee").is_ok());
        assert_eq!(
            decode(b"d2:aai1e1:ai1ee"),
            Err(KeyOrder { at: 8 }),
            "a prefix comes first"
        );
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| [vec![b'l'; depth], vec![b'e'; depth]].concat();
        assert!(decode(&nested(MAX_NESTING)).is_ok());
        assert_eq!(
            decode(&nested(MAX_NESTING + 1)),
            Err(BencodeFault::TooDeep { at: MAX_NESTING })
        );
        let keys = [b"d1:a".repeat(MAX_NESTING + 1), vec![b'e']].concat();
        let at = 4 * MAX_NESTING;
        assert_eq!(decode(&keys), Err(BencodeFault::TooDeep { at }));
        assert!(decode(&vec![b'l'; 1 << 20]).is_err());
    }

    #[test]
    fn a_prefix_is_read_with_what_follows() {
        let message = b"d8:msg_typei1e5:piecei0eeBYTES";
        let (value, rest) = decode_prefix(message).unwrap();
        assert_eq!(value.get(b"msg_type").unwrap().integer(), Some(1));
        assert_eq!(rest, b"BYTES");
    }
}
