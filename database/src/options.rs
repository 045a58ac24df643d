//! Budgets of the database.

/// How much strangers may fill. A budget that is used up says nothing about validity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Entries and payloads of one author in one space, bytes.
    pub author_space_bytes: u64,
    /// Entries and payloads of all authors in one space, bytes.
    pub space_bytes: u64,
    /// Entries of one known identity that wait for something, bytes.
    pub waiting_bytes: u64,
    /// Entries of all unknown identities that wait for something, bytes; the oldest give way. As
    /// much again for all entries that name an author or a space that is none.
    pub unknown_bytes: u64,
    /// Events kept for those who resume.
    pub events: u64,
    /// Distinguishes the event stream of this database from any other: a random number.
    pub epoch_seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            author_space_bytes: 256 << 20,
            space_bytes: 4 << 30,
            waiting_bytes: 4 << 20,
            unknown_bytes: 32 << 20,
            events: 1_000_000,
            epoch_seed: 0,
        }
    }
}
