//! What the node wants done, by what happened to it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use model::{EndpointKey, EntryId};

use super::{Input, Node, Output};
use crate::{
    Digest, Event, Fingerprint, Follow, MemoryReplica, Packet, Replica, Scope, bounds,
    live::{Message, topic_of},
    schedule::{Ending, Plan, Start},
    testing::{Author, Forum},
};

const NOW_MS: u64 = 1_000_000;

fn key(number: u8) -> EndpointKey {
    EndpointKey::from_bytes([number; 32])
}

struct Bench {
    node: Node,
    replica: MemoryReplica,
    now_ms: u64,
}

impl Bench {
    /// A node that follows the forum's space and holds some of its packets; its key is 5.
    fn new(forum: &Forum, packets: &[Packet]) -> Self {
        let replica = MemoryReplica::new();
        replica.follow(Follow::Space(forum.space));
        for packet in packets {
            replica.insert(packet.clone()).unwrap();
        }
        let mut bench = Self {
            node: Node::new(key(5), 7, bounds::LIVE_TOPICS, NOW_MS),
            replica,
            now_ms: NOW_MS,
        };
        bench.take(Input::Start);
        bench
    }

    fn take(&mut self, input: Input) -> Vec<Output> {
        self.node
            .handle(vec![input], self.now_ms, &self.replica)
            .unwrap()
    }

    fn receive(&mut self, subject: Follow, from: u8, message: &Message) -> Vec<Output> {
        self.take(Input::Received {
            topic: topic_of(&subject),
            from: key(from),
            bytes: message.encode(),
        })
    }

    /// Ticks for so long; gives all outputs.
    fn wait(&mut self, wait_ms: u64) -> Vec<Output> {
        let mut outputs = Vec::new();
        for _ in 0..wait_ms / 250 {
            self.now_ms += 250;
            outputs.extend(self.take(Input::Tick));
        }
        outputs
    }

    /// Ends all sessions that began, and those that begin for it.
    fn end(&mut self, outputs: &[Output]) {
        let mut under_way: Vec<Start> = starts(outputs).into_iter().cloned().collect();
        while let Some(start) = under_way.pop() {
            let outputs = self.take(Input::Ended {
                session: start.id,
                peer: start.peer,
                ending: Ending::Done,
            });
            under_way.extend(starts(&outputs).into_iter().cloned());
        }
    }

    fn near(&mut self, subject: Follow, peer: u8) -> Vec<Output> {
        self.take(Input::Neighbor {
            topic: topic_of(&subject),
            peer: key(peer),
            up: true,
        })
    }
}

fn starts(outputs: &[Output]) -> Vec<&Start> {
    let mut starts = Vec::new();
    for output in outputs {
        if let Output::Start(start) = output {
            starts.push(start);
        }
    }
    starts
}

/// Everyone that outputs would tell something of a topic or scope.
fn told(outputs: &[Output]) -> BTreeSet<EndpointKey> {
    let mut told = BTreeSet::new();
    for output in outputs {
        match output {
            Output::Start(start) => told.extend([start.peer]),
            Output::Join { peers, .. } | Output::Invite { peers, .. } => told.extend(peers),
            _ => {}
        }
    }
    told
}

#[test]
fn a_new_peer_is_synced_at_once_and_a_neighbour_by_the_smaller_key() {
    let forum = Forum::new(1, 1, 0);
    let mut bench = Bench::new(&forum, &forum.packets);
    let space = Follow::Space(forum.space);
    let outputs = bench.take(Input::Peer(key(9)));
    let expected = Plan::Scope(Scope::space(forum.space));
    assert_eq!(starts(&outputs)[0].plan, expected);
    assert_eq!(told(&outputs), [key(9)].into());
    bench.end(&outputs);
    assert_eq!(starts(&bench.near(space, 8))[0].peer, key(8));
    assert!(starts(&bench.near(space, 3)).is_empty(), "3 begins");
}

