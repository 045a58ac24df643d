//! Limits of the exchange. Source: `docs/protocol/sync.md`.

/// Longest frame, bytes, without its length prefix.
pub const FRAME_BYTES: usize = 256 * 1024;
/// A sender closes a frame of packets once it has this many bytes: one more packet still fits.
pub const PACKETS_BYTES: usize = 160 * 1024;
/// Longest negentropy message, bytes.
pub const RECONCILE_BYTES: usize = 192 * 1024;
/// Ids in one frame.
pub const FRAME_IDS: usize = 2_048;
/// Packets in one frame.
pub const FRAME_PACKETS: usize = 1_024;
/// Authority fingerprints in one frame, and authority logs in one scope.
pub const AUTHORITIES: usize = 1_024;
/// Authority fingerprints that a scope rests on: the space's and those of all authors in its threads.
pub const SCOPE_AUTHORITIES: usize = 128 * AUTHORITIES;
/// Digests in one frame.
pub const FRAME_DIGESTS: usize = 1_024;
/// Threads in one scope.
pub const SCOPE_THREADS: usize = 256;
/// Entries of several threads in one scope, by the digests; a single thread may have more.
pub const SCOPE_ENTRIES: u64 = 65_536;
/// Entries of one set to reconcile: memory of a session is in proportion.
pub const SET_ENTRIES: usize = 4_000_000;
/// Holding statements in one frame and per scope.
pub const HOLDINGS: usize = 64;
/// Of those, about one thread at least, when there are many threads.
pub const HOLDINGS_EACH: usize = 4;
/// Bytes of holding statements in the scope of a whole space: beyond, no further thread begins.
pub const HOLDINGS_BYTES: usize = 32 * 1024;
/// Longest holding statement, bytes.
pub const HOLDING_BYTES: usize = 2_048;
/// Ids that may be asked for and not answered yet.
pub const WANT_WINDOW: usize = 4_096;
/// Ids learned by reconciling and not asked for yet, beyond which no further round begins.
pub const NEED_QUEUE: usize = 16_384;
/// Packets handed to the replica at once.
pub const BATCH_PACKETS: usize = 1_000;
/// Bytes of packets handed to the replica at once.
pub const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Payloads asked for again per thread and session.
pub const PAYLOADS_AGAIN: usize = 512;
/// Scopes that one session may have ahead of it.
pub const AGENDA: usize = 4_096;
/// Scopes that a peer may open in one session: each of the agenda twice, with its authority between.
pub const SCOPES: usize = 3 * AGENDA;
/// Reconciling rounds of one scope, beside those that the set's size explains.
pub const ROUNDS: u64 = 64;
/// A session that has waited this long for its peer is given up, milliseconds.
pub const STALL_MS: u64 = 20_000;

/// Topics of threads that a node is in at once; other threads ride on their space's topic.
pub const LIVE_TOPICS: usize = 256;
/// Packets in one gossip message.
pub const MESSAGE_PACKETS: usize = 16;
/// Ids or digests in one gossip message.
pub const MESSAGE_IDS: usize = 100;
/// Messages whose hash is remembered.
pub const SEEN_MESSAGES: usize = 16_384;
/// Messages a second on one topic, on average.
pub const TOPIC_RATE: u64 = 200;
/// Messages on one topic at once.
pub const TOPIC_BURST: u64 = 2_000;
/// A flooded topic is left for this long, milliseconds.
pub const FLOOD_LEAVE_MS: u64 = 60_000;
/// Unknown parents are fetched this deep, then the thread is reconciled.
pub const FETCH_DEPTH: u8 = 3;
/// Bans remembered.
pub const BANS: usize = 1_024;
/// How long a ban lasts, milliseconds.
pub const BAN_MS: u64 = 60 * 60 * 1000;
/// Peers remembered.
pub const PEERS: usize = 1_024;
