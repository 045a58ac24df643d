//! The state machine, word by word.

use std::time::Duration;

use bytes::Bytes;

use super::{
    KIB, MIB,
    talk::{Talk, block, full, piece},
};
use crate::leech::{
    Have, LeechError, Lie,
    core::Event,
    wire::{Block, Extensions, Message, WireFault},
};

const SECOND: Duration = Duration::from_secs(1);

fn ready(talk: &Talk) -> bool {
    let mut events = talk.events.iter();
    events.any(|event| matches!(event, Event::Ready))
}

#[test]
fn a_range_is_asked_for_in_whole_blocks_and_given_cut() {
    let mut talk = Talk::open(3 * MIB + 5, false);
    let read = talk.core.read(20 * KIB..40 * KIB).unwrap();
    assert_eq!(talk.asked(), [block(0, 1), block(0, 2)]);
    assert_eq!(talk.takes(read), (vec![], false));
    // the second first: nothing to give yet
    talk.gives(block(0, 2)).unwrap();
    assert!(talk.events.is_empty());
    talk.gives(block(0, 1)).unwrap();
    assert!(matches!(talk.events[..], [Event::Bytes(id)] if id == read));
    let parts = vec![(20 * KIB, 12 << 10), (32 * KIB, 8 << 10)];
    assert_eq!(talk.takes(read), (parts, true));

    let read = talk.core.read(3 * MIB..3 * MIB + 5).unwrap();
    let last = Block {
        piece: 3,
        begin: 0,
        length: 5,
    };
    assert_eq!(talk.asked(), [last]);
    talk.gives(last).unwrap();
    assert_eq!(talk.takes(read), (vec![(3 * MIB, 5)], true));

    let read = talk.core.read(7..7).unwrap();
    assert_eq!(talk.takes(read), (vec![], true));
    assert!(talk.asked().is_empty());
}

#[test]
fn reads_take_turns_and_share_blocks() {
    let mut talk = Talk::open(2 * MIB, false);
    talk.extends(&Extensions {
        max_requests: Some(4),
        ..Extensions::default()
    })
    .unwrap();
    let first = talk.core.read(0..MIB).unwrap();
    let second = talk.core.read(MIB..2 * MIB).unwrap();
    let expected = [block(0, 0), block(1, 0), block(0, 1), block(1, 1)];
    assert_eq!(talk.asked(), expected);
    let third = talk.core.read(0..KIB).unwrap();
    talk.gives(block(1, 0)).unwrap();
    // the third's block is on its way for the first
    assert_eq!(talk.asked(), [block(0, 2)]);
    talk.gives(block(0, 0)).unwrap();
    assert_eq!(talk.takes(first), (vec![(0, 16 << 10)], false));
    assert_eq!(talk.takes(second), (vec![(MIB, 16 << 10)], false));
    assert_eq!(talk.takes(third), (vec![(0, 1 << 10)], true));
}

#[test]
fn who_does_not_read_is_not_sent_more() {
    let mut talk = Talk::open(64 * MIB, false);
    let read = talk.core.read(0..64 * MIB).unwrap();
    let mut asked = talk.asked();
    let mut count = 0;
    while let Some(block) = asked.pop() {
        talk.now += Duration::from_millis(1);
        talk.gives(block).unwrap();
        asked.extend(talk.asked());
        count += 1;
    }
    assert!((64..400).contains(&count), "{count} blocks were sent");
    // the peer owes nothing meanwhile
    talk.waits(90 * SECOND).unwrap();
    assert!(talk.asked().is_empty());
    let (taken, _) = talk.takes(read);
    assert_eq!(taken.len(), count);
    assert!(!talk.asked().is_empty());
}

#[test]
fn a_read_that_ends_cancels_only_what_nobody_else_waits_for() {
    let mut talk = Talk::open(MIB, false);
    let first = talk.core.read(0..48 * KIB).unwrap();
    let second = talk.core.read(0..16 * KIB).unwrap();
    assert_eq!(talk.asked().len(), 3);
    talk.core.end_read(first);
    let cancels = [Message::Cancel(block(0, 1)), Message::Cancel(block(0, 2))];
    assert_eq!(talk.hears(), cancels);
    // what crossed the cancel is passed over, once each
    for block in [block(0, 1), block(0, 2), block(0, 0)] {
        talk.gives(block).unwrap();
    }
    assert_eq!(talk.takes(second), (vec![(0, 16 << 10)], true));
    let lie = talk.gives(block(0, 1)).unwrap_err();
    assert!(matches!(lie, LeechError::Lied(Lie::Unasked { .. })));
}

