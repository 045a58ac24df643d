//! Who is a neighbour of whom on which topic: a flood over random links instead of HyParView and
//! Plumtree, with the same events for those above.

use std::collections::{BTreeMap, BTreeSet};

/// Links that a node accepts on one topic.
const MOST: usize = 8;
/// Links that a node asks for.
const WANTED: usize = 5;

/// A node's number.
pub type Number = usize;

/// All topics.
#[derive(Debug, Default)]
pub struct Mesh {
    topics: BTreeMap<[u8; 32], BTreeMap<Number, BTreeSet<Number>>>,
}

impl Mesh {
    /// Subscribes a node.
    pub fn join(&mut self, topic: [u8; 32], node: Number) {
        self.topics
            .entry(topic)
            .or_default()
            .entry(node)
            .or_default();
    }

    /// Links two subscribers, when there is room; true when the link is new.
    pub fn link(&mut self, topic: [u8; 32], a: Number, b: Number) -> bool {
        let Some(members) = self.topics.get_mut(&topic) else {
            return false;
        };
        let degree = |node| members.get(&node).map(BTreeSet::len);
        let (Some(own), Some(other)) = (degree(a), degree(b)) else {
            return false;
        };
        if a == b || own >= WANTED || other >= MOST || members[&a].contains(&b) {
            return false;
        }
        members.entry(a).or_default().insert(b);
        members.entry(b).or_default().insert(a);
        true
    }

    /// Unsubscribes a node; gives those it was linked to.
    pub fn leave(&mut self, topic: [u8; 32], node: Number) -> BTreeSet<Number> {
        let Some(members) = self.topics.get_mut(&topic) else {
            return BTreeSet::new();
        };
        let links = members.remove(&node).unwrap_or_default();
        for other in &links {
            if let Some(back) = members.get_mut(other) {
                back.remove(&node);
            }
        }
        links
    }

    /// Cuts the links that a predicate names; gives them, each in both directions.
    pub fn cut(&mut self, cut: impl Fn(Number, Number) -> bool) -> Vec<([u8; 32], Number, Number)> {
        let mut gone = Vec::new();
        for (topic, members) in &mut self.topics {
            for (node, links) in members.iter_mut() {
                links.retain(|other| {
                    let stays = !cut(*node, *other);
                    if !stays {
                        gone.push((*topic, *node, *other));
                    }
                    stays
                });
            }
        }
        gone
    }

    /// Topics of a node.
    pub fn of(&self, node: Number) -> Vec<[u8; 32]> {
        let in_topic = self.topics.iter().filter(|(_, m)| m.contains_key(&node));
        in_topic.map(|(topic, _)| *topic).collect()
    }

    /// Neighbours of a node on a topic.
    pub fn near(&self, topic: [u8; 32], node: Number) -> Vec<Number> {
        let links = self.topics.get(&topic).and_then(|m| m.get(&node));
        links.map_or_else(Vec::new, |links| links.iter().copied().collect())
    }
}
