#![allow(clippy::unwrap_used)]
use model::{BlobId, DeviceKey, PinScope, limits};

use super::*;

const NOW_MS: u64 = 1_700_000_000_000;

fn own() -> EndpointKey {
    EndpointKey::from_bytes([9; 32])
}

fn limits() -> Limits {
    Limits {
        accept: Accept::Anyone,
        requester_bytes: 100,
        total_bytes: 150,
        item_bytes: 60,
    }
}

fn standing() -> Standing {
    Standing {
        own: own(),
        is_followed: false,
        is_blocked: false,
        room_bytes: 1_000,
        now_ms: NOW_MS,
    }
}

/// Requests, each with a nonce of its own.
#[derive(Default)]
struct Asker {
    nonces: u8,
}

impl Asker {
    fn ask(&mut self, who: &str, what: &str, act: PinAct) -> PinAsk {
        self.nonces += 1;
        PinAsk {
            mirror: own(),
            identity: IdentityId::of(who.as_bytes()),
            device: DeviceKey::from_bytes([1; 32]),
            target: PinTarget::Blob(BlobId::of(what.as_bytes())),
            act,
            time_ms: NOW_MS,
            nonce: [self.nonces; limits::NONCE_BYTES],
            ticket: None,
        }
    }

    fn pin(&mut self, who: &str, what: &str, max_bytes: Option<u64>) -> PinAsk {
        let act = PinAct::Pin {
            media: PinScope::All,
            max_bytes,
            until_ms: None,
        };
        self.ask(who, what, act)
    }
}

fn accepted(max_bytes: u64, left_bytes: u64) -> Result<PinAnswer, PinRefusal> {
    Ok(PinAnswer::Accepted {
        max_bytes,
        left_bytes,
        until_ms: None,
    })
}

#[test]
fn each_requester_has_a_room_and_all_together_have_one() {
    let mut state = State::default();
    let mut asker = Asker::default();
    let mut say = |who, what, max_bytes| {
        let ask = asker.pin(who, what, max_bytes);
        state.decide(&ask, &standing(), &limits())
    };
    let too_large = Err(PinRefusal::ItemTooLarge { limit_bytes: 60 });
    assert_eq!(say("a", "1", Some(61)), too_large);
    assert_eq!(say("a", "1", Some(60)), accepted(60, 40));
    let full = |left_bytes| Err(PinRefusal::RequesterFull { left_bytes });
    assert_eq!(say("a", "2", Some(41)), full(40));
    assert_eq!(say("a", "2", None), accepted(40, 0));
    assert_eq!(say("a", "3", None), full(0));
    // The same again renews, and may change the limit within the room.
    assert_eq!(say("a", "2", Some(30)), accepted(30, 10));
    assert_eq!(say("a", "2", Some(41)), full(40));
    assert_eq!(say("b", "1", Some(50)), accepted(50, 50));
    let all = Err(PinRefusal::AllFull { left_bytes: 10 });
    assert_eq!(say("b", "2", Some(20)), all);
    assert_eq!(say("b", "2", None), accepted(10, 40));
}

#[test]
fn what_was_taken_back_is_free_again() {
    let mut state = State::default();
    let mut asker = Asker::default();
    let unpin = asker.ask("a", "1", PinAct::Unpin);
    let nothing = state.decide(&unpin, &standing(), &limits());
    assert_eq!(nothing, Err(PinRefusal::NotPinned));
    let pin = asker.pin("a", "1", Some(60));
    state.decide(&pin, &standing(), &limits()).unwrap();
    let of_other = asker.ask("b", "1", PinAct::Unpin);
    let refused = state.decide(&of_other, &standing(), &limits());
    assert_eq!(refused, Err(PinRefusal::NotPinned));
    let released = state.decide(&unpin, &standing(), &limits());
    assert_eq!(released, Ok(PinAnswer::Released { left_bytes: 100 }));
    assert!(state.grants.is_empty());
}

#[test]
fn a_request_counts_once_in_its_time_at_its_mirror() {
    let mut asker = Asker::default();
    let mut state = State::default();
    let pin = asker.pin("a", "1", Some(1));
    state.decide(&pin, &standing(), &limits()).unwrap();
    let again = state.decide(&pin, &standing(), &limits());
    assert_eq!(again, Err(PinRefusal::Replayed));
    // Until its time is over, then for that reason.
    let at = |now_ms| Standing {
        now_ms,
        ..standing()
    };
    let late = state.decide(&pin, &at(NOW_MS + WINDOW_MS), &limits());
    assert_eq!(late, Err(PinRefusal::Replayed));
    for now_ms in [NOW_MS + WINDOW_MS + 1, NOW_MS - WINDOW_MS - 1] {
        let stale = state.decide(&pin, &at(now_ms), &limits());
        assert_eq!(stale, Err(PinRefusal::Stale { now_ms }));
    }
    let mut elsewhere = asker.pin("a", "2", None);
    elsewhere.mirror = EndpointKey::from_bytes([8; 32]);
    let refused = state.decide(&elsewhere, &standing(), &limits());
    assert_eq!(refused, Err(PinRefusal::OtherMirror));
}

#[test]
fn the_policy_says_who_may_ask() {
    let mut asker = Asker::default();
    let table = [
        (Accept::Nobody, true, false, Some(PinRefusal::Nobody)),
        (
            Accept::Followed,
            false,
            false,
            Some(PinRefusal::NotFollowed),
        ),
        (Accept::Followed, true, false, None),
        (Accept::Anyone, false, false, None),
        (Accept::Anyone, false, true, Some(PinRefusal::Nobody)),
    ];
    for (accept, is_followed, is_blocked, refusal) in table {
        let limits = Limits { accept, ..limits() };
        let standing = Standing {
            is_followed,
            is_blocked,
            ..standing()
        };
        let ask = asker.pin("a", "1", Some(1));
        let decided = State::default().decide(&ask, &standing, &limits);
        assert_eq!(decided.err(), refusal, "{accept:?}");
    }
}

