//! A gossip message that reads, written and read again is the same.
#![no_main]

use gossip::live::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Message::decode(bytes) {
        let again = Message::decode(&message.encode())
            .expect("a message that was read is within its bounds");
        assert_eq!(again, message);
    }
});
