//! Session against session, over replicas in memory.

#![allow(clippy::unwrap_used)]

use model::{EndpointKey, EntryId, Holding, SecretKey, SpaceId};

use super::{Answer, Frame, Hello, News, PeerFault, Session, SessionError, VERSION};
use crate::{
    Content, Digest, Fingerprint, Follow, MemoryReplica, Packet, Part, Replica, Scope, bounds,
    testing::{Author, Forum},
};

fn key(number: u8) -> EndpointKey {
    EndpointKey::from_bytes([number; 32])
}

struct Run {
    frames: usize,
    bytes: usize,
    ours: Vec<News>,
    theirs: Vec<News>,
}

/// Runs to the end; the initiator is on `a`.
fn run(mut a: Session, left: &dyn Replica, right: &dyn Replica) -> Result<Run, SessionError> {
    let mut b = Session::respond(key(1), 1_000);
    let (mut frames, mut bytes) = (0, 0);
    while !a.is_finished() {
        let before = frames;
        while let Some(frame) = a.transmit(left)? {
            (frames, bytes) = (frames + 1, bytes + frame.len());
            assert!(frame.len() <= bounds::FRAME_BYTES);
            b.receive(&frame, 1_000, right)?;
        }
        while let Some(frame) = b.transmit(right)? {
            (frames, bytes) = (frames + 1, bytes + frame.len());
            assert!(frame.len() <= bounds::FRAME_BYTES);
            a.receive(&frame, 1_000, left)?;
        }
        assert!(frames > before || a.is_finished(), "stuck: {a:?} {b:?}");
    }
    assert!(b.is_finished(), "{b:?}");
    Ok(Run {
        frames,
        bytes,
        ours: a.take_news(),
        theirs: b.take_news(),
    })
}

fn sync(left: &dyn Replica, right: &dyn Replica, scope: Scope) -> Run {
    run(Session::initiate(key(2), vec![scope], 1_000), left, right).unwrap()
}

/// Two replicas that follow the space; each holds the posts that its predicate picks.
fn split(
    forum: &Forum,
    left: impl Fn(usize) -> bool,
    right: impl Fn(usize) -> bool,
) -> (MemoryReplica, MemoryReplica) {
    let (a, b) = (MemoryReplica::new(), MemoryReplica::new());
    for replica in [&a, &b] {
        replica.follow(Follow::Space(forum.space));
    }
    for (place, packet) in forum.packets.iter().enumerate() {
        for (replica, takes) in [(&a, left(place)), (&b, right(place))] {
            if takes {
                replica.insert(packet.clone()).unwrap();
            }
        }
    }
    (a, b)
}

fn assert_equal(forum: &Forum, a: &MemoryReplica, b: &MemoryReplica) {
    let digests = |replica: &MemoryReplica| replica.digests(forum.space).unwrap();
    assert_eq!(digests(a), digests(b));
    assert_eq!(a.len(), b.len());
}

#[test]
fn differences_move_both_ways_and_the_second_time_nothing_does() {
    let forum = Forum::new(3, 1, 200);
    type Pick = fn(usize) -> bool;
    let table: [(Pick, Pick); 5] = [
        (|_| false, |_| true),
        (|_| true, |_| false),
        (|i| i % 2 == 0, |_| true),
        (|i| i % 3 == 0, |i| i % 3 != 0),
        (|i| i < 150, |i| !(20..150).contains(&i)),
    ];
    for (left, right) in table {
        let (a, b) = split(&forum, left, right);
        sync(&a, &b, forum.thread(0));
        assert_equal(&forum, &a, &b);
        assert_eq!(a.len(), forum.packets.len());
        let again = sync(&a, &b, forum.thread(0));
        assert_eq!(again.frames, 4, "Hello twice, Open, Opened");
        assert!(again.bytes < 250, "{}", again.bytes);
    }
}

