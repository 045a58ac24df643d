//! `datt pay keys`: what spends what was received, and the key that is paid to.

mod spend;

use std::io::{self, BufRead, IsTerminal, Read};

use clap::Args;
use data_encoding::HEXLOWER;
use gateway::api::types::{NewPaymentKey, Written};
use http::Method;
use model::EntryId;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use spv::{Network, network::NoSuchNetwork};
use views::data::{ChainStatus, PaymentKey, Received};
use zeroize::Zeroizing;

use crate::{
    commands::{client::Client, failure::CommandError, outcome::Outcome, words::line},
    payments::{
        batch,
        keys::{self, KeyError, Spending},
        published::RECEIVED,
    },
};
use spend::{Spend, gather, reveal};

const ROUTE: &str = "/api/v1/payments/key";
const KEYS_ROUTE: &str = "/api/v1/payments/keys";
/// Longest recovery words, bytes: 24 words of eight letters, and room for spaces.
const WORDS_BYTES: u64 = 1_024;
/// Said wherever a private key is shown.
const WARNING: &str = "Keep these as secret as the words: one of the tweaked private keys, with \
                       its tweak, which everybody can compute, reveals the payment key's own \
                       private key, and with it all the others.";

#[derive(Debug, Args)]
pub(in crate::commands) struct KeysArgs {
    /// Print private keys; the wallet's recovery words are read from stdin and not kept
    #[arg(long, conflicts_with_all = ["publish", "from_words", "off", "address"])]
    with_secret: bool,
    /// What spends the payment of this vote, though no proof of it is here: by each key that was
    /// ever published
    #[arg(
        long,
        value_name = "CID",
        conflicts_with_all = ["publish", "from_words", "off", "address"]
    )]
    vote: Option<EntryId>,
    /// The key that was paid to, where the node knows of none
    #[arg(long, value_name = "KEY", requires = "vote")]
    key: Option<String>,
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
            (None, false) if self.address.is_some() => {
                return usage("--address goes with a key: --publish or --from-words");
            }
            (None, false) if self.network.is_some() && self.key.is_none() => {
                return usage("--network goes with a key: --publish, --from-words or --key");
            }
            (None, false) => {}
        }
        if let Some(key) = &self.key {
            keys::parse(key).map_err(wrong)?;
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
    list(client, args).await
}

