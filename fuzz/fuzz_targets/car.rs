//! Every block that a CAR gives has its name, and pieces change nothing. The first byte is the
//! length of the pieces.
#![no_main]

use blocks::dag::{CarDecoder, CarFault, CarItem, links, verify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, car)) = bytes.split_first() else {
        return;
    };
    let whole = read(car, car.len().max(1));
    assert_eq!(read(car, usize::from(*first).max(1)), whole);
    for item in whole.0 {
        if let CarItem::Block { cid, bytes } = item {
            assert_eq!(verify(&cid, &bytes), Ok(()));
            links(&cid, &bytes).ok();
        }
    }
});

fn read(car: &[u8], piece_bytes: usize) -> (Vec<CarItem>, Result<(), CarFault>, u64) {
    let mut decoder = CarDecoder::new();
    let mut items = Vec::new();
    for piece in car.chunks(piece_bytes) {
        decoder.push(piece);
        while let Ok(Some(item)) = decoder.next() {
            items.push(item);
        }
    }
    (items, decoder.end(), decoder.offset())
}
