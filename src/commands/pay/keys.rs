//! `datt pay keys`: what spends what was received, and the key that is paid to.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io::{self, BufRead, IsTerminal, Read},
};

use clap::Args;
use data_encoding::HEXLOWER;
use gateway::api::types::{NewPaymentKey, Written};
use http::Method;
use serde::Serialize;
use spv::Network;
use views::{
    amount::count,
    data::{ChainStatus, PaymentKey, Received},
};
use zeroize::Zeroizing;

use crate::{
    commands::{client::Client, failure::CommandError, outcome::Outcome, words::line},
    payments::{
        batch,
        keys::{self, KeyError, Spending},
    },
};

const ROUTE: &str = "/api/v1/payments/key";
/// Longest recovery words, bytes: 24 words of eight letters, and room for spaces.
const WORDS_BYTES: u64 = 1_024;
/// Said wherever a private key is shown.
const WARNING: &str = "Keep these as secret as the words: one of the tweaked private keys, with \
                       its tweak, which everybody can compute, reveals the payment key's own \
                       private key, and with it all the others.";

#[derive(Debug, Args)]
pub(in crate::commands) struct KeysArgs {
    /// Print private keys; the wallet's recovery words are read from stdin and not kept
    #[arg(long, conflicts_with_all = ["publish", "from_words", "off", "address", "network"])]
    with_secret: bool,
    /// Publish a key to be paid to: 64 (x-only) or 66 (compressed) hexadecimal digits
    #[arg(long, value_name = "KEY", num_args = 0..=1, conflicts_with = "off")]
    publish: Option<Option<String>>,
    /// Publish the key of recovery words (BIP39), read from stdin: BIP86's first one,
    /// m/86'/0'/0'/0/0 (m/86'/1'/0'/0/0 on test networks). Words and private key are not kept
    #[arg(long, conflicts_with = "off")]
    from_words: bool,
    /// Address that batches pay to, instead of the key's own
    #[arg(long, value_name = "ADDRESS", conflicts_with = "off")]
    address: Option<String>,
    /// Network of the key, instead of the one that the node follows
    #[arg(long, value_name = "bitcoin|testnet4|signet|regtest")]
    network: Option<Network>,
    /// Be paid no longer: the key is taken back
    #[arg(long)]
    off: bool,
}

impl KeysArgs {
    /// What clap can't check.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        let usage = |text: &str| Err(CommandError::Usage(text.to_owned()));
        match (&self.publish, self.from_words) {
            (Some(Some(_)), true) => return usage("give a key or --from-words, not both"),
            (Some(None), false) => return usage("give --publish a key, or --from-words"),
            (Some(Some(key)), false) => {
                keys::parse(key).map_err(wrong)?;
            }
            (Some(None) | None, true) => {}
            (None, false) if self.off => {}
            (None, false) if self.address.is_some() || self.network.is_some() => {
                return usage("--address and --network go with a key: --publish or --from-words");
            }
            (None, false) => {}
        }
        if let (Some(address), Some(network)) = (&self.address, self.network) {
            check_address(network, address)?;
        }
        Ok(())
    }

    fn publishes(&self) -> bool {
        self.publish.is_some() || self.from_words || self.off
    }
}

fn wrong(error: KeyError) -> CommandError {
    CommandError::Usage(error.to_string())
}

fn check_address(network: Network, address: &str) -> Result<(), CommandError> {
    match batch::read_address(network, address) {
        Ok(_) => Ok(()),
        Err(reason) => Err(CommandError::Usage(format!(
            "`{address}` is no address on {network}: {reason}"
        ))),
    }
}

pub(super) async fn run(client: &Client, args: &KeysArgs) -> Result<Outcome, CommandError> {
    if args.publishes() {
        return publish(client, args).await;
    }
    list(client, args.with_secret).await
}

