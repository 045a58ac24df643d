//! What wallets do with votes that carry money: pay what nodes ask for, and spend what they say was
//! received.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use bitcoin::base64::Engine as _;
use bitcoin::base64::prelude::BASE64_STANDARD;
use bitcoin::hashes::Hash as _;
use bitcoin::key::{Keypair, Secp256k1, TapTweak as _};
use bitcoin::secp256k1::{All, Message};
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::{
    Address, Amount, Network, OutPoint, PrivateKey, ScriptBuf, Sequence, Transaction, TxIn, TxOut,
    Witness, absolute, transaction,
};
use serde_json::{Value, json};
use spv::regtest::Miner;

use super::node::{Node, Setup, eventually};

/// How long something may take to reach a node from the chain, or from another node.
pub const ARRIVES: Duration = Duration::from_secs(60);
/// Blocks that a test mines at most after the first ones, before their times lie in the future.
pub const AHEAD: u32 = 80;
/// Seconds between blocks of [`miner`].
const SPACING_S: u32 = 600;

/// A node that keeps the headers of a private chain, which these peers give it (`address:port`).
pub fn on_chain<S: AsRef<str>>(setup: Setup, peers: &[S]) -> Setup {
    let peers: Vec<&str> = peers.iter().map(AsRef::as_ref).collect();
    setup
        .env("DATT_PAYMENTS_NETWORK", "regtest")
        .env("DATT_PAYMENTS_PEERS", &peers.join(","))
}

/// Recovery words of the authors of tests, and of others (vectors of BIP 39).
pub const WORDS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                         abandon abandon about";
/// Of somebody else.
pub const OTHER_WORDS: &str = "legal winner thank year wave sausage worth useful legal winner \
                               thank yellow";

/// A key that spends.
#[derive(Debug)]
pub struct Key {
    secp: Secp256k1<All>,
    pair: Keypair,
}

impl Key {
    /// The same for the same seed.
    pub fn new(seed: u8) -> Result<Self> {
        let secp = Secp256k1::new();
        let pair = Keypair::from_seckey_slice(&secp, &[seed; 32]).context("a secret key")?;
        Ok(Self { secp, pair })
    }

    /// From a descriptor that spends, `tr(WIF)#checksum` (BIP 386).
    pub fn from_descriptor(text: &str) -> Result<Self> {
        let inner = text
            .strip_prefix("tr(")
            .and_then(|rest| rest.split_once(')'));
        let (wif, _) = inner.with_context(|| format!("not a descriptor of taproot: {text}"))?;
        let secp = Secp256k1::new();
        let secret = PrivateKey::from_wif(wif).context("not a private key")?;
        let pair = Keypair::from_secret_key(&secp, &secret.inner);
        Ok(Self { secp, pair })
    }

    /// The script that BIP 86 gives the key.
    pub fn script(&self) -> ScriptBuf {
        ScriptBuf::new_p2tr(&self.secp, self.pair.x_only_public_key().0, None)
    }

    /// Spends a coin that pays [`Key::script`]: what the outputs and the fee leave of it comes back,
    /// last.
    pub fn pay(&self, from: OutPoint, coin: &TxOut, outputs: Vec<TxOut>) -> Result<Transaction> {
        const FEE: Amount = Amount::from_sat(200);
        ensure!(
            coin.script_pubkey == self.script(),
            "the coin belongs to another key: {}",
            coin.script_pubkey
        );
        let paid = outputs.iter().map(|one| one.value).sum::<Amount>() + FEE;
        let change = TxOut {
            value: coin.value.checked_sub(paid).context("too little")?,
            script_pubkey: self.script(),
        };
        let mut paying = Transaction {
            version: transaction::Version::TWO,
            lock_time: absolute::LockTime::ZERO,
            input: vec![TxIn {
                previous_output: from,
                script_sig: ScriptBuf::new(),
                sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
                witness: Witness::new(),
            }],
            output: [outputs, vec![change]].concat(),
        };
        let sighash = SighashCache::new(&paying).taproot_key_spend_signature_hash(
            0,
            &Prevouts::All(&[coin]),
            TapSighashType::Default,
        )?;
        let message = Message::from_digest(sighash.to_byte_array());
        let tweaked = self.pair.tap_tweak(&self.secp, None).to_keypair();
        let signature = bitcoin::taproot::Signature {
            signature: self.secp.sign_schnorr_no_aux_rand(&message, &tweaked),
            sighash_type: TapSighashType::Default,
        };
        paying.input[0].witness = Witness::p2tr_key_spend(&signature);
        Ok(paying)
    }
}