#[test]
fn blocks_are_asked_for_again_after_a_choke() {
    let mut talk = Talk::open(MIB, false);
    let read = talk.core.read(0..32 * KIB).unwrap();
    assert_eq!(talk.asked().len(), 2);
    talk.says(&Message::Choke).unwrap();
    assert!(talk.asked().is_empty());
    // one that was on its way
    talk.gives(block(0, 0)).unwrap();
    talk.says(&Message::Unchoke).unwrap();
    assert_eq!(talk.asked(), [block(0, 0), block(0, 1)]);
    talk.gives(block(0, 0)).unwrap();
    talk.gives(block(0, 1)).unwrap();
    assert_eq!(talk.takes(read).0.len(), 2);

    // with the fast extension, each is refused by name
    let mut talk = Talk::open(MIB, true);
    talk.core.read(0..32 * KIB).unwrap();
    assert_eq!(talk.asked().len(), 2);
    talk.says(&Message::Choke).unwrap();
    talk.says(&Message::Reject(block(0, 1))).unwrap();
    talk.gives(block(0, 0)).unwrap();
    talk.says(&Message::Unchoke).unwrap();
    assert_eq!(talk.asked(), [block(0, 1)]);
}

#[test]
fn what_is_refused_again_and_again_is_not_there() {
    let mut talk = Talk::open(MIB, true);
    talk.core.read(0..16 * KIB).unwrap();
    for _ in 0..2 {
        assert_eq!(talk.asked(), [block(0, 0)]);
        talk.says(&Message::Reject(block(0, 0))).unwrap();
        assert!(talk.asked().is_empty(), "not at once");
        talk.waits(SECOND).unwrap();
    }
    assert_eq!(talk.asked(), [block(0, 0)]);
    let lie = talk.says(&Message::Reject(block(0, 0))).unwrap_err();
    assert!(matches!(lie, LeechError::Lied(Lie::Refused { .. })));
    let lie = talk.says(&Message::Reject(block(0, 0))).unwrap_err();
    assert!(matches!(lie, LeechError::Lied(Lie::Unasked { .. })));
}

#[test]
fn answers_that_do_not_fit_are_lies() {
    for (answer, bytes) in [
        (block(0, 0), 16_383),
        (block(0, 0), 0),
        (block(0, 1), 16_384),
        (block(1, 0), 16_384),
    ] {
        let mut talk = Talk::open(2 * MIB, false);
        talk.core.read(0..16 * KIB).unwrap();
        assert_eq!(talk.asked(), [block(0, 0)]);
        let error = talk.says(&piece(answer, bytes)).unwrap_err();
        assert!(error.is_hostile(), "{error}");
    }
    let mut talk = Talk::open(2 * MIB, false);
    talk.core.read(0..16 * KIB).unwrap();
    assert_eq!(talk.asked(), [block(0, 0)]);
    let crooked = Block {
        begin: 1,
        ..block(0, 0)
    };
    assert!(talk.gives(crooked).unwrap_err().is_hostile());
}

#[test]
fn a_peer_that_may_be_asked_and_sends_nothing_is_given_up() {
    let mut talk = Talk::open(MIB, false);
    talk.waits(60 * SECOND).unwrap();
    talk.core.read(0..MIB).unwrap();
    talk.asked();
    talk.waits(9 * SECOND).unwrap();
    talk.gives(block(0, 0)).unwrap();
    talk.waits(9 * SECOND).unwrap();
    // talk alone is no service
    talk.says(&Message::KeepAlive).unwrap();
    let stalled = talk.waits(SECOND).unwrap_err();
    assert!(matches!(stalled, LeechError::Stalled { waited } if waited == 10 * SECOND));
}

#[test]
fn a_peer_that_chokes_for_ever_is_given_up() {
    let mut talk = Talk::open(MIB, false);
    talk.says(&Message::Choke).unwrap();
    talk.waits(90 * SECOND).unwrap();
    talk.core.read(0..MIB).unwrap();
    assert_eq!(talk.hears(), []);
    talk.waits(39 * SECOND).unwrap();
    let choked = talk.waits(SECOND).unwrap_err();
    assert!(matches!(choked, LeechError::Choked { waited } if waited == 40 * SECOND));

    // nor does it help to let us ask now and then
    let mut talk = Talk::open(MIB, false);
    talk.core.read(0..MIB).unwrap();
    talk.hears();
    for _ in 0..7 {
        talk.waits(5 * SECOND).unwrap();
        talk.says(&Message::Choke).unwrap();
        talk.says(&Message::Unchoke).unwrap();
        talk.hears();
    }
    let stalled = talk.waits(5 * SECOND).unwrap_err();
    assert!(matches!(stalled, LeechError::Stalled { waited } if waited == 40 * SECOND));
}

#[test]
fn a_block_that_is_passed_over_is_missed() {
    let mut talk = Talk::open(2 * MIB, false);
    talk.core.read(0..16 * KIB).unwrap();
    assert_eq!(talk.asked(), [block(0, 0)]);
    let mut served = 0;
    let error = loop {
        assert!(served < 20);
        talk.waits(SECOND).unwrap();
        talk.core.read(MIB..MIB + 16 * KIB).unwrap();
        assert_eq!(talk.asked(), [block(1, 0)]);
        match talk.gives(block(1, 0)) {
            Ok(()) => served += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LeechError::Stalled { .. }), "{error}");
    assert_eq!(served, 9);
}