#[test]
fn a_first_post_goes_to_the_space_and_replies_to_the_thread_once_someone_is_there() {
    let mut forum = Forum::new(1, 0, 0);
    let mut bench = Bench::new(&forum, &forum.packets);
    let space = Follow::Space(forum.space);
    let root = bench.replica.insert(forum.start(0)).unwrap();
    let outputs = bench.take(Input::Publish(vec![root]));
    let thread = Follow::Thread {
        space: forum.space,
        root,
    };
    assert_eq!(broadcasts(&outputs), [topic_of(&space)]);
    assert!(bench.node.topics().contains(&thread));

    let reply = bench.replica.insert(forum.reply(0, 0)).unwrap();
    let outputs = bench.take(Input::Publish(vec![reply]));
    assert_eq!(broadcasts(&outputs), [topic_of(&space)]);
    bench.near(thread, 9);
    let reply = bench.replica.insert(forum.reply(0, 0)).unwrap();
    let outputs = bench.take(Input::Publish(vec![reply]));
    assert_eq!(broadcasts(&outputs), [topic_of(&thread)]);
    // Those who are not there hear the thread's digest, once.
    let outputs = bench.wait(4_000);
    assert_eq!(broadcasts(&outputs), [topic_of(&space)]);
}

fn broadcasts(outputs: &[Output]) -> Vec<[u8; 32]> {
    let topic = |output: &Output| match output {
        Output::Broadcast { topic, .. } => Some(*topic),
        _ => None,
    };
    outputs.iter().filter_map(topic).collect()
}

#[test]
fn a_new_name_goes_to_the_boards_at_once_and_is_taken_where_its_author_is_known() {
    let forum = Forum::new(1, 1, 0);
    let mut bench = Bench::new(&forum, &forum.packets);
    let me = &forum.authors[0];
    let own = Follow::Space(me.id.space());
    bench.replica.follow(own);
    bench.take(Input::Follow(own, Vec::new()));
    let name = me.rename("Ada");
    let id = bench.replica.insert(name.clone()).unwrap();
    let outputs = bench.take(Input::Publish(vec![id]));
    let board = Follow::Space(forum.space);
    let expected = BTreeSet::from([topic_of(&own), topic_of(&board)]);
    assert_eq!(BTreeSet::from_iter(broadcasts(&outputs)), expected);
    let stranger = Author::new(77).rename("Eve");
    let mut reader = Bench::new(&forum, &forum.packets);
    let message = Message::Entries(vec![stranger.clone(), name]);
    reader.receive(board, 9, &message);
    assert!(reader.replica.lacking(&[id]).unwrap().is_empty());
    assert!(!reader.replica.lacking(&[stranger.id()]).unwrap().is_empty());
    // Who renames all the time is left to sync.
    let mut told = 0;
    for number in 0..100 {
        let id = bench.replica.insert(me.rename(&number.to_string()));
        let outputs = bench.take(Input::Publish(vec![id.unwrap()]));
        let topics = broadcasts(&outputs);
        told += usize::from(topics.contains(&topic_of(&board)));
    }
    assert!((1..40).contains(&told), "{told}");
}

#[test]
fn a_new_name_goes_to_unlisted_spaces_only_where_its_author_wrote() {
    let mut forum = Forum::new(1, 0, 0);
    let mut bench = Bench::new(&forum, &forum.packets);
    bench.replica.unlist(forum.space);
    let publish = |bench: &mut Bench, name: Packet| {
        let id = bench.replica.insert(name).unwrap();
        broadcasts(&bench.take(Input::Publish(vec![id])))
    };
    let name = forum.authors[0].rename("Ada");
    assert!(publish(&mut bench, name).is_empty());
    bench.replica.insert(forum.start(0)).unwrap();
    let name = forum.authors[0].rename("Bea");
    let board = topic_of(&Follow::Space(forum.space));
    assert_eq!(publish(&mut bench, name), [board]);
}

#[test]
fn what_an_entry_waits_for_is_fetched_from_who_delivered_it() {
    let mut forum = Forum::new(2, 1, 0);
    let held = forum.packets.len();
    let parent = forum.chain(0, 0);
    let child = forum.chain(0, 0);
    let packets = forum.packets[..held].to_vec();
    let mut bench = Bench::new(&forum, &packets);
    let space = Follow::Space(forum.space);
    let outputs = bench.receive(space, 9, &Message::Entries(vec![child.clone()]));
    assert_eq!(starts(&outputs)[0].peer, key(9));
    let fetch = |plan: &Plan| matches!(plan, Plan::Fetch { ids, .. } if *ids == [parent.id()]);
    assert!(fetch(&starts(&outputs)[0].plan));
    let new = Event::NewEntries {
        peer: key(9),
        ids: vec![child.id()],
    };
    assert!(outputs.contains(&Output::Event(new)));

    // It did not have it: twice more, then the thread is reconciled.
    let thread = Follow::Thread {
        space: forum.space,
        root: forum.roots[0],
    };
    let mut under_way: Vec<Start> = starts(&outputs).into_iter().cloned().collect();
    let (mut fetches, mut reconciled) = (0, false);
    for _ in 0..200 {
        while let Some(start) = under_way.pop() {
            let of_thread =
                |plan: &Plan| matches!(plan, Plan::Fetch { subject, .. } if *subject == thread);
            fetches += usize::from(of_thread(&start.plan));
            reconciled |= start.plan == Plan::Scope(forum.thread(0));
            let outputs = bench.take(Input::Ended {
                session: start.id,
                peer: start.peer,
                ending: Ending::Done,
            });
            under_way.extend(starts(&outputs).into_iter().cloned());
        }
        let outputs = bench.wait(250);
        under_way.extend(starts(&outputs).into_iter().cloned());
    }
    assert_eq!((fetches, reconciled), (3, true));
}

