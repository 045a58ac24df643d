//! Topics: links between subscribers, and messages that flood over them.

use std::sync::Arc;

use model::EndpointKey;
use rand::{Rng as _, RngExt as _};

use super::{Happening, World};
use crate::{liar::Lie, mesh::Number};

/// Until a lost link is noticed, milliseconds.
const NOTICE_MS: u64 = 3_000;
/// Messages of one flood.
const FLOOD: usize = 300;

impl World {
    pub(super) fn invite(&mut self, topic: [u8; 32], node: Number, peers: &[EndpointKey]) {
        for peer in peers {
            let other = self.numbers[peer];
            let due_ms = self.now_ms + self.latency_ms();
            self.at(due_ms, Happening::Link(topic, node, other));
        }
    }

    pub(super) fn link(&mut self, topic: [u8; 32], a: Number, b: Number) {
        if self.reaches(a, b) && self.mesh.link(topic, a, b) {
            self.near(topic, a, b, true, 0);
            let back_ms = self.latency_ms();
            self.near(topic, b, a, true, back_ms);
        }
    }

    fn near(&mut self, topic: [u8; 32], node: Number, other: Number, up: bool, after_ms: u64) {
        let near = Happening::Near {
            topic,
            node,
            other,
            up,
        };
        self.at(self.now_ms + after_ms, near);
    }

    pub(super) fn unsubscribe(&mut self, topic: [u8; 32], node: Number) {
        for other in self.mesh.leave(topic, node) {
            self.near(topic, other, node, false, NOTICE_MS);
        }
    }

    pub(super) fn broadcast(&mut self, topic: [u8; 32], node: Number, bytes: Arc<[u8]>) {
        let bytes = if self.peers[node].lie == Some(Lie::Garbage) {
            self.noise(bytes.len()).into()
        } else {
            bytes
        };
        self.pass_on(topic, node, node, &bytes);
    }

    /// Forwards a message once, to everyone near but where it came from.
    fn pass_on(&mut self, topic: [u8; 32], node: Number, from: Number, bytes: &Arc<[u8]>) -> bool {
        let hash = *blake3::hash(&[&topic, &bytes[..]].concat()).as_bytes();
        if !self.peers[node].passed.insert(hash) {
            return false;
        }
        for to in self.mesh.near(topic, node) {
            let loss = self.scenario.network.loss;
            if to == from || (loss > 0.0 && self.chance.random_bool(loss)) {
                continue;
            }
            let due_ms = self.now_ms + self.latency_ms();
            let message = Happening::Message {
                topic,
                to,
                from: node,
                bytes: bytes.clone(),
            };
            self.at(due_ms, message);
        }
        true
    }

    pub(super) fn message(&mut self, topic: [u8; 32], to: Number, from: Number, bytes: &Arc<[u8]>) {
        if !self.reaches(to, from) || !self.pass_on(topic, to, from, bytes) {
            return;
        }
        self.note("message", blake3::hash(bytes).as_bytes());
        let received = gossip::node::Input::Received {
            topic,
            from: self.peers[from].key,
            bytes: bytes.to_vec(),
        };
        self.input(to, vec![received]);
    }

    pub(super) fn flood(&mut self, node: Number) {
        for topic in self.mesh.of(node) {
            for _ in 0..FLOOD {
                let bytes = self.noise(40).into();
                self.pass_on(topic, node, node, &bytes);
            }
        }
    }

    pub(super) fn noise(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.chance.fill_bytes(&mut bytes);
        bytes
    }

    /// Cuts a share of the nodes off.
    pub(super) fn split(&mut self, place: usize) {
        let share = self.scenario.partition[place].share;
        for number in 0..self.peers.len() {
            if self.chance.random_bool(share) {
                self.far.insert(number);
            }
        }
        self.note("split", &self.far.len().to_le_bytes());
        let far = self.far.clone();
        let apart = |a: Number, b: Number| far.contains(&a) != far.contains(&b);
        for (topic, node, other) in self.mesh.cut(apart) {
            self.near(topic, node, other, false, NOTICE_MS);
        }
    }

    pub(super) fn heal(&mut self) {
        self.note("heal", &[]);
        self.far.clear();
    }
}
