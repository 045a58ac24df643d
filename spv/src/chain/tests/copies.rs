use super::{
    super::{CopyError, CopyForm, HeaderChain, Imported, export},
    forge::{self, NOW_S},
};
use crate::Network;

fn chain(count: usize) -> HeaderChain {
    let mut chain = HeaderChain::new(Network::Regtest);
    let blocks = forge::blocks(&forge::genesis(), count, 0);
    chain.accept(&blocks, NOW_S).unwrap();
    chain
}

/// Reads a few bytes at a time, as a pipe may.
struct Dripping<'a>(&'a [u8]);

impl std::io::Read for Dripping<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let count = to.len().min(7);
        std::io::Read::read(&mut self.0, &mut to[..count])
    }
}

#[test]
fn what_one_chain_exports_another_takes() {
    let from = chain(2_345);
    for form in [CopyForm::Raw, CopyForm::Hex] {
        for first in [0, 1, 2_000] {
            let mut copy = Vec::new();
            let count = export(&from, first, form, &mut copy).unwrap();
            assert_eq!(count, 2_346 - first);
            let mut to = chain(first.saturating_sub(1) as usize);
            let mut imported = Imported::new(Dripping(&copy));
            let mut batches = 0;
            loop {
                let batch = imported.batch().unwrap();
                if batch.is_empty() {
                    break;
                }
                to.accept(&batch, NOW_S).unwrap();
                batches += 1;
            }
            assert_eq!(to.tip(), from.tip(), "{form:?} from {first}");
            assert_eq!(batches, count.div_ceil(2_000));
        }
    }
    let mut copy = Vec::new();
    let beyond = export(&from, 9_999, CopyForm::Raw, &mut copy).unwrap();
    assert_eq!((beyond, copy.len()), (0, 0));
}

#[test]
fn lines_may_be_empty_and_end_as_on_windows_or_not_at_all() {
    let from = chain(2);
    let mut copy = Vec::new();
    export(&from, 1, CopyForm::Hex, &mut copy).unwrap();
    let text = String::from_utf8(copy).unwrap();
    for changed in [
        text.replace('\n', "\r\n"),
        text.replace('\n', "\n\n \n"),
        text.trim_end().to_owned(),
        text.to_uppercase(),
    ] {
        let batch = Imported::new(changed.as_bytes()).batch().unwrap();
        assert_eq!(batch.len(), 2, "{changed:?}");
    }
}

#[test]
fn what_is_no_header_is_named_by_its_place() {
    let from = chain(3);
    let (mut raw, mut hex) = (Vec::new(), Vec::new());
    export(&from, 1, CopyForm::Raw, &mut raw).unwrap();
    export(&from, 1, CopyForm::Hex, &mut hex).unwrap();
    let cut = Imported::new(&raw[..200]).batch().unwrap_err();
    assert!(matches!(cut, CopyError::Cut(2)), "{cut}");
    hex[161 + 3] = b'g';
    let line = Imported::new(&hex[..]).batch().unwrap_err();
    assert!(matches!(line, CopyError::Line(2)), "{line}");
    let long = "ab".repeat(100_000);
    let line = Imported::new(long.as_bytes()).batch().unwrap_err();
    assert!(matches!(line, CopyError::Line(1)), "{line}");
    assert_eq!(Imported::new(&b""[..]).batch().unwrap(), []);
}