#[test]
fn no_more_is_promised_than_fits_on_the_disk() {
    let mut state = State::default();
    let mut asker = Asker::default();
    let small = Standing {
        room_bytes: 10,
        ..standing()
    };
    let ask = asker.pin("a", "1", Some(11));
    let refused = state.decide(&ask, &small, &limits());
    assert_eq!(refused, Err(PinRefusal::NoRoom { left_bytes: 10 }));
    let ask = asker.pin("a", "1", None);
    assert_eq!(state.decide(&ask, &small, &limits()), accepted(10, 90));
}

#[test]
fn promises_end_by_themselves_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(dir.path()).unwrap();
    let requests = PinRequests::open(&folder).unwrap();
    let mut asker = Asker::default();
    let act = PinAct::Pin {
        media: PinScope::Thumbs,
        max_bytes: Some(60),
        until_ms: Some(NOW_MS + 10),
    };
    let ends = asker.ask("a", "1", act);
    let stays = asker.pin("a", "2", Some(40));
    for ask in [&ends, &stays] {
        let answer = requests
            .decide(&folder, ask, &standing(), &limits())
            .unwrap();
        assert!(matches!(answer, PinAnswer::Accepted { .. }), "{answer:?}");
    }
    let again = PinRequests::open(&folder).unwrap();
    assert_eq!(again.all(), requests.all());
    let replayed = again
        .decide(&folder, &stays, &standing(), &limits())
        .unwrap();
    assert_eq!(replayed, PinAnswer::Refused(PinRefusal::Replayed));
    let full = asker.pin("a", "3", Some(1));
    let full = again
        .decide(&folder, &full, &standing(), &limits())
        .unwrap();
    let refusal = PinRefusal::RequesterFull { left_bytes: 0 };
    assert_eq!(full, PinAnswer::Refused(refusal));
    assert!(again.take_over(&folder, NOW_MS + 9).unwrap().is_empty());
    let over = again.take_over(&folder, NOW_MS + 10).unwrap();
    assert_eq!(over.len(), 1);
    assert_eq!((over[0].target, again.all().len()), (ends.target, 1));
}

#[test]
fn the_list_is_bounded() {
    let mut state = State::default();
    let wide = Limits {
        requester_bytes: u64::MAX,
        total_bytes: u64::MAX,
        ..limits()
    };
    for number in 0..OF_REQUESTER + 1 {
        let mut ask = Asker::default().pin("a", &number.to_string(), Some(0));
        ask.nonce[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let decided = state.decide(&ask, &standing(), &wide);
        let expected = (number == OF_REQUESTER).then_some(PinRefusal::TooMany);
        assert_eq!(decided.err(), expected, "{number}");
    }
}

fn space() -> SpaceId {
    SpaceId::of(b"space")
}

/// Two ask for a space; it was joined for the first.
fn promised_to_two(asker: &mut Asker) -> State {
    let mut state = State::default();
    for who in ["a", "b"] {
        let mut ask = asker.pin(who, "", Some(1));
        ask.target = PinTarget::Space(space());
        state.decide(&ask, &standing(), &limits()).unwrap();
    }
    state.grants[0].joined = Some(Joined::Space(space()));
    state
}

fn unpin(state: &mut State, asker: &mut Asker, who: &str) {
    let mut ask = asker.ask(who, "", PinAct::Unpin);
    ask.target = PinTarget::Space(space());
    state.decide(&ask, &standing(), &limits()).unwrap();
}

#[test]
fn what_was_joined_is_left_after_the_last_promise_about_it() {
    let mut asker = Asker::default();
    let mut state = promised_to_two(&mut asker);
    let joined = Joined::Space(space());
    unpin(&mut state, &mut asker, "a");
    assert_eq!(state.grants[0].joined, Some(joined), "handed on");
    assert!(state.left.is_empty());
    unpin(&mut state, &mut asker, "b");
    assert_eq!(state.left, BTreeSet::from([joined]));
    // Promised again before it was left: it will be left after that.
    let mut again = asker.pin("c", "", Some(1));
    again.target = PinTarget::Space(space());
    state.decide(&again, &standing(), &limits()).unwrap();
    assert_eq!(state.grants[0].joined, Some(joined));
    assert!(state.left.is_empty());
}

#[test]
fn what_is_over_when_somebody_asks_is_left_too() {
    let mut asker = Asker::default();
    let mut state = promised_to_two(&mut asker);
    for grant in &mut state.grants {
        grant.until_ms = Some(NOW_MS + 1);
    }
    let at = Standing {
        now_ms: NOW_MS + 1,
        ..standing()
    };
    let other = asker.pin("c", "1", Some(1));
    state.decide(&other, &at, &limits()).unwrap();
    assert_eq!(state.left, BTreeSet::from([Joined::Space(space())]));
}

#[test]
fn what_the_person_joins_is_not_left() {
    let mut asker = Asker::default();
    let thread = Joined::Thread(EntryId::of(b"thread"), space());
    let joined = Joined::Space(space());
    for (own, stays) in [(joined, None), (thread, Some(joined))] {
        let mut state = promised_to_two(&mut asker);
        state.left.insert(thread);
        state.own(own);
        assert_eq!(state.grants[0].joined, stays);
        assert!(state.left.is_empty());
    }
}
