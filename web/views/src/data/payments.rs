//! Paid votes: what they say, how far their payments got, and the chain they are held against.
//!
//! A proof shows that money moved to the recipient's key, never that it was spent: who pays
//! themselves loses the fee only. So every sum stands beside who paid whom.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Author;

/// How far the payment of a vote got.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum PaymentState {
    /// There is a proof, and this node can't check it: it lacks headers, or the recipient's key.
    Unchecked,
    /// Nothing is known of a payment.
    #[default]
    Unpaid,
    /// A matching transaction was handed to this node; that says nothing of a block.
    Seen,
    /// In a block of the active chain.
    Confirmed,
    /// As deep in it as the configuration asks for.
    Settled,
    /// Others took the place of its block.
    Disconnected,
    /// The proof proves nothing.
    False,
}

impl PaymentState {
    /// The word in JSON, events and classes of pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::Unpaid => "unpaid",
            Self::Seen => "seen",
            Self::Confirmed => "confirmed",
            Self::Settled => "settled",
            Self::Disconnected => "disconnected",
            Self::False => "false",
        }
    }
}

/// Whom the payment of a vote goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PayTo {
    /// The author of the post voted on.
    #[default]
    Author,
    /// The owner of its board.
    Board,
}

impl PayTo {
    /// The word in JSON and forms.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Board => "board",
        }
    }
}

/// A word that names no [`PayTo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownRecipient;

impl FromStr for PayTo {
    type Err = UnknownRecipient;

    fn from_str(word: &str) -> Result<Self, UnknownRecipient> {
        match word {
            "author" => Ok(Self::Author),
            "board" => Ok(Self::Board),
            _ => Err(UnknownRecipient),
        }
    }
}

/// How an output of a transaction is bound to a vote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PaymentBinding {
    /// An address of its own.
    #[default]
    Address,
    /// A commitment to many votes in one transaction.
    Batch,
}

impl fmt::Display for PaymentBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "address",
            Self::Batch => "batch",
        })
    }
}

/// A vote with a payment: asked for, awaited or proved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaidVote {
    /// Entry CID of the vote.
    pub vote: String,
    /// Entry CID of the post voted on.
    pub post: String,
    /// Entry CID of its thread's first post.
    pub root: String,
    /// Space id.
    pub space: String,
    /// Who voted.
    pub voter: Author,
    /// Who is paid.
    pub recipient: Author,
    /// What the recipient is to the post.
    pub to: PayTo,
    /// -1, 0 or 1.
    pub dir: i8,
    /// When, by the voter's clock.
    pub time_ms: u64,
    /// `bitcoin`, `testnet4`, `signet` or `regtest`.
    pub network: String,
    /// What was asked for while nothing is proved, then what is proved.
    pub sats: u64,
    /// How far it got.
    pub state: PaymentState,
    /// Blocks from its own to the tip, its own included; of the least deep of several payments.
    pub confirmations: u32,
    /// Confirmations from which this node calls it settled.
    pub settled_at: u32,
    /// What its payer is still asked for; the payer's own node only.
    #[serde(default)]
    pub due_sats: u64,
    /// What of it counts in sums; 0 while nothing is confirmed, and for a superseded vote.
    pub counted_sats: u64,
    /// The voter voted again on the same post: shown, not counted.
    pub superseded: bool,
    /// The voter is the recipient.
    pub to_self: bool,
    /// Address to pay to; the payer's own node only, and once another node holds the vote.
    pub address: Option<String>,
    /// Payment URI (BIP 21), as `address`.
    pub uri: Option<String>,
    /// QR code of `uri`, an SVG picture, which the gateway draws.
    pub qr: Option<String>,
    /// Other nodes that say they hold the vote.
    pub held_by: u32,
    /// Transaction id, where one is known.
    pub txid: Option<String>,
    /// What to know before paying, one sentence each.
    pub warnings: Vec<String>,
    /// Why it is `false`, `disconnected` or `unchecked`, in a sentence.
    pub why: Option<String>,
}

/// Somebody who can be paid by a vote on a post.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PayChoice {
    /// What they are to the post.
    pub to: PayTo,
    /// Who.
    pub recipient: Author,
    /// They published a payment key for this node's network.
    pub has_key: bool,
    /// What posting costs here: of a board with a price.
    pub price_sats: Option<u64>,
    /// Why they can't be paid, or what to know.
    pub why: Option<String>,
}

/// What proved payments say of a post or a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Paid {
    /// Counted: confirmed, and the vote stands.
    pub sats: u64,
    /// In a block that others took the place of.
    pub pending_sats: u64,
    /// Paid votes, of any state.
    pub votes: u32,
    /// Of these, votes whose proofs prove nothing.
    #[serde(default)]
    pub false_votes: u32,
    /// Of these, votes whose proofs this node can't check.
    #[serde(default)]
    pub unchecked_votes: u32,
    /// Of these, votes that were paid and don't count, because another took their place.
    #[serde(default)]
    pub uncounted_votes: u32,
}