#[test]
fn unknown_people_are_looked_up() {
    let forum = Forum::new(2, 1, 1);
    let post = forum.packets.last().unwrap();
    let stranger = &forum.authors[0];
    let but_one = forum
        .packets
        .iter()
        .filter(|p| p.id() != stranger.id.entry());
    let but_one: Vec<Packet> = but_one.filter(|p| *p != post).cloned().collect();
    let mut bench = Bench::new(&forum, &but_one);
    let message = Message::Entries(vec![post.clone()]);
    let outputs = bench.receive(Follow::Space(forum.space), 9, &message);
    let expected = Plan::Scope(Scope::authority(stranger.id.space()));
    assert_eq!(starts(&outputs)[0].plan, expected);
    // Who delivered the post did not have it: others are asked, ever less often.
    bench.end(&outputs);
    let mut asked = Vec::new();
    for _ in 0..60 {
        let outputs = bench.wait(10_000);
        let again = starts(&outputs)
            .iter()
            .filter(|s| s.plan == expected)
            .count();
        asked.push(again);
        bench.end(&outputs);
    }
    let sum = |part: &[usize]| part.iter().sum::<usize>();
    assert!(sum(&asked[..10]) >= 2, "{asked:?}");
    assert!(sum(&asked[30..]) < sum(&asked[..30]), "{asked:?}");
}

#[test]
fn a_digest_leads_to_a_sync_only_when_others_have_more() {
    let forum = Forum::new(1, 1, 3);
    let mut bench = Bench::new(&forum, &forum.packets);
    let space = Follow::Space(forum.space);
    let ours = bench.replica.digest(forum.roots[0]).unwrap().unwrap();
    let hear = |bench: &mut Bench, digest: Digest| {
        let message = Message::Digests {
            space: forum.space,
            digests: vec![digest],
        };
        bench.receive(space, 9, &message);
        let outputs = bench.wait(2_000);
        starts(&outputs).len()
    };
    assert_eq!(hear(&mut bench, ours), 0);
    let fingerprint = Fingerprint::from_bytes([1; 32]);
    let behind = Digest {
        entries: ours.entries - 1,
        fingerprint,
        ..ours
    };
    assert_eq!(hear(&mut bench, behind), 0);
    let ahead = Digest {
        entries: ours.entries + 1,
        fingerprint,
        ..ours
    };
    assert_eq!(hear(&mut bench, ahead), 1);
}

#[test]
fn who_follows_one_thread_takes_nothing_of_the_others() {
    let mut forum = Forum::new(1, 2, 0);
    let space = forum.space;
    let thread = |root| Follow::Thread { space, root };
    let [ours, other] = [forum.roots[0], forum.roots[1]];
    let replica = MemoryReplica::new();
    replica.follow(thread(ours));
    let mut bench = Bench {
        node: Node::new(key(5), 7, bounds::LIVE_TOPICS, NOW_MS),
        replica,
        now_ms: NOW_MS,
    };
    bench.take(Input::Start);
    let board = Follow::Space(space);
    let announce = |ids| Message::Announce {
        space,
        root: None,
        ids,
    };
    assert!(starts(&bench.receive(board, 9, &announce(vec![other]))).is_empty());
    let outputs = bench.receive(board, 9, &announce(vec![other, ours]));
    let fetch = starts(&outputs)[0].plan.clone();
    assert!(matches!(fetch, Plan::Fetch { ids, .. } if ids == [ours]));
    let replies = vec![forum.reply(1, 0), forum.reply(0, 0)];
    bench.receive(board, 9, &Message::Entries(replies));
    let topics = bench.node.topics();
    assert!(topics.contains(&thread(ours)) && !topics.contains(&thread(other)));
    assert_eq!(bench.replica.len(), 1);
}