async fn publish(client: &Client, args: &KeysArgs) -> Result<Outcome, CommandError> {
    let network = match args.network {
        Some(network) => network,
        None => followed(client).await?,
    };
    if let Some(address) = &args.address {
        check_address(network, address)?;
    }
    let key = match &args.publish {
        _ if args.off => None,
        Some(Some(text)) => Some(keys::parse(text).map_err(wrong)?),
        _ => Some(spending(&words()?, network).map_err(wrong)?.public()),
    };
    let new = NewPaymentKey {
        key: key.map(|key| HEXLOWER.encode(&key)),
        network: Some(network.to_string()),
        address: args.address.clone(),
        off: args.off,
    };
    let written: Written = client.call(Method::PUT, ROUTE, Some(&new)).await?;
    let text = match key {
        None => format!("{}\nno key for {network} any more", written.id),
        Some(key) => {
            let own = keys::address(&key, network).map_err(wrong)?;
            let address = args.address.as_ref().unwrap_or(&own);
            let key = HEXLOWER.encode(&key);
            format!(
                "{}\nkey      {key} on {network}\nbatches  {address}\n{}",
                written.id,
                "Votes are paid to addresses made of this key: keep the wallet that has its \
                 private key. `datt pay keys` tells how it spends them."
            )
        }
    };
    Ok(Outcome::new(text, &written))
}

/// The network that the node follows.
async fn followed(client: &Client) -> Result<Network, CommandError> {
    let status: ChainStatus = client.get("/api/v1/chain").await?;
    status.network.parse().map_err(|_| {
        CommandError::Usage(
            "this node follows no network (payments.network): name one with --network".to_owned(),
        )
    })
}

fn spending(words: &str, network: Network) -> Result<Spending, KeyError> {
    Spending::from_words(words, network)
}

/// Recovery words from stdin: one line where a person types, else all of it.
fn words() -> Result<Zeroizing<String>, CommandError> {
    let stdin = io::stdin();
    let mut text = Zeroizing::new(String::new());
    let mut bounded = stdin.lock().take(WORDS_BYTES);
    let read = if io::stdin().is_terminal() {
        eprintln!("The recovery words of your Bitcoin wallet, on one line:");
        bounded.read_line(&mut text)
    } else {
        bounded.read_to_string(&mut text)
    };
    read.map_err(CommandError::io("read the words from", "stdin"))?;
    Ok(text)
}

/// What spends some of what was received.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
struct Spend {
    network: String,
    /// X-only public key that was paid to.
    key: String,
    /// What was added to it; none in a batch.
    tweak_hex: Option<String>,
    /// Descriptor that shows the money; none where it went to the person's other address.
    watch: Option<String>,
    /// Descriptor that spends it, private only where that was asked for.
    spend: Option<String>,
    votes: Vec<String>,
    outpoints: Vec<String>,
    sats: u64,
    /// What is amiss, or where else it went.
    note: Option<String>,
}

async fn list(client: &Client, with_secret: bool) -> Result<Outcome, CommandError> {
    let key: Option<PaymentKey> = client.get(ROUTE).await?;
    let received: Vec<Received> = client.get("/api/v1/payments/received").await?;
    let mut spends = gather(&received);
    if with_secret {
        let words = words()?;
        reveal(&mut spends, &words)?;
    }
    let text = describe(key.as_ref(), &spends, with_secret);
    let json = serde_json::json!({ "key": key, "descriptors": spends });
    Ok(Outcome::new(text, &json))
}

/// One entry for each descriptor, in the order of what was received.
fn gather(received: &[Received]) -> Vec<Spend> {
    let mut spends = Vec::<Spend>::new();
    let mut places = BTreeMap::new();
    for one in received {
        let place = (&one.network, &one.key, &one.tweak_hex, &one.script_hex);
        let at = match places.entry(place) {
            Entry::Occupied(at) => *at.get(),
            Entry::Vacant(free) => {
                spends.push(public(one));
                *free.insert(spends.len() - 1)
            }
        };
        let spend = &mut spends[at];
        spend.votes.push(one.vote.clone());
        spend.sats = spend.sats.saturating_add(one.sats);
        if !spend.outpoints.contains(&one.outpoint) {
            spend.outpoints.push(one.outpoint.clone());
        }
    }
    spends
}

fn public(one: &Received) -> Spend {
    let mut spend = Spend {
        network: one.network.clone(),
        key: one.key.clone(),
        tweak_hex: one.tweak_hex.clone(),
        watch: None,
        spend: None,
        votes: Vec::new(),
        outpoints: Vec::new(),
        sats: 0,
        note: None,
    };
    match read(one) {
        Ok((key, tweak)) if pays(&key, tweak.as_ref(), &one.script_hex) => {
            spend.watch = keys::watching(&key, tweak.as_ref()).ok();
            spend.spend = Some(keys::placeholder(tweak.as_ref()));
        }
        Ok((_, None)) => {
            spend.note =
                Some("paid to the address you published: its own wallet spends it".to_owned());
        }
        Ok((_, Some(_))) => {
            spend.note = Some("its script is not the one that key and tweak make".to_owned());
        }
        Err(error) => spend.note = Some(error.to_string()),
    }
    spend
}

