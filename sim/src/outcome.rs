//! What came of a simulation.

use crate::liar::Lie;

/// What came of a simulation.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Hash of everything that happened, in order.
    pub trace: String,
    /// Happenings.
    pub steps: u64,
    /// Honest nodes at the end.
    pub honest: usize,
    /// Entries that people wrote.
    pub written: usize,
    /// Honest nodes that lack entries, and how many.
    pub behind: Vec<(usize, usize)>,
    /// Different views among honest nodes: 1 when they converged.
    pub views: usize,
    /// Size of the smallest view, bytes.
    pub view_bytes: usize,
    /// Honest nodes that an honest node banned: 0, always.
    pub wronged: usize,
    /// Liars of kinds that are to be found out, and by how many honest nodes each was banned.
    pub found_out: Vec<(Lie, usize)>,
    /// Milliseconds from writing an entry until half of the honest nodes held it, the median over
    /// entries; none when nothing was written.
    pub spread_ms: Option<u64>,
}

impl Outcome {
    /// Whether all honest nodes hold everything and see the same.
    pub fn converged(&self) -> bool {
        self.behind.is_empty() && self.views == 1
    }
}
