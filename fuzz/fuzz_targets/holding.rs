//! What decodes is kept byte for byte and within its limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{Holding, limits};

fuzz_target!(|bytes: &[u8]| {
    let Ok(holding) = Holding::decode(bytes) else {
        return;
    };
    assert_eq!(holding.bytes(), bytes);
    assert!((1..=limits::HOLDING_ITEMS).contains(&holding.items().len()));
    assert!(holding.until_ms() - holding.time_ms() <= limits::HOLDING_LIFE_MS);
});