fn read(one: &Received) -> Result<([u8; 32], Option<[u8; 32]>), KeyError> {
    let key = keys::parse(&one.key)?;
    let Some(text) = &one.tweak_hex else {
        return Ok((key, None));
    };
    let tweak = HEXLOWER.decode(text.as_bytes()).ok();
    let tweak = tweak.and_then(|bytes| bytes.try_into().ok());
    tweak
        .map(|tweak| (key, Some(tweak)))
        .ok_or_else(|| KeyError::Tweak(text.clone()))
}

fn pays(key: &[u8; 32], tweak: Option<&[u8; 32]>, script_hex: &str) -> bool {
    keys::script(key, tweak).is_ok_and(|script| script.to_hex_string() == script_hex)
}

/// Puts private keys where placeholders are.
fn reveal(spends: &mut [Spend], words: &str) -> Result<(), CommandError> {
    let mut wallets = BTreeMap::<Network, Spending>::new();
    for spend in spends.iter_mut().filter(|spend| spend.spend.is_some()) {
        let Ok(network) = spend.network.parse::<Network>() else {
            continue;
        };
        let wallet = match wallets.entry(network) {
            Entry::Occupied(wallet) => wallet.into_mut(),
            Entry::Vacant(free) => free.insert(spending(words, network).map_err(wrong)?),
        };
        let key = keys::parse(&spend.key).map_err(wrong)?;
        let tweak = spend.tweak_hex.as_ref();
        let tweak = tweak.and_then(|text| HEXLOWER.decode(text.as_bytes()).ok());
        let tweak: Option<[u8; 32]> = tweak.and_then(|bytes| bytes.try_into().ok());
        match wallet.descriptor(&key, tweak.as_ref()) {
            Ok(descriptor) => spend.spend = Some(descriptor.to_string()),
            // Keys change; what an earlier one received needs the earlier words.
            Err(error @ KeyError::OtherWords { .. }) => spend.note = Some(error.to_string()),
            Err(error) => return Err(wrong(error)),
        }
    }
    Ok(())
}

fn describe(key: Option<&PaymentKey>, spends: &[Spend], with_secret: bool) -> String {
    let mut lines = match key {
        Some(key) => {
            let address = key.address.iter();
            let batches = address.map(|address| format!("batches  {}", line(address)));
            let mut lines = vec![format!("key      {} on {}", key.key, key.network)];
            lines.extend(batches);
            lines
        }
        None => vec![
            "no payment key is published: datt pay keys --publish KEY, or --from-words".to_owned(),
        ],
    };
    if spends.is_empty() {
        lines.push("nothing was received".to_owned());
        return lines.join("\n");
    }
    lines.extend(spends.iter().map(one));
    if with_secret {
        lines.push(WARNING.to_owned());
    } else {
        lines.push(
            "p is negated first where its public key's y is odd. `datt pay keys --with-secret` \
             does all of it, by words from stdin."
                .to_owned(),
        );
    }
    lines.join("\n")
}

fn one(spend: &Spend) -> String {
    let mut text = format!(
        "{}  {}, {}",
        spend.outpoints.join(" "),
        count(spend.sats, "sat", "sats"),
        count(spend.votes.len() as u64, "vote", "votes"),
    );
    for (name, what) in [
        ("watch", &spend.watch),
        ("spend", &spend.spend),
        ("note ", &spend.note),
    ] {
        if let Some(what) = what {
            text.push_str(&format!("\n  {name}  {what}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
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
        for args in [
            &[][..],
            &["--with-secret"],
            &["--publish", key],
            &["--from-words"],
            &["--publish", "--from-words"],
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
            (&["--network", "regtest"], "go with a key"),
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
        let vote = model::EntryId::of(vote);
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
    fn what_other_words_received_is_left_as_it_is() {
        let wallet = Spending::from_words(WORDS, Network::Bitcoin).unwrap();
        let mut spends = gather(&[received(&wallet.public(), b"one", false)]);
        reveal(&mut spends, WORDS).unwrap();
        assert!(spends[0].note.as_ref().unwrap().contains("these words"));
        let spend = spends[0].spend.as_ref().unwrap();
        assert!(spend.starts_with("tr(<private"), "{spend}");
        assert!(reveal(&mut spends, "no words").is_err());
    }
}
