//! Who lives in the world, and what they write.

use gossip::node::Input;
use model::EntryId;
use rand::RngExt as _;

use super::{CHECK_MS, EPOCH_MS, Happening, KNOWN, Thread, Work, World};
use crate::{
    forum::{Parent, Person, Written},
    liar::Lie,
    mesh::Number,
};

/// Who can't write yet tries again after this long, milliseconds.
const AGAIN_MS: u64 = 1_000;
/// Body of a post that is too long for a gossip message, bytes.
const LONG_BYTES: usize = 12_000;

impl World {
    pub(super) fn populate(&mut self, founder: Person, board: Written) {
        self.follow_all();
        let authors = self.scenario.content.authors;
        for number in 0..authors {
            let person = Person::new(number as u64, EPOCH_MS);
            for packet in &person.log {
                self.peers[number].disk.insert(packet.clone());
            }
            self.peers[number].person = Some(person);
        }
        self.peers[0].disk.insert(board.packet);
        // The founder's feed in the board goes on from its genesis.
        self.peers[0].person = Some(founder);
        for number in 1..self.peers.len() {
            let known = (0..KNOWN).map(|_| self.chance.random_range(0..number));
            let mut known: Vec<Number> = known.collect();
            known.sort_unstable();
            known.dedup();
            self.peers[number].knows = known;
        }
    }

    pub(super) fn plan_all(&mut self) {
        let scenario = self.scenario.clone();
        let second = |s: u64| EPOCH_MS + s * 1_000;
        let late = scenario.late.map_or(0, |late| late.nodes);
        let first_liar = self.peers.iter().take_while(|p| p.lie.is_none()).count();
        let first_late = first_liar - late;
        for number in 0..self.peers.len() {
            let begins_ms = match scenario.late {
                Some(late) if (first_late..first_liar).contains(&number) => second(late.at_s),
                _ => EPOCH_MS + number as u64,
            };
            self.at(begins_ms, Happening::Begin(number));
            if self.peers[number].lie == Some(Lie::Flood) {
                let due_ms = second(scenario.content.between_s[0]) + 2_000;
                self.at(due_ms, Happening::Flood(number));
            }
        }
        for (place, partition) in scenario.partition.iter().enumerate() {
            self.at(second(partition.from_s), Happening::Split(place));
            self.at(second(partition.to_s), Happening::Heal);
        }
        for crash in &scenario.crash {
            for _ in 0..crash.nodes {
                let number = self.chance.random_range(0..first_late);
                self.at(second(crash.at_s), Happening::Stop(number));
                self.at(second(crash.back_s), Happening::Begin(number));
            }
        }
        self.plan_writing();
        self.at(EPOCH_MS + CHECK_MS, Happening::Check);
    }

    fn plan_writing(&mut self) {
        let content = self.scenario.content;
        let [from_s, to_s] = content.between_s;
        let (from_ms, to_ms) = (EPOCH_MS + from_s * 1_000, EPOCH_MS + to_s * 1_000);
        for thread in 0..content.threads {
            let author = thread % content.authors;
            self.at(
                from_ms + thread as u64,
                Happening::Write(Work::Thread(author)),
            );
        }
        for place in 0..content.replies {
            let due_ms = self.chance.random_range(from_ms..to_ms);
            let author = self.chance.random_range(0..content.authors);
            self.at(due_ms, Happening::Write(Work::Reply(author, place)));
        }
        for _ in 0..content.votes {
            let due_ms = self.chance.random_range(from_ms..to_ms);
            let author = self.chance.random_range(0..content.authors);
            self.at(due_ms, Happening::Write(Work::Vote(author)));
        }
    }

    pub(super) fn write(&mut self, work: Work) {
        let (Work::Thread(author) | Work::Reply(author, _) | Work::Vote(author)) = work;
        let ready = self.peers[author].is_on() && self.holds(author, self.space.entry());
        let written = if ready { self.compose(work) } else { None };
        let Some(written) = written else {
            self.at(self.now_ms + AGAIN_MS, Happening::Write(work));
            return;
        };
        let id = self.peers[author].disk.insert(written.packet);
        self.note("write", id.as_bytes());
        self.written.insert(id, self.now_ms);
        self.arrivals.entry(id).or_default().push(self.now_ms);
        self.input(author, vec![Input::Publish(vec![id])]);
    }

    fn holds(&self, node: Number, id: EntryId) -> bool {
        self.peers[node].disk.counts(id)
    }

    /// None when the author does not hold what it would answer to.
    fn compose(&mut self, work: Work) -> Option<Written> {
        let (space, now_ms) = (self.space, self.now_ms);
        match work {
            Work::Thread(author) => {
                let person = self.peers[author].person.as_mut()?;
                let written = person.post(space, None, "first", now_ms);
                self.threads.push(Thread {
                    root: written.id(),
                    posts: vec![written.as_parent],
                });
                Some(written)
            }
            Work::Reply(author, place) => {
                let (thread, parent) = self.pick_post(author)?;
                let root = self.threads[thread].root;
                let every = self.scenario.content.long_every;
                let long = every > 0 && place % every == 0;
                let body = format!(
                    "reply {place} {}",
                    "x".repeat(if long { LONG_BYTES } else { 0 })
                );
                let person = self.peers[author].person.as_mut()?;
                let written = person.post(space, Some((root, parent)), &body, now_ms);
                self.threads[thread].posts.push(written.as_parent);
                Some(written)
            }
            Work::Vote(author) => {
                let (thread, on) = self.pick_post(author)?;
                let root = self.threads[thread].root;
                let person = self.peers[author].person.as_mut()?;
                Some(person.vote(space, root, on, now_ms))
            }
        }
    }

    fn pick_post(&mut self, author: Number) -> Option<(usize, Parent)> {
        if self.threads.is_empty() {
            return None;
        }
        let thread = self.chance.random_range(0..self.threads.len());
        let posts = &self.threads[thread].posts;
        let place = self.chance.random_range(0..posts.len());
        let (first, chosen) = (posts[0], posts[place]);
        if self.holds(author, chosen.id()) {
            Some((thread, chosen))
        } else if self.holds(author, first.id()) {
            Some((thread, first))
        } else {
            None
        }
    }
}