#[test]
fn who_greets_late_or_for_another_torrent_is_given_up() {
    let mut talk = Talk::silent(MIB);
    talk.waits(9 * SECOND).unwrap();
    let stalled = talk.waits(SECOND).unwrap_err();
    assert!(matches!(stalled, LeechError::Stalled { .. }));

    let mut talk = Talk::silent(MIB);
    talk.target.infohash = crate::InfoHash::of(b"another file");
    let other = talk.greet(false, false).unwrap_err();
    assert!(matches!(other, LeechError::NotThisTorrent));

    let mut talk = Talk::silent(MIB);
    let garbage = talk.says_bytes(b"HTTP/1.1 400").unwrap_err();
    let expected = WireFault::Handshake;
    assert!(matches!(garbage, LeechError::Garbage(fault) if fault == expected));
}

#[test]
fn what_a_peer_has_is_known_when_it_is_ready() {
    let mut talk = Talk::silent(10 * MIB);
    talk.greet(false, true).unwrap();
    assert!(matches!(
        talk.hears()[..],
        [Message::Extended { id: 0, .. }]
    ));
    talk.extends(&Extensions::default()).unwrap();
    assert!(!ready(&talk));
    talk.says(&Message::Bitfield(Bytes::from_static(&[0x60, 0x40])))
        .unwrap();
    assert!(ready(&talk));
    assert_eq!(talk.hears(), [Message::Interested]);
    let ranges = talk.core.have().ranges(&talk.target);
    assert_eq!(ranges, Some(vec![MIB..3 * MIB, 9 * MIB..10 * MIB]));
    assert!(talk.core.read(MIB..3 * MIB).is_ok());
    for (range, lacked) in [(0..2 * MIB, 0), (2 * MIB..3 * MIB + 1, 3)] {
        let error = talk.core.read(range).unwrap_err();
        assert!(matches!(error, LeechError::Lacks { piece } if piece == lacked));
        assert!(error.is_lasting());
    }
    let spare = Message::Bitfield(Bytes::from_static(&[0x60, 0x60]));
    let fault = talk.says(&spare).unwrap_err();
    assert!(matches!(fault, LeechError::Garbage(WireFault::SpareBits)));
    talk.says(&Message::Have(3)).unwrap();
    assert!(talk.core.read(2 * MIB..3 * MIB + 1).is_ok());
    for piece in [3, 0, 4, 5, 6, 7, 8] {
        assert_ne!(*talk.core.have(), Have::All);
        talk.says(&Message::Have(piece)).unwrap();
    }
    assert_eq!(*talk.core.have(), Have::All);
}

#[test]
fn a_peer_that_does_not_say_what_it_has_has_nothing() {
    let mut talk = Talk::silent(10 * MIB);
    talk.greet(true, false).unwrap();
    assert_eq!(talk.hears(), [Message::HaveNone]);
    talk.waits(SECOND / 2).unwrap();
    assert!(!ready(&talk));
    talk.waits(SECOND / 2).unwrap();
    assert!(ready(&talk));
    assert_eq!(talk.core.have().ranges(&talk.target), Some(vec![]));
    talk.says(&Message::HaveNone).unwrap();
    assert!(talk.hears().is_empty());
    talk.says(&Message::HaveAll).unwrap();
    assert_eq!(talk.hears(), [Message::Interested]);
    assert_eq!(talk.core.have().ranges(&talk.target), None);
}

#[test]
fn ranges_that_do_not_exist_are_refused() {
    let mut talk = Talk::open(MIB, false);
    #[expect(clippy::reversed_empty_ranges, reason = "what is refused")]
    for range in [0..MIB + 1, MIB + 1..MIB + 1, 2..1] {
        let error = talk.core.read(range).unwrap_err();
        assert!(matches!(error, LeechError::Range { .. }));
    }
    assert!(talk.core.read(MIB..MIB).is_ok());
}

#[test]
fn a_silent_connection_is_kept_alive_and_chatter_is_not() {
    let mut talk = Talk::open(MIB, false);
    talk.waits(250 * SECOND).unwrap();
    assert_eq!(talk.hears(), [Message::KeepAlive, Message::KeepAlive]);
    for _ in 0..60 {
        talk.says(&Message::Bitfield(full(&talk.target))).unwrap();
        talk.now += SECOND;
    }
    let pex = Message::Extended {
        id: 9,
        payload: Bytes::from(vec![0; 60 << 10]),
    };
    for (message, most) in [
        (pex, 80),
        (Message::Have(0), 500_000),
        (Message::KeepAlive, 1 << 20),
    ] {
        let mut talk = Talk::open(MIB, false);
        let error = (0..=most).find_map(|_| talk.says(&message).err());
        let expected = WireFault::Chatter;
        assert!(matches!(error, Some(LeechError::Garbage(fault)) if fault == expected));
    }
}