async fn publish(client: &Client, args: &KeysArgs) -> Result<Outcome, CommandError> {
    let network = named(client, args).await?;
    if let Some(address) = &args.address {
        check_address(network, address)?;
    }
    let key = match &args.publish {
        _ if args.off => None,
        Some(Some(text)) => Some(keys::parse(text).map_err(wrong)?),
        _ => Some(
            Spending::from_words(&words()?, network)
                .map_err(wrong)?
                .public(),
        ),
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

/// The network that is named, or that the node follows.
async fn named(client: &Client, args: &KeysArgs) -> Result<Network, CommandError> {
    if let Some(network) = args.network {
        return Ok(network);
    }
    let status: ChainStatus = client.get("/api/v1/chain").await?;
    status.network.parse().map_err(|_| {
        CommandError::Usage(
            "this node follows no network (payments.network): name one with --network".to_owned(),
        )
    })
}

/// A terminal that doesn't show what is typed, until this is dropped.
struct Silence<'a> {
    terminal: &'a io::Stdin,
    before: Termios,
}

impl<'a> Silence<'a> {
    fn begin(terminal: &'a io::Stdin) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // Else the person's shell stays silent, which `stty sane` puts right.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Recovery words from stdin: one line where a person types, else all of it.
fn words() -> Result<Zeroizing<String>, CommandError> {
    let stdin = io::stdin();
    let mut text = Zeroizing::new(String::new());
    let mut bounded = stdin.lock().take(WORDS_BYTES);
    let read = if io::stdin().is_terminal() {
        eprintln!("The recovery words of your Bitcoin wallet, on one line (they are not shown):");
        let silence = Silence::begin(&stdin)
            .map_err(CommandError::io("switch the echo off of", "the terminal"))?;
        let read = bounded.read_line(&mut text);
        drop(silence);
        read
    } else {
        bounded.read_to_string(&mut text)
    };
    read.map_err(CommandError::io("read the words from", "stdin"))?;
    Ok(text)
}

async fn list(client: &Client, args: &KeysArgs) -> Result<Outcome, CommandError> {
    let with_secret = args.with_secret;
    let key: Option<PaymentKey> = client.get(ROUTE).await?;
    let mut received: Vec<Received> = client.get("/api/v1/payments/received").await?;
    let is_cut = args.vote.is_none() && received.len() >= RECEIVED;
    if let Some(vote) = args.vote {
        let vote_text = vote.to_string();
        received.retain(|one| one.vote == vote_text);
        let keys = candidates(client, args).await?;
        add_unproved(&mut received, vote, &keys)?;
    }
    let mut spends = gather(&received);
    if with_secret {
        let words = words()?;
        reveal(&mut spends, &words)?;
    }
    let mut text = describe(key.as_ref(), &spends, with_secret);
    if is_cut {
        text.push_str(&format!(
            "\nthese are the newest {RECEIVED} payments: what spends an older one, if there are \
             any, is told by `datt pay keys --vote CID`"
        ));
    }
    let json = serde_json::json!({ "key": key, "descriptors": spends, "newest_only": is_cut });
    Ok(Outcome::new(text, &json))
}

/// The keys by which a vote may have been paid: the one that is given, or each ever published.
async fn candidates(
    client: &Client,
    args: &KeysArgs,
) -> Result<Vec<([u8; 32], Network)>, CommandError> {
    if let Some(key) = &args.key {
        let key = keys::parse(key).map_err(wrong)?;
        return Ok(vec![(key, named(client, args).await?)]);
    }
    let published: Vec<PaymentKey> = client.get(KEYS_ROUTE).await?;
    if published.is_empty() {
        return Err(CommandError::Missing(
            "no payment key was ever published: say which one was paid to with --key".to_owned(),
        ));
    }
    published.iter().map(read).collect()
}

/// Adds what a vote's own address receives by each of the keys, where no proof shows that already.
fn add_unproved(
    received: &mut Vec<Received>,
    vote: EntryId,
    keys: &[([u8; 32], Network)],
) -> Result<(), CommandError> {
    for (key, network) in keys {
        let one = unproved(key, *network, vote)?;
        let same =
            |known: &Received| known.script_hex == one.script_hex && known.network == one.network;
        if !received.iter().any(same) {
            received.push(one);
        }
    }
    Ok(())
}

/// What a vote's own address receives by a key.
fn unproved(key: &[u8; 32], network: Network, vote: EntryId) -> Result<Received, CommandError> {
    let tweak = spv::proof::tweak(network, key, &vote);
    let tweak = tweak.map_err(|error| CommandError::Usage(error.to_string()))?;
    let tweak = tweak.to_be_bytes();
    let script = keys::script(key, Some(&tweak)).map_err(wrong)?;
    Ok(Received {
        vote: vote.to_string(),
        network: network.to_string(),
        key: HEXLOWER.encode(key),
        tweak_hex: Some(HEXLOWER.encode(&tweak)),
        script_hex: script.to_hex_string(),
        ..Received::default()
    })
}

/// A key that the node told.
fn read(key: &PaymentKey) -> Result<([u8; 32], Network), CommandError> {
    let senseless = |reason: String| CommandError::Answer {
        request: format!("GET {KEYS_ROUTE}"),
        reason,
    };
    let network = key.network.parse();
    let network = network.map_err(|error: NoSuchNetwork| senseless(error.to_string()))?;
    let public = keys::parse(&key.key).map_err(|error| senseless(error.to_string()))?;
    Ok((public, network))
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
    lines.extend(spends.iter().map(Spend::describe));
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

#[cfg(test)]
mod tests;
