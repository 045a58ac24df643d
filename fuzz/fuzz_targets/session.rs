//! Both sides of a sync session against frames of a peer that sends anything, in any order.
#![no_main]

use gossip::{
    MemoryReplica, Scope,
    sync::{Frame, Hello, Session, VERSION},
};
use libfuzzer_sys::fuzz_target;
use model::{EndpointKey, EntryId, SpaceId};

/// Frames of one session, each behind a length of two bytes.
fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (frame, after) = rest.split_at(length);
        frames.push(frame);
        bytes = after;
    }
    frames
}

fn talk(mut session: Session, frames: &[&[u8]]) {
    let replica = MemoryReplica::new();
    let hello = Frame::Hello(Hello {
        version: VERSION,
        capabilities: 0,
        clock_ms: 0,
    });
    if session.receive(&hello.encode(), 0, &replica).is_err() {
        return;
    }
    for frame in frames {
        while let Ok(Some(_)) = session.transmit(&replica) {}
        if session.receive(frame, 1, &replica).is_err() {
            return;
        }
        session.take_news();
    }
}

fuzz_target!(|bytes: &[u8]| {
    let peer = EndpointKey::from_bytes([1; 32]);
    let space = SpaceId::from_bytes([2; 32]);
    let scopes = vec![
        Scope::thread(space, EntryId::from_bytes([3; 32])),
        Scope::space(space),
        Scope::authority(space),
    ];
    let frames = frames(bytes);
    talk(Session::respond(peer, 0), &frames);
    talk(Session::initiate(peer, scopes, 0), &frames);
    talk(
        Session::fetch(peer, vec![EntryId::from_bytes([4; 32])], 0),
        &frames,
    );
});