/// The payment of a vote got further, or back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentChanged {
    /// Entry CID of the vote.
    pub vote: String,
    /// Entry CID of the post.
    pub post: String,
    /// Entry CID of the thread's first post.
    pub root: String,
    /// How far it is now.
    pub state: PaymentState,
    /// Blocks from its own to the tip.
    pub confirmations: u32,
}

/// A payment key that an identity published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentKey {
    /// Entry CID of the row.
    pub row: String,
    /// `bitcoin`, `testnet4`, `signet` or `regtest`.
    pub network: String,
    /// X-only public key (BIP 340), 64 hex digits.
    pub key: String,
    /// Address for batches; none: the key's own (BIP 86).
    pub address: Option<String>,
    /// When it was published.
    pub time_ms: u64,
}

/// A payment that the node's person received.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Received {
    /// Entry CID of the vote.
    pub vote: String,
    /// `txid:vout`.
    pub outpoint: String,
    /// Value of the output that belongs to the vote.
    pub sats: u64,
    /// `bitcoin`, `testnet4`, `signet` or `regtest`.
    pub network: String,
    /// X-only public key that it was paid to, 64 hex digits.
    pub key: String,
    /// What was added to the key, 64 hex digits; none in a batch.
    pub tweak_hex: Option<String>,
    /// Script of the output.
    pub script_hex: String,
    /// How the output is bound to the vote.
    pub binding: PaymentBinding,
    /// How far it got.
    pub state: PaymentState,
}

/// What a proof proves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProofReport {
    /// How far: `confirmed` and `settled` are proved.
    pub state: PaymentState,
    /// Why it is not proved, in a sentence.
    pub why: Option<String>,
    /// `bitcoin`, `testnet4`, `signet` or `regtest`.
    pub network: String,
    /// Entry CID of the vote.
    pub vote: String,
    /// X-only public key of the recipient, 64 hex digits.
    pub key: String,
    /// Entry CID of the row that published it.
    pub key_row: String,
    /// Whose key it is, where the row is held.
    pub recipient: Option<String>,
    /// How the output is bound to the vote.
    pub binding: PaymentBinding,
    /// What was paid.
    pub sats: u64,
    /// `txid:vout`.
    pub outpoint: String,
    /// Block hash, as explorers write it.
    pub block: String,
    /// Height of the block, where it is on the active chain.
    pub height: Option<u32>,
    /// Blocks from its own to the tip.
    pub confirmations: u32,
}

/// A transaction that pays many votes, for a wallet to fund and sign.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Batch {
    /// Its commitment, 64 hex digits.
    pub id: String,
    /// The template (BIP 174), base64.
    pub psbt: String,
    /// The same as a list: all of them, in this order.
    pub outputs: Vec<BatchOutput>,
    /// Entry CIDs of the votes it pays.
    pub votes: Vec<String>,
    /// What the votes cost, without the fee.
    pub total_sats: u64,
    /// Votes that it doesn't pay.
    pub left_out: Vec<LeftOut>,
}

/// An output of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchOutput {
    /// Address, where the script has one.
    pub address: Option<String>,
    /// Script.
    pub script_hex: String,
    /// Value; 0 for the commitment.
    pub sats: u64,
}

/// A vote that a batch doesn't pay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeftOut {
    /// Entry CID.
    pub vote: String,
    /// Why not, in a sentence.
    pub why: String,
}

/// The header chain that proofs are held against.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChainStatus {
    /// `none`, `bitcoin`, `testnet4`, `signet` or `regtest`.
    pub network: String,
    /// The newest block; none with no network.
    pub tip: Option<ChainTip>,
    /// Peers of that network connected now.
    pub peers: u32,
    /// Where headers come from, in a word.
    pub source: String,
    /// Times that the source died and was started again.
    pub restarts: u32,
    /// Why it did so last; told to the node's own person only.
    pub last_error: Option<String>,
    /// The chain has as much work as one that can be believed must have.
    pub has_minimum_work: bool,
    /// Confirmations from which a payment is settled.
    pub settled_at: u32,
    /// Payments awaited; told to the node's own person only.
    pub awaited: Option<u32>,
    /// What to know: behind, no peers, headers that prove less.
    pub warnings: Vec<String>,
}

/// The newest block of the active chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChainTip {
    /// Blocks below it.
    pub height: u32,
    /// Block hash, as explorers write it.
    pub hash: String,
    /// Time in its header, Unix seconds.
    pub time_s: u32,
    /// Work of the whole chain, 64 hex digits.
    pub work: String,
}
