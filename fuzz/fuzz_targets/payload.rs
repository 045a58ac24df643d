//! What decodes is kept byte for byte, and encodes to the same bytes again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::Payload;

fuzz_target!(|bytes: &[u8]| {
    let Ok(payload) = Payload::decode(bytes) else {
        return;
    };
    assert_eq!(&payload.bytes()[..], bytes);
    // An array of two and the head of 16 bytes go before the salt.
    let salt = bytes[2..18].try_into().expect("16 bytes");
    let again = Payload::new(salt, payload.row().clone()).expect("a row that was read is a row");
    assert_eq!(again, payload);
});
