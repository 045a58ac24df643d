#![allow(clippy::unwrap_used)]
use std::{fs, os::unix::fs::PermissionsExt};

use super::*;

const NOW_MS: u64 = 1_800_000_000_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn listen(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

#[test]
fn the_names_are_those_that_the_node_is_known_by() {
    let local = ["*.ipfs.localhost", "127.0.0.1", "::1", "localhost"];
    let of = |address, http: &Http| names(listen(address), http).into_iter().collect::<Vec<_>>();
    assert_eq!(of("127.0.0.1:8420", &Http::default()), local);
    assert_eq!(of("0.0.0.0:8420", &Http::default()), local);
    assert_eq!(of("[::]:8420", &Http::default()), local);
    let http = Http {
        hosts: vec!["Attic.local:8420".to_owned(), "[2001:db8::7]:1".to_owned()],
        public_url: Some("https://forum.example/".to_owned()),
        subdomain_hosts: vec!["ipfs.example:444".to_owned()],
        ..Http::default()
    };
    let more = of("192.0.2.7:8420", &http);
    for name in [
        "192.0.2.7",
        "attic.local",
        "2001:db8::7",
        "forum.example",
        "ipfs.example",
        "*.ipfs.ipfs.example",
    ] {
        assert!(more.iter().any(|known| known == name), "{name}: {more:?}");
    }
    assert_eq!(more.len(), local.len() + 6, "{more:?}");
}

#[test]
fn it_is_made_once_and_kept_for_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(dir.path()).unwrap();
    let names = names(listen("127.0.0.1:0"), &Http::default());
    let made = files(&folder, &names, NOW_MS).unwrap();
    let chain = fs::read(&made.chain).unwrap();
    let mode = fs::metadata(&made.key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = files(&folder, &names, NOW_MS + 300 * DAY_MS).unwrap();
    assert_eq!(fs::read(&again.chain).unwrap(), chain);
}

#[test]
fn what_no_longer_serves_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(dir.path()).unwrap();
    let local = names(listen("127.0.0.1:0"), &Http::default());
    let other = names(listen("192.0.2.7:0"), &Http::default());
    let made = files(&folder, &local, NOW_MS).unwrap();
    let mut last = fs::read(&made.chain).unwrap();
    let mut is_another = |names: &BTreeSet<String>, now_ms| {
        files(&folder, names, now_ms).unwrap().read().unwrap();
        let now = fs::read(&made.chain).unwrap();
        let is_another = now != last;
        last = now;
        is_another
    };
    assert!(is_another(&local, NOW_MS + 370 * DAY_MS), "it ends soon");
    assert!(is_another(&other, NOW_MS + 370 * DAY_MS), "for other names");
    fs::write(&made.key, "torn").unwrap();
    assert!(
        is_another(&other, NOW_MS + 370 * DAY_MS),
        "its key is damaged"
    );
    fs::remove_file(&made.chain).unwrap();
    assert!(is_another(&other, NOW_MS + 370 * DAY_MS), "it was deleted");
    assert!(!is_another(&other, NOW_MS + 370 * DAY_MS), "all is well");
}