/// A transaction that pays, signed as wallets sign, and the one that gives the wallet its coin:
/// that is to be mined first.
pub fn signed(miner: &Miner, outputs: Vec<TxOut>) -> Result<[Transaction; 2]> {
    let wallet = Key::new(0x77)?;
    let coin = TxOut {
        value: Amount::from_sat(1_000_000),
        script_pubkey: wallet.script(),
    };
    let funding = miner.pay(vec![coin.clone()])?;
    let from = OutPoint::new(funding.compute_txid(), 0);
    let paying = wallet.pay(from, &coin, outputs)?;
    Ok([funding, paying])
}

/// Publishes the key of these words as what the node's person is paid by.
pub fn publish(node: &Node, words: &str) -> Result<()> {
    let said = node.run_with(&["pay", "keys", "--from-words"], words)?;
    ensure!(said.code == 0, "publishing a key: {said:?}");
    Ok(())
}

/// Votes on a post, with a payment to its author; the vote as the node shows it.
pub fn vote(node: &Node, post: &str, sats: u64) -> Result<Value> {
    let sats = sats.to_string();
    node.json(&["vote", post, "up", "--pay", &sats, "--anyway"])
}

/// The output that a payment URI (BIP 21) asks for.
pub fn output_of_uri(uri: &str) -> Result<TxOut> {
    let rest = uri
        .get(..8)
        .filter(|scheme| scheme.eq_ignore_ascii_case("bitcoin:"))
        .and(uri.get(8..))
        .with_context(|| format!("not a payment URI: {uri}"))?;
    let (address, query) = rest.split_once('?').context("no amount")?;
    let amount = query
        .split('&')
        .find_map(|field| field.strip_prefix("amount="))
        .context("no amount")?;
    let address = Address::from_str(address)?.require_network(Network::Regtest)?;
    Ok(TxOut {
        value: Amount::from_str_in(amount, bitcoin::Denomination::Bitcoin)?,
        script_pubkey: address.script_pubkey(),
    })
}

/// What the node wants paid for a vote of its person.
pub fn output_of(vote: &Value) -> Result<TxOut> {
    let uri = vote["uri"]
        .as_str()
        .with_context(|| format!("no URI in {vote}"))?;
    output_of_uri(uri)
}

/// The outputs of a batch, in their order.
pub fn outputs_of_batch(batch: &Value) -> Result<Vec<TxOut>> {
    let outputs = batch["outputs"]
        .as_array()
        .with_context(|| format!("no outputs in {batch}"))?;
    outputs.iter().map(output).collect()
}

fn output(shown: &Value) -> Result<TxOut> {
    let script = shown["script_hex"].as_str().context("no script")?;
    Ok(TxOut {
        value: Amount::from_sat(shown["sats"].as_u64().context("no value")?),
        script_pubkey: ScriptBuf::from_hex(script)?,
    })
}

/// Waits until the node's chain ends with a block; its status.
pub fn follows(node: &Node, tip: &str) -> Result<Value> {
    eventually("the chain's tip", ARRIVES, || {
        let chain = status(node)?;
        if chain["tip"]["hash"] != tip {
            bail!("{tip} wanted, got {chain}");
        }
        Ok(Some(chain))
    })
}

/// The node's chain.
pub fn status(node: &Node) -> Result<Value> {
    node.client()?.get_json("/api/v1/chain")
}

/// A vote as the node shows it.
pub fn shown(node: &Node, vote: &str) -> Result<Value> {
    node.client()?.get_json(&format!("/api/v1/payments/{vote}"))
}

/// Waits until a vote's payment got that far; the vote.
pub fn reaches(node: &Node, vote: &str, state: &str, confirmations: u32) -> Result<Value> {
    let client = node.client()?;
    let what = format!("the vote {state}, {confirmations} deep");
    eventually(&what, ARRIVES, || {
        let seen = client.get_json(&format!("/api/v1/payments/{vote}"))?;
        if seen["state"] != state || seen["confirmations"] != json!(confirmations) {
            bail!("{seen}");
        }
        Ok(Some(seen))
    })
}

/// Waits until a vote counts for so much: its proof is published and true.
pub fn counts(node: &Node, vote: &str, sats: u64) -> Result<()> {
    eventually(&format!("{sats} sats for the vote"), ARRIVES, || {
        let seen = shown(node, vote)?;
        if seen["counted_sats"] != sats {
            bail!("{seen}");
        }
        Ok(Some(()))
    })
}

/// The proofs that the node holds of a vote.
pub fn proofs_of(node: &Node, vote: &str) -> Result<Vec<Vec<u8>>> {
    let all = node
        .client()?
        .get_json(&format!("/api/v1/payments/{vote}/proof"))?;
    let all = all.as_array().context("a list of proofs")?;
    all.iter()
        .map(|one| {
            let text = one["proof"].as_str().context("no proof")?;
            Ok(BASE64_STANDARD.decode(text)?)
        })
        .collect()
}