#[test]
fn a_space_is_joined_by_its_digests() {
    let forum = Forum::new(2, 300, 2);
    let (a, b) = split(&forum, |_| false, |_| true);
    let joined = sync(&a, &b, Scope::space(forum.space));
    assert_equal(&forum, &a, &b);
    assert_eq!(a.len(), forum.packets.len());
    assert!(joined.frames < 80, "{}", joined.frames);

    // One new post in one thread: only that thread is reconciled.
    let mut forum = forum;
    let late = forum.reply(7, 1);
    b.insert(late).unwrap();
    let caught_up = sync(&a, &b, Scope::space(forum.space));
    assert_equal(&forum, &a, &b);
    assert!(caught_up.bytes < 30_000, "{}", caught_up.bytes);
    let entries = |news: &[News]| -> usize {
        let count = |n: &News| match n {
            News::Entries(ids) => ids.len(),
            _ => 0,
        };
        news.iter().map(count).sum()
    };
    assert_eq!(
        (entries(&caught_up.ours), entries(&caught_up.theirs)),
        (1, 0)
    );
}

#[test]
fn authority_logs_go_before_the_thread() {
    let forum = Forum::new(40, 1, 60);
    let (a, b) = split(&forum, |_| false, |_| true);
    let news = sync(&a, &b, forum.thread(0)).ours;
    let scopes: Vec<&Scope> = news
        .iter()
        .filter_map(|n| match n {
            News::Done { scope, .. } => Some(scope),
            _ => None,
        })
        .collect();
    assert!(
        matches!(scopes[..], [Scope::Authorities(list), Scope::Threads { .. }] if list.len() == 41)
    );
    let unresolved =
        |n: &News| matches!(n, News::Done { unresolved, .. } if !unresolved.is_empty());
    assert!(!news.iter().any(unresolved));
}

