//! What decodes is kept byte for byte, and what verifies is what its key signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{Entry, EntryId, Unverified};

fuzz_target!(|bytes: &[u8]| {
    let Ok(entry) = Entry::<Unverified>::decode(bytes) else {
        return;
    };
    assert_eq!(&entry.bytes()[..], bytes);
    assert_eq!(entry.id(), EntryId::of(bytes));
    assert!(entry.header().parents.is_sorted());
    if let Ok(verified) = entry.verify() {
        Entry::from_store(verified.id(), bytes).expect("what was verified can be read back");
    }
});
