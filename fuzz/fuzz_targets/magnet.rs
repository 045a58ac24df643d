//! A link that is read is written so that it reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use torrent::{MAX_MAGNET_BYTES, Magnet};

fuzz_target!(|bytes: &[u8]| {
    let Ok(magnet) = String::from_utf8_lossy(bytes).parse::<Magnet>() else {
        return;
    };
    let written = magnet.to_string();
    // escaping makes links longer
    assert!(written.len() > MAX_MAGNET_BYTES || written.parse() == Ok(magnet));
});