#[test]
fn a_fetch_follows_missing_parents_three_deep() {
    let mut forum = Forum::new(1, 1, 0);
    for _ in 0..6 {
        forum.chain(0, 0);
    }
    let (a, b) = split(&forum, |i| i < forum.packets.len() - 6, |_| true);
    let last = forum.packets.last().unwrap().id();
    let news = run(Session::fetch(key(2), vec![last], 1_000), &a, &b)
        .unwrap()
        .ours;
    // The entry, and three generations of parents; the fourth is left to reconciling.
    assert_eq!(b.len() - a.len(), 2);
    let left: Vec<EntryId> = news
        .into_iter()
        .filter_map(|n| match n {
            News::Done { unresolved, .. } => Some(unresolved),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(left, [forum.packets[forum.packets.len() - 5].id()]);
    sync(&a, &b, forum.thread(0));
    assert_equal(&forum, &a, &b);
}

#[test]
fn what_is_neither_held_nor_wanted_is_refused() {
    let forum = Forum::new(1, 1, 10);
    let (a, _) = split(&forum, |_| true, |_| true);
    let stranger = MemoryReplica::new();
    sync(&a, &stranger, forum.thread(0));
    assert!(stranger.is_empty());
    // Not held: the fetch ends, and says what is missing by not having it.
    let missing = EntryId::of(b"nowhere");
    run(Session::fetch(key(2), vec![missing], 1_000), &a, &stranger).unwrap();
}

/// What the first step that synced a scope showed of the peer.
fn part(news: &[News], scope: &Scope) -> Part {
    let part = |n: &News| match n {
        News::Done {
            scope: of, part, ..
        } if of == scope => Some(*part),
        _ => None,
    };
    news.iter().find_map(part).unwrap()
}

#[test]
fn only_a_peer_that_was_compared_and_lacked_nothing_is_known_to_hold_a_thread() {
    let forum = Forum::new(1, 2, 10);
    let scope = forum.thread(0);
    let (a, b) = split(&forum, |_| true, |_| false);

    // One that follows nothing refuses.
    let run = sync(&a, &MemoryReplica::new(), scope.clone());
    assert_eq!(part(&run.ours, &scope), Part::Refused);

    // One that doesn't follow all of the scope takes nothing, however often it is offered.
    let idle = MemoryReplica::new();
    let (space, mut roots) = (forum.space, forum.roots.clone());
    let root = roots[0];
    idle.follow(Follow::Thread { space, root });
    sync(&a, &idle, scope.clone());
    roots.sort_unstable();
    let both = Scope::Threads { space, roots };
    for _ in 0..2 {
        let run = sync(&a, &idle, both.clone());
        assert_eq!(part(&run.ours, &both), Part::Compared { lacked: 11 });
    }

    // One that follows lacks them the first time only; who answers compares nothing.
    let run = sync(&a, &b, scope.clone());
    assert_eq!(part(&run.ours, &scope), Part::Compared { lacked: 11 });
    assert_eq!(part(&run.theirs, &scope), Part::Opened);
    let run = sync(&a, &b, scope.clone());
    assert_eq!(part(&run.ours, &scope), Part::Compared { lacked: 0 });
}

#[test]
fn withheld_payloads_are_asked_for_again() {
    let forum = Forum::new(1, 1, 20);
    let (a, b) = split(&forum, |_| false, |_| true);
    let id = forum.packets.last().unwrap().id();
    b.withhold(id);
    sync(&a, &b, forum.thread(0));
    assert_equal(&forum, &a, &b);
    let content =
        |replica: &MemoryReplica| replica.packets(&[id]).unwrap()[0].clone().unwrap().content;
    assert_eq!(content(&a), Content::Withheld);
    let (_, c) = split(&forum, |_| false, |_| true);
    sync(&a, &c, forum.thread(0));
    assert_eq!(content(&a), content(&c));
}

#[test]
fn holdings_travel_both_ways() {
    let forum = Forum::new(1, 1, 1);
    let (a, b) = split(&forum, |_| true, |_| true);
    let statement = |seed| {
        let items = vec![model::Item::Post(forum.roots[0])];
        let secret = SecretKey::from_bytes(&[seed; 32]);
        Holding::sign(&secret, items, 1, 2)
            .unwrap()
            .bytes()
            .to_vec()
    };
    a.receive_holding(&statement(1)).unwrap();
    b.receive_holding(&statement(2)).unwrap();
    let news = sync(&a, &b, forum.thread(0));
    assert!(news.ours.contains(&News::Holding(statement(2))));
    let all = |replica: &MemoryReplica| replica.holdings(forum.roots[0], 9).unwrap();
    assert_eq!(all(&a).len(), 2);
    assert_eq!(all(&a), all(&b));
}

#[test]
fn who_forgot_who_holds_what_hears_it_though_the_spaces_agree() {
    let forum = Forum::new(1, 200, 0);
    let (a, b) = split(&forum, |_| true, |_| true);
    let statement = |seed: u8, root: &EntryId| {
        let secret = SecretKey::from_bytes(&[seed; 32]);
        let items = vec![model::Item::Post(*root)];
        let holding = Holding::sign(&secret, items, 1, 2).unwrap();
        holding.bytes().to_vec()
    };
    for root in &forum.roots {
        for seed in 1..9 {
            b.receive_holding(&statement(seed, root)).unwrap();
        }
    }
    a.receive_holding(&statement(9, &forum.roots[199])).unwrap();
    let run = sync(&a, &b, Scope::space(forum.space));
    let heard = |news: &[News]| {
        let holding = |n: &&News| matches!(n, News::Holding(_));
        news.iter().filter(holding).count()
    };
    assert_eq!((heard(&run.ours), heard(&run.theirs)), (64, 1));
    let of = |root: usize| a.holdings(forum.roots[root], 99).unwrap().len();
    assert_eq!((of(199), of(184), of(0)), (5, 4, 0), "the newest threads");
    assert!(run.bytes < 16_000, "{}", run.bytes);
}

/// What a session answers to frames written by hand.
fn faults(frames: &[Frame], role: Session) -> PeerFault {
    let forum = Forum::new(1, 1, 4);
    let (a, _) = split(&forum, |_| true, |_| true);
    let mut session = role;
    while session.transmit(&a).unwrap().is_some() {}
    for frame in frames {
        match session.receive(&frame.encode(), 1_000, &a) {
            Ok(()) => while session.transmit(&a).unwrap().is_some() {},
            Err(SessionError::Peer(fault)) => return fault,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no fault")
}

#[test]
fn lies_are_told_apart() {
    let hello = Frame::Hello(Hello {
        version: VERSION,
        capabilities: u64::MAX,
        clock_ms: 0,
    });
    let open = Frame::Open {
        scope: Scope::Entries,
        set: Fingerprint::EMPTY,
        authority: None,
    };
    let some_id = vec![EntryId::of(b"x")];
    let author = Author::new(200);
    let packet = author.identity.clone();
    let mut forged = packet.clone();
    *forged.entry.last_mut().unwrap() ^= 1;
    let wrong_payload = Packet {
        entry: packet.entry.clone(),
        content: Content::Held(b"else".to_vec()),
    };
    let digest = Digest {
        root: some_id[0],
        last_ms: 0,
        entries: 0,
        fingerprint: Fingerprint::EMPTY,
    };
    let fetch = |id| Session::fetch(key(2), vec![id], 0);
    let respond = || Session::respond(key(2), 0);
    let packets = |packet: &Packet| Frame::Packets {
        packets: vec![packet.clone()],
    };
    let opened = Frame::Opened(Answer::Differs);
    let old = Frame::Hello(Hello {
        version: 9,
        capabilities: 0,
        clock_ms: 0,
    });
    let table: Vec<(Vec<Frame>, Session, PeerFault)> = vec![
        (
            vec![Frame::Close],
            respond(),
            PeerFault::OutOfTurn { what: "Close" },
        ),
        (vec![old], respond(), PeerFault::Version { found: 9 }),
        (
            vec![hello.clone(), hello.clone()],
            respond(),
            PeerFault::OutOfTurn { what: "Hello" },
        ),
        (
            vec![hello.clone(), Frame::Close],
            respond(),
            PeerFault::OutOfTurn { what: "Close" },
        ),
        (
            vec![hello.clone(), Frame::Closed],
            respond(),
            PeerFault::OutOfTurn { what: "Closed" },
        ),
        (
            vec![
                hello.clone(),
                Frame::Want {
                    ids: some_id.clone(),
                },
            ],
            respond(),
            PeerFault::OutOfTurn { what: "Want" },
        ),
        (
            vec![hello.clone(), open.clone(), open.clone()],
            respond(),
            PeerFault::OutOfTurn { what: "Open" },
        ),
        (
            vec![
                hello.clone(),
                open.clone(),
                Frame::Reconcile {
                    message: vec![0x61],
                },
            ],
            respond(),
            PeerFault::OutOfTurn { what: "Reconcile" },
        ),
        (
            vec![hello.clone(), open.clone(), packets(&packet)],
            respond(),
            PeerFault::WrongBytes,
        ),
        (
            vec![
                hello.clone(),
                open.clone(),
                Frame::Missing {
                    ids: some_id.clone(),
                },
            ],
            respond(),
            PeerFault::OutOfTurn { what: "Missing" },
        ),
        (
            vec![
                hello.clone(),
                Frame::Holdings {
                    statements: vec![vec![1]],
                },
            ],
            respond(),
            PeerFault::Flood {
                what: "holding statements",
            },
        ),
        (
            vec![
                hello.clone(),
                open.clone(),
                Frame::Holdings {
                    statements: vec![vec![1]],
                },
            ],
            respond(),
            PeerFault::InvalidHolding,
        ),
        (
            vec![hello.clone(), opened.clone(), packets(&packet)],
            fetch(some_id[0]),
            PeerFault::WrongBytes,
        ),
        (
            vec![hello.clone(), opened.clone(), packets(&forged)],
            fetch(forged.id()),
            PeerFault::InvalidEntry {
                id: forged.id(),
                reason: String::new(),
            },
        ),
        (
            vec![hello.clone(), opened.clone(), packets(&wrong_payload)],
            fetch(packet.id()),
            PeerFault::InvalidEntry {
                id: packet.id(),
                reason: String::new(),
            },
        ),
        (
            vec![
                hello.clone(),
                opened.clone(),
                Frame::Want {
                    ids: some_id.clone(),
                },
            ],
            fetch(packet.id()),
            PeerFault::OutOfTurn { what: "Want" },
        ),
        (
            vec![
                hello.clone(),
                opened,
                Frame::Digests {
                    digests: vec![digest],
                },
            ],
            fetch(packet.id()),
            PeerFault::OutOfTurn { what: "Digests" },
        ),
        (
            vec![hello, Frame::Opened(Answer::Authorities)],
            fetch(packet.id()),
            PeerFault::OutOfTurn {
                what: "Authorities",
            },
        ),
    ];
    for (frames, session, expected) in table {
        let mut found = faults(&frames, session);
        if let PeerFault::InvalidEntry { reason, .. } = &mut found {
            assert!(!std::mem::take(reason).is_empty());
        }
        assert_eq!(found, expected);
        assert_eq!(found.is_lie(), !matches!(found, PeerFault::Version { .. }));
    }
}

#[test]
fn offers_that_mix_other_threads_in_are_not_taken() {
    let forum = Forum::new(1, 2, 3);
    let (space, mut roots) = (forum.space, forum.roots.clone());
    let (a, _) = split(&forum, |_| true, |_| true);
    let b = MemoryReplica::new();
    let root = roots[0];
    b.follow(Follow::Thread { space, root });
    roots.sort_unstable();
    let posts = |run: &Run, scope: &Scope| -> u64 {
        let sent = |n: &News| match n {
            News::Done {
                scope: of, sent, ..
            } if of == scope => Some(*sent),
            _ => None,
        };
        run.ours.iter().filter_map(sent).sum()
    };
    let mixed = Scope::Threads { space, roots };
    assert_eq!(posts(&sync(&a, &b, mixed.clone()), &mixed), 0);
    let own = forum.thread(0);
    assert_eq!(posts(&sync(&a, &b, own.clone()), &own), 4);
}

#[test]
fn authority_logs_without_end_are_a_flood() {
    let hello = Frame::Hello(Hello {
        version: VERSION,
        capabilities: 0,
        clock_ms: 0,
    });
    let session = || Session::initiate(key(2), vec![Scope::space(SpaceId::of(b"s"))], 0);
    let list = |turn: usize| Frame::Authorities {
        list: (0..bounds::AUTHORITIES)
            .map(|place| {
                let mut id = [0; 32];
                let number = (turn * bounds::AUTHORITIES + place) as u64;
                id[..8].copy_from_slice(&number.to_be_bytes());
                (SpaceId::from_bytes(id), Fingerprint::EMPTY)
            })
            .collect(),
        more: true,
    };
    let begin = [hello, Frame::Opened(Answer::Authorities)];
    let endless = (0..200).map(list);
    let frames: Vec<Frame> = begin.iter().cloned().chain(endless).collect();
    let flood = PeerFault::Flood {
        what: "authority fingerprints",
    };
    assert_eq!(faults(&frames, session()), flood);
    let empty = Frame::Authorities {
        list: Vec::new(),
        more: true,
    };
    for again in [list(0), empty] {
        let frames = [&begin[..], &[list(0), again]].concat();
        let fault = faults(&frames, session());
        assert!(matches!(fault, PeerFault::BrokenFrame { .. }), "{fault}");
    }
}

#[test]
fn wants_beyond_the_window_are_a_flood() {
    let hello = Frame::Hello(Hello {
        version: VERSION,
        capabilities: 0,
        clock_ms: 0,
    });
    let open = Frame::Open {
        scope: Scope::Entries,
        set: Fingerprint::EMPTY,
        authority: None,
    };
    let ids = |from: usize| {
        (from..from + bounds::FRAME_IDS)
            .map(|i| EntryId::of(&i.to_le_bytes()))
            .collect()
    };
    let replica = MemoryReplica::new();
    let mut session = Session::respond(key(2), 0);
    for frame in [hello, open] {
        session.receive(&frame.encode(), 0, &replica).unwrap();
    }
    // Nothing is taken out in between: the peer does not wait for its answers.
    let flood = (0..3).find_map(|turn| {
        let want = Frame::Want {
            ids: ids(turn * bounds::FRAME_IDS),
        };
        session.receive(&want.encode(), 0, &replica).err()
    });
    assert!(matches!(
        flood,
        Some(SessionError::Peer(PeerFault::Flood { what: "wants" }))
    ));
}

#[test]
fn silence_is_no_lie() {
    let session = Session::respond(key(2), 1_000);
    assert_eq!(session.check(1_000 + bounds::STALL_MS), Ok(()));
    let fault = session.check(1_001 + bounds::STALL_MS).unwrap_err();
    assert_eq!(fault, PeerFault::Stalled);
    assert!(!fault.is_lie());
}
