//! Limits of everything that comes from outside. Source: the protocol pages.

/// Longest entry (header and signature), bytes.
pub const ENTRY_BYTES: usize = 2 * 1024;
/// Longest payload, bytes.
pub const PAYLOAD_BYTES: usize = 64 * 1024;
/// Longest text column, bytes of UTF-8.
pub const TEXT_BYTES: usize = 32 * 1024;
/// Random bytes that open every payload, so that an erased one can't be guessed from its hash.
pub const SALT_BYTES: usize = 16;
/// Causal parents of an entry.
pub const PARENTS: usize = 8;
/// Media links of a post.
pub const MEDIA_LINKS: usize = 16;
/// All extensions of an entry, encoded, bytes.
pub const EXTENSION_BYTES: usize = 256;
/// Extensions with a key below this are critical: who doesn't know one refuses the entry.
pub const CRITICAL_EXTENSIONS: u64 = 128;
/// Longest name of a table or column, bytes of ASCII.
pub const NAME_BYTES: usize = 32;
/// Nesting of a payload's values.
pub const PAYLOAD_NESTING: usize = 8;
/// Whole gossip message, bytes: below iroh-gossip's default of 4,096.
pub const GOSSIP_BYTES: usize = 4_000;
/// An entry whose time is further ahead of the own clock is held back, milliseconds.
pub const FUTURE_HOLD_MS: u64 = 10 * 60 * 1000;
/// The node refuses to sign a time further ahead of its own clock, milliseconds.
pub const FUTURE_SIGN_MS: u64 = 5 * 60 * 1000;
/// Times are below this (the year 10889), milliseconds since 1970.
pub const TIME_MS: u64 = 1 << 48;
/// Depth and sequence numbers are below this.
pub const COUNTER: u64 = 1 << 53;
/// Items of one holding statement.
pub const HOLDING_ITEMS: usize = 32;
/// Longest life of a holding statement, milliseconds.
pub const HOLDING_LIFE_MS: u64 = 2 * 60 * 60 * 1000;
/// Longest ticket, characters.
pub const TICKET_CHARS: usize = 2048;
/// Addresses in a ticket.
pub const TICKET_ADDRESSES: usize = 16;
/// Relays in a ticket.
pub const TICKET_RELAYS: usize = 4;
/// Random bytes that make a challenge or a pin request count once.
pub const NONCE_BYTES: usize = 32;
/// Groups of 16 KiB that one challenge asks for.
pub const CHALLENGE_GROUPS: u8 = 4;
/// Largest blob that can be asked about, bytes.
pub const BLOB_BYTES: u64 = 1 << 50;
