//! A frame that reads, written and read again is the same.
#![no_main]

use gossip::sync::Frame;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(frame) = Frame::decode(bytes) {
        let again =
            Frame::decode(&frame.encode()).expect("a frame that was read is within its bounds");
        assert_eq!(again, frame);
    }
});