#[test]
fn garbage_is_not_held_against_who_delivers_it_and_a_flood_is_left_for_a_while() {
    let forum = Forum::new(1, 1, 0);
    let mut bench = Bench::new(&forum, &forum.packets);
    let space = Follow::Space(forum.space);
    let outputs = bench.near(space, 9);
    bench.end(&outputs);
    let mut outputs = Vec::new();
    for number in 0..1_000_u32 {
        outputs.extend(bench.take(Input::Received {
            topic: topic_of(&space),
            from: key(9),
            bytes: number.to_le_bytes().to_vec(),
        }));
    }
    assert!(outputs.contains(&Output::Leave {
        topic: topic_of(&space)
    }));
    assert!(!outputs.iter().any(|o| matches!(o, Output::Ban { .. })));
    let rejoined = |outputs: &[Output]| {
        let topic = topic_of(&space);
        outputs
            .iter()
            .any(|o| matches!(o, Output::Join { topic: of, .. } if *of == topic))
    };
    let before = bench.wait(bounds::FLOOD_LEAVE_MS - 1_000);
    assert!(!rejoined(&before));
    assert!(!starts(&before).is_empty(), "sync carries it meanwhile");
    assert!(rejoined(&bench.wait(2_000)));
}

#[test]
fn a_liar_is_banned_for_a_while() {
    let forum = Forum::new(1, 1, 0);
    let mut bench = Bench::new(&forum, &forum.packets);
    let start = starts(&bench.take(Input::Peer(key(9))))[0].clone();
    let outputs = bench.take(Input::Ended {
        session: start.id,
        peer: key(9),
        ending: Ending::Lied("wrong bytes".to_owned()),
    });
    let until_ms = NOW_MS + bounds::BAN_MS;
    assert!(outputs.contains(&Output::Ban {
        peer: key(9),
        until_ms
    }));
    assert!(told(&bench.take(Input::Peer(key(9)))).is_empty());
    assert!(starts(&bench.take(Input::Sync(Scope::space(forum.space)))).is_empty());
    bench.now_ms = until_ms;
    bench.take(Input::Tick);
    assert_eq!(told(&bench.take(Input::Peer(key(9)))), [key(9)].into());
}

#[test]
fn after_sleep_everything_is_checked() {
    let forum = Forum::new(1, 1, 0);
    let mut bench = Bench::new(&forum, &forum.packets);
    let outputs = bench.take(Input::Peer(key(9)));
    bench.end(&outputs);
    let outputs = bench.wait(2_000);
    bench.end(&outputs);
    bench.now_ms += 3_600_000;
    let outputs = bench.wait(3_000);
    assert_eq!(starts(&outputs)[0].peer, key(9));
    assert!(outputs.iter().any(|o| matches!(o, Output::Invite { .. })));
}

#[test]
fn an_unlisted_space_is_told_to_nobody_who_does_not_know_it() {
    let mut forum = Forum::new(1, 1, 0);
    let replica = MemoryReplica::new();
    replica.unlist(forum.space);
    replica.follow(Follow::Space(forum.space));
    for packet in &forum.packets {
        replica.insert(packet.clone()).unwrap();
    }
    let mut bench = Bench {
        node: Node::new(key(5), 7, bounds::LIVE_TOPICS, NOW_MS),
        replica,
        now_ms: NOW_MS,
    };
    let space = Follow::Space(forum.space);
    bench.take(Input::Start);
    let (stranger, named) = (key(8), key(9));
    let mut outputs = bench.take(Input::Peer(stranger));
    outputs.extend(bench.wait(200_000));
    let reply: EntryId = bench.replica.insert(forum.reply(0, 0)).unwrap();
    outputs.extend(bench.take(Input::Publish(vec![reply])));
    outputs.extend(bench.take(Input::NetworkChange));
    outputs.extend(bench.take(Input::Sync(Scope::space(forum.space))));
    assert!(told(&outputs).is_empty(), "{outputs:?}");

    let mut outputs = bench.take(Input::Follow(space, vec![named]));
    outputs.extend(bench.wait(100_000));
    assert_eq!(told(&outputs), [named].into());
    bench.end(&outputs);
    // Who is on its topic knows of it.
    let outputs = bench.near(space, 8);
    assert_eq!(told(&outputs), [stranger].into());
}
