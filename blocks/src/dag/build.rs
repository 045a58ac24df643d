//! Files' DAGs: balanced, built from leaves in order, in constant memory (profile
//! `unixfs-v1-2025`, IPIP-499).

use bytes::Bytes;
use cid::Cid;

use super::{
    MAX_LINKS,
    block::name_of,
    codec,
    pb::{Link, Node},
    unixfs::UnixFs,
};

/// Where a builder puts the nodes that it makes: called with each, children before parents.
pub type Emit<'a> = &'a mut dyn FnMut(Cid, Bytes);

/// A leaf of a file: raw, SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its name.
    pub cid: Cid,
    /// Its length, bytes.
    pub size_bytes: u64,
}

/// What a builder made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its name.
    pub cid: Cid,
    /// The file's length, bytes; 0 for a directory.
    pub size_bytes: u64,
    /// All blocks of its DAG, each as often as it is linked, bytes (Tsize).
    pub dag_bytes: u64,
}

impl Leaf {
    /// The leaf of these bytes: hashes them.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            cid: name_of(codec::RAW, bytes),
            size_bytes: bytes.len() as u64,
        }
    }
}

/// Builds the DAG of one file. Holds up to [`MAX_LINKS`] links of each level, of which a file of
/// 2⁶⁴ bytes has five.
#[derive(Debug, Default)]
pub struct FileBuilder {
    /// What waits for its parent, from the leaves up.
    levels: Vec<Vec<Root>>,
}

impl FileBuilder {
    /// A file of no leaves yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next leaf. All leaves but the last have [`super::LEAF_BYTES`].
    pub fn leaf(&mut self, cid: Cid, size_bytes: u64, emit: Emit<'_>) {
        let leaf = Root {
            cid,
            size_bytes,
            dag_bytes: size_bytes,
        };
        self.put(0, leaf, emit);
    }

    /// Ends the file. A file of one leaf is that leaf, one of none the empty raw block; neither is
    /// given to `emit`.
    pub fn finish(mut self, emit: Emit<'_>) -> Root {
        let mut level = 0;
        while level < self.levels.len() {
            let is_top = level + 1 == self.levels.len();
            match self.levels[level][..] {
                [root] if is_top => return root,
                [] => {}
                _ => self.close(level, emit),
            }
            level += 1;
        }
        let leaf = Leaf::of(&[]);
        Root {
            cid: leaf.cid,
            size_bytes: 0,
            dag_bytes: 0,
        }
    }

    fn put(&mut self, level: usize, child: Root, emit: Emit<'_>) {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        self.levels[level].push(child);
        if self.levels[level].len() == MAX_LINKS {
            self.close(level, emit);
        }
    }

    /// Makes one node of what waits in a level.
    fn close(&mut self, level: usize, emit: Emit<'_>) {
        let node = file_node(&self.levels[level], emit);
        self.levels[level].clear();
        self.put(level + 1, node, emit);
    }
}

fn file_node(children: &[Root], emit: Emit<'_>) -> Root {
    let size_bytes = children.iter().map(|child| child.size_bytes).sum();
    let meaning = UnixFs::File {
        data: Bytes::new(),
        block_sizes: children.iter().map(|child| child.size_bytes).collect(),
        size_bytes,
    };
    let links = children.iter().map(|child| Link {
        cid: child.cid,
        name: String::new(),
        size_bytes: child.dag_bytes,
    });
    node(links.collect(), &meaning, size_bytes, emit)
}

/// Makes, names and emits a node.
pub(super) fn node(links: Vec<Link>, meaning: &UnixFs, size_bytes: u64, emit: Emit<'_>) -> Root {
    let below = links
        .iter()
        .fold(0u64, |sum, link| sum.saturating_add(link.size_bytes));
    let node = Node {
        links,
        data: Some(meaning.encode()),
    };
    let bytes = node.encode();
    let cid = name_of(codec::DAG_PB, &bytes);
    let dag_bytes = below.saturating_add(bytes.len() as u64);
    emit(cid, bytes);
    Root {
        cid,
        size_bytes,
        dag_bytes,
    }
}
