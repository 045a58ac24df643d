#![allow(clippy::unwrap_used)]
use clap::Parser;

use super::*;

/// The words of BIP86's test vectors.
const WORDS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                     abandon abandon about";

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: KeysArgs,
}

fn parsed(args: &[&str]) -> Result<KeysArgs, String> {
    let line = Line::try_parse_from([&["x"], args].concat());
    let args = line.map_err(|error| error.to_string())?.args;
    args.check().map_err(|error| error.to_string())?;
    Ok(args)
}

#[test]
fn keys_are_published_from_one_source() {
    let key = "cc8a4bc64d897bddc5fbc2f670f7a8ba0b386779106cf1223c6fc5d7cd6fc115";
    let vote = EntryId::of(b"vote").to_string();
    for args in [
        &[][..],
        &["--with-secret"],
        &["--publish", key],
        &["--from-words"],
        &["--publish", "--from-words"],
        &["--vote", &vote, "--with-secret"],
        &["--vote", &vote, "--key", key, "--network", "regtest"],
        &["--off", "--network", "regtest"],
        &["--from-words", "--network", "signet"],
    ] {
        parsed(args).unwrap();
    }
    for (args, reason) in [
        (&["--publish"][..], "--from-words"),
        (&["--publish", key, "--from-words"], "not both"),
        (&["--publish", "02"], "64"),
        (&["--publish", key, "--off"], "cannot be used"),
        (&["--with-secret", "--from-words"], "cannot be used"),
        (&["--network", "regtest"], "goes with a key"),
        (&["--key", key], "--vote"),
        (&["--vote", &vote, "--key", "02"], "64"),
        (
            &["--vote", &vote, "--network", "regtest"],
            "goes with a key",
        ),
        (&["--network", "mainnet", "--off"], "testnet4"),
        (
            &[
                "--from-words",
                "--network",
                "bitcoin",
                "--address",
                "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
            ],
            "another network",
        ),
    ] {
        let error = parsed(args).unwrap_err();
        assert!(error.contains(reason), "{args:?}: {error}");
    }
}

fn received(key: &[u8; 32], vote: &[u8], batch: bool) -> Received {
    let vote = EntryId::of(vote);
    let tweak = spv::proof::tweak(Network::Regtest, key, &vote).unwrap();
    let tweak = (!batch).then(|| tweak.to_be_bytes());
    Received {
        vote: vote.to_string(),
        outpoint: format!("{}:0", "ab".repeat(32)),
        sats: 1_000,
        network: "regtest".to_owned(),
        key: HEXLOWER.encode(key),
        tweak_hex: tweak.map(|tweak| HEXLOWER.encode(&tweak)),
        script_hex: keys::script(key, tweak.as_ref()).unwrap().to_hex_string(),
        ..Received::default()
    }
}

#[test]
fn secrets_are_printed_only_when_asked_for() {
    let wallet = Spending::from_words(WORDS, Network::Regtest).unwrap();
    let key = wallet.public();
    let all = [
        received(&key, b"one", false),
        received(&key, b"two", true),
        received(&key, b"three", true),
        Received {
            script_hex: "0014".to_owned(),
            ..received(&key, b"four", true)
        },
    ];
    let mut spends = gather(&all);
    assert_eq!(spends.len(), 3, "a batch's output is one descriptor");
    assert_eq!((spends[1].votes.len(), spends[1].sats), (2, 2_000));
    assert_eq!(spends[1].outpoints.len(), 1);
    let text = describe(None, &spends, false);
    for part in ["<private key p", "tr(", "the address you published"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    reveal(&mut spends, WORDS).unwrap();
    let text = describe(None, &spends, true);
    assert!(!text.contains("<private"), "{text}");
    assert!(text.contains("reveals the payment key's own"), "{text}");
    for spend in &spends[..2] {
        let descriptor = spend.spend.as_ref().unwrap();
        assert!(descriptor.starts_with("tr(c"), "{descriptor}");
    }
}

#[test]
fn a_vote_is_spent_by_each_key_ever_published_and_each_says_for_which_script() {
    let vote = EntryId::of(b"one");
    let key = |words| {
        Spending::from_words(words, Network::Regtest)
            .unwrap()
            .public()
    };
    let other = bip39::Mnemonic::from_entropy(&[9; 16]).unwrap().to_string();
    let (now, earlier) = (key(WORDS), key(&other));
    let keys = [(now, Network::Regtest), (earlier, Network::Regtest)];

    let mut unproved = Vec::new();
    add_unproved(&mut unproved, vote, &keys).unwrap();
    let mut spends = gather(&unproved);
    assert_eq!(spends.len(), 2);
    for (spend, key) in spends.iter().zip([now, earlier]) {
        let script = spv::proof::address_script(Network::Regtest, &key, &vote).unwrap();
        assert_eq!(spend.script_hex, script.to_hex_string());
        let address = spv::proof::address(Network::Regtest, &key, &vote).unwrap();
        let text = spend.describe();
        assert!(text.contains(&address.to_string()), "{text}");
        assert!(text.contains(&HEXLOWER.encode(&key)), "{text}");
    }
    // The words of the earlier key spend what was paid to it.
    reveal(&mut spends, &other).unwrap();
    assert!(spends[1].spend.as_ref().unwrap().starts_with("tr(c"));

    // What is proved isn't told twice.
    let mut proved = vec![received(&earlier, b"one", false)];
    add_unproved(&mut proved, vote, &keys).unwrap();
    let spends = gather(&proved);
    assert_eq!(spends.len(), 2);
    assert_eq!((spends[0].sats, spends[1].sats), (1_000, 0));
}

#[test]
fn what_other_words_received_is_left_as_it_is() {
    let earlier = Spending::from_words(WORDS, Network::Bitcoin).unwrap();
    let now = Spending::from_words(WORDS, Network::Regtest).unwrap();
    let one = received(&earlier.public(), b"one", false);
    let error = reveal(&mut gather(std::slice::from_ref(&one)), WORDS).unwrap_err();
    assert_eq!(error.exit_code(), 2, "none of it is theirs: {error}");
    let mut spends = gather(&[one, received(&now.public(), b"two", false)]);
    reveal(&mut spends, WORDS).unwrap();
    assert!(spends[0].note.as_ref().unwrap().contains("these words"));
    let spend = spends[0].spend.as_ref().unwrap();
    assert!(spend.starts_with("tr(<private"), "{spend}");
    assert!(reveal(&mut spends, "no words").is_err());
}
