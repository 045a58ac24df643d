//! One simulated node: its disk stays, its core comes and goes.

use std::{collections::BTreeSet, sync::Arc};

use gossip::{Node, Replica};
use model::EndpointKey;

use crate::{
    disk::Disk,
    forum::Person,
    liar::{Lie, LyingDisk},
    mesh::Number,
};

/// A node.
pub struct Peer {
    pub key: EndpointKey,
    /// What it holds.
    pub disk: Arc<dyn Disk>,
    /// What it says: the same, unless it lies.
    pub voice: Arc<dyn Replica>,
    pub lie: Option<Lie>,
    /// Off when there is none.
    pub core: Option<Node>,
    /// Counts its starts: what was meant for an earlier one is lost.
    pub life: u32,
    /// Messages it forwarded.
    pub passed: BTreeSet<[u8; 32]>,
    /// Whom it joins through.
    pub knows: Vec<Number>,
    pub person: Option<Person>,
}

/// The key of a node.
pub fn key_of(number: Number) -> EndpointKey {
    EndpointKey::from_bytes(*blake3::hash(format!("node {number}").as_bytes()).as_bytes())
}

impl Peer {
    pub fn new(number: Number, disk: Arc<dyn Disk>, lie: Option<Lie>) -> Self {
        let voice: Arc<dyn Replica> = match lie {
            Some(lie) => {
                let honest = disk.clone();
                Arc::new(LyingDisk { honest, lie })
            }
            None => disk.clone(),
        };
        Self {
            key: key_of(number),
            disk,
            voice,
            lie,
            core: None,
            life: 0,
            passed: BTreeSet::new(),
            knows: Vec::new(),
            person: None,
        }
    }

    pub fn is_on(&self) -> bool {
        self.core.is_some()
    }
}
