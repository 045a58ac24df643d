//! Protocol Buffers' wire format, as far as DAG-PB and UnixFS use it.

use super::pb::PbFault;

/// Wire type of numbers.
pub(super) const VARINT: u8 = 0;
/// Wire type of eight bytes.
const FIXED64: u8 = 1;
/// Wire type of bytes with their length before them.
pub(super) const BYTES: u8 = 2;
/// Wire type of four bytes.
const FIXED32: u8 = 5;

/// The head of a field.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) wire: u8,
    /// Where it starts in the block, bytes.
    pub(super) at: usize,
}

impl Field {
    /// Checks the wire type.
    pub(super) fn expect(&self, wire: u8) -> Result<(), PbFault> {
        if self.wire == wire {
            Ok(())
        } else {
            Err(PbFault::WireType {
                field: self.number,
                wire: self.wire,
                at: self.at,
            })
        }
    }

    /// The fault of a field that comes again, or too late.
    pub(super) fn out_of_order(&self) -> PbFault {
        PbFault::Order {
            field: self.number,
            at: self.at,
        }
    }

    /// The fault of a field that the message doesn't have.
    pub(super) fn unknown(&self) -> PbFault {
        PbFault::UnknownField {
            field: self.number,
            at: self.at,
        }
    }
}

/// Reads fields one after the other.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where `bytes` starts in the block, for faults.
    base: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], base: usize) -> Self {
        Self { bytes, at: 0, base }
    }

    /// Where the next field starts in the block, bytes.
    pub(super) fn position(&self) -> usize {
        self.base + self.at
    }

    /// The next field's head, none at the end.
    pub(super) fn next_field(&mut self) -> Result<Option<Field>, PbFault> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let at = self.position();
        let key = self.number()?;
        Ok(Some(Field {
            number: key >> 3,
            wire: (key & 7) as u8,
            at,
        }))
    }

    /// A number in its shortest form.
    pub(super) fn number(&mut self) -> Result<u64, PbFault> {
        let at = self.position();
        let mut number = 0u64;
        for (place, byte) in self.bytes[self.at..].iter().enumerate() {
            let bits = u64::from(byte & 0x7f);
            if place == 9 && *byte > 1 {
                return Err(PbFault::VarintTooLong { at });
            }
            number |= bits << (7 * place);
            if byte & 0x80 == 0 {
                if place > 0 && bits == 0 {
                    return Err(PbFault::VarintNotMinimal { at });
                }
                self.at += place + 1;
                return Ok(number);
            }
        }
        Err(PbFault::Truncated { at })
    }

    /// Bytes after their length.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], PbFault> {
        let at = self.position();
        let length = self.number()?;
        self.take(length, at)
    }

    /// Passes over a field's value.
    pub(super) fn skip(&mut self, field: Field) -> Result<(), PbFault> {
        match field.wire {
            VARINT => self.number().map(drop),
            BYTES => self.bytes().map(drop),
            FIXED64 => self.take(8, field.at).map(drop),
            FIXED32 => self.take(4, field.at).map(drop),
            wire => Err(PbFault::WireType {
                field: field.number,
                wire,
                at: field.at,
            }),
        }
    }

    fn take(&mut self, length: u64, at: usize) -> Result<&'a [u8], PbFault> {
        let rest = &self.bytes[self.at..];
        let taken = usize::try_from(length)
            .ok()
            .and_then(|length| rest.get(..length))
            .ok_or(PbFault::Truncated { at })?;
        self.at += taken.len();
        Ok(taken)
    }
}

/// Writes a number in its shortest form.
pub(super) fn put_number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push((number & 0x7f) as u8);
}

/// Writes a field that is a number.
pub(super) fn put_field(to: &mut Vec<u8>, number: u8, value: u64) {
    to.push(number << 3 | VARINT);
    put_number(to, value);
}

/// Writes what comes before the bytes of a field.
pub(super) fn put_head(to: &mut Vec<u8>, number: u8, length: usize) {
    to.push(number << 3 | BYTES);
    put_number(to, length as u64);
}

/// Writes a field that is bytes.
pub(super) fn put_bytes(to: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    put_head(to, number, bytes.len());
    to.extend_from_slice(bytes);
}

/// Bytes that a number takes.
pub(super) fn number_bytes(number: u64) -> usize {
    (64 - (number | 1).leading_zeros()).div_ceil(7) as usize
}

/// Bytes that a field of so many bytes takes.
pub(super) fn field_bytes(length: usize) -> usize {
    1 + number_bytes(length as u64) + length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_their_shortest_form_only() {
        for number in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::MAX >> 1, u64::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            assert_eq!(bytes.len(), number_bytes(number), "{number}");
            assert_eq!(Fields::new(&bytes, 0).number(), Ok(number));
            let mut longer = bytes.clone();
            if let Some(last) = longer.last_mut() {
                *last |= 0x80;
            }
            longer.push(0);
            assert!(Fields::new(&longer, 0).number().is_err(), "{number}");
            bytes.pop();
            assert!(Fields::new(&bytes, 0).number().is_err(), "{number}");
        }
        for last in [2, 0x7f, 0x80, 0xff] {
            let mut too_long = [0xff; 10];
            too_long[9] = last;
            let fault = PbFault::VarintTooLong { at: 7 };
            assert_eq!(Fields::new(&too_long, 7).number(), Err(fault), "{last}");
        }
    }
}