/// What the node's person received: each coin, and the key that spends it.
pub fn spendable(node: &Node, words: &str) -> Result<Vec<(OutPoint, Key)>> {
    let said = node.run_with(&["--json", "pay", "keys", "--with-secret"], words)?;
    ensure!(said.code == 0, "asking for descriptors: {said:?}");
    let all = said.json()?;
    let all = all["descriptors"].as_array();
    let mut coins = Vec::new();
    for one in all.with_context(|| format!("no descriptors: {said:?}"))? {
        for outpoint in one["outpoints"].as_array().into_iter().flatten() {
            let outpoint = outpoint.as_str().context("no outpoint")?;
            let key = Key::from_descriptor(&text(one, "spend")?)?;
            coins.push((OutPoint::from_str(outpoint)?, key));
        }
    }
    Ok(coins)
}

/// Somebody who is paid and somebody who pays: a board of the one with a thread that both show.
#[derive(Debug)]
pub struct Pair {
    /// Has the board, wrote the thread, published the key.
    pub author: Node,
    /// Reads the thread, and votes.
    pub payer: Node,
    /// Space id of the board.
    pub space: String,
    /// First post of the thread.
    pub thread: String,
    /// Leads to the board.
    pub ticket: String,
}

impl Pair {
    /// Starts both; waits until the payer knows where the author is paid.
    pub fn meet(author: Setup, payer: Setup) -> Result<Self> {
        Self::on_board(author, payer, &json!({"title": "Films"}))
    }

    /// The same on a board of other settings.
    pub fn on_board(author: Setup, payer: Setup, board: &Value) -> Result<Self> {
        let (author, payer) = (author.start()?, payer.start()?);
        publish(&author, WORDS)?;
        let client = author.client()?;
        let board = client.send_json("POST", "/api/v1/spaces", board)?;
        let space = text(&board, "space")?;
        let post = json!({"space": space, "title": "Worth it", "body": "Some words."});
        let thread = text(&client.send_json("POST", "/api/v1/posts", &post)?, "id")?;
        let pair = Self {
            author,
            payer,
            space,
            thread,
            ticket: text(&board, "ticket")?,
        };
        pair.join(&pair.payer)?;
        payable(&pair.payer, &pair.thread)?;
        Ok(pair)
    }

    /// Somebody else who reads the board, and is paid by the key of other words.
    pub fn third(&self, setup: Setup) -> Result<Node> {
        let third = setup.start()?;
        publish(&third, OTHER_WORDS)?;
        self.join(&third)?;
        payable(&third, &self.thread)?;
        Ok(third)
    }

    /// Has a node follow the board.
    pub fn join(&self, node: &Node) -> Result<()> {
        let target = json!({"target": self.ticket});
        node.client()?.send_json("POST", "/api/v1/join", &target)?;
        Ok(())
    }

    /// A reply to the thread by whoever has that node, once the payer knows where to pay for it.
    pub fn reply(&self, by: &Node, words: &str) -> Result<String> {
        let post = json!({"reply_to": self.thread, "body": words});
        let made = by.client()?.send_json("POST", "/api/v1/posts", &post)?;
        let id = text(&made, "id")?;
        payable(&self.payer, &id)?;
        Ok(id)
    }
}

fn text(value: &Value, name: &str) -> Result<String> {
    let text = value[name].as_str().map(str::to_owned);
    text.with_context(|| format!("no {name} in {value}"))
}

/// Waits until a node knows where the author of a post is paid.
pub fn payable(node: &Node, post: &str) -> Result<()> {
    let client = node.client()?;
    eventually("the key of the post's author", ARRIVES, || {
        let choices = client.get_json(&format!("/api/v1/votes/{post}/pay"))?;
        let all = choices.as_array().into_iter().flatten();
        let author = all
            .filter(|one| one["to"] == "author")
            .any(|one| one["has_key"] == true);
        if !author {
            bail!("{choices}");
        }
        Ok(Some(()))
    })
}

/// A miner whose block of that height is of now: none before is in the future, which peers don't
/// take, and those a little below are young enough for peers to think that they know the present.
pub fn miner(seed: u64, height: u32) -> Result<Miner> {
    #[expect(
        clippy::disallowed_methods,
        reason = "nodes hold the times of blocks against the clock"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let start = u32::try_from(now)?.checked_sub(SPACING_S * height);
    Ok(Miner::new(seed, start.context("the clock is behind")?))
}
