//! Paying for votes: what is asked for. What is answered is plain data of the pages.

use model::EntryId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use views::data::PayTo;

/// A vote that is to be paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PayRequest {
    /// -1 or 1.
    #[schema(minimum = -1, maximum = 1)]
    pub dir: i8,
    /// How much.
    pub sats: u64,
    /// To whom.
    #[serde(default)]
    pub to: PayTo,
    /// Show the address though no other node holds the vote yet.
    #[serde(default)]
    pub anyway: bool,
}

/// A transaction that pays votes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransactionRequest {
    /// The signed transaction as wallets export it, in hex.
    pub transaction: String,
}

/// A proof of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProofRequest {
    /// Its bytes, in base64.
    #[schema(value_type = String, format = Byte)]
    #[serde(with = "super::base64")]
    pub proof: Vec<u8>,
}

/// A proof, as it is given away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProofBytes {
    /// Its bytes, in base64.
    #[schema(value_type = String, format = Byte)]
    #[serde(with = "super::base64")]
    pub proof: Vec<u8>,
}

/// Where to look for payments of a vote that nobody proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProveRequest {
    /// The block: its hash, as explorers show it, or its height.
    pub block: String,
    /// Make the proofs, and publish none.
    #[serde(default)]
    pub unpublished: bool,
}

/// What a block paid a vote, proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Proved {
    /// `bitcoin`, `testnet4`, `signet` or `regtest`.
    pub network: String,
    /// Hash of the block.
    pub block: String,
    /// Its height.
    pub height: u32,
    /// The payments, the highest first.
    pub payments: Vec<ProvedPayment>,
}

/// A payment that was found in a block, and its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProvedPayment {
    /// `txid:vout`.
    pub outpoint: String,
    /// Value of the output.
    pub sats: u64,
    /// Identity that it pays.
    pub recipient: String,
    /// Entry CID of the row that published the key.
    pub key_row: String,
    /// Blocks from its own to the tip, both counted.
    pub confirmations: u32,
    /// The proof, in base64.
    #[schema(value_type = String, format = Byte)]
    #[serde(with = "super::base64")]
    pub proof: Vec<u8>,
    /// Entry CID of the row that publishes the proof, this one's or an earlier one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
}

/// Which votes one transaction shall pay, and from what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// At most so many votes; none: all that are unpaid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_votes: Option<u32>,
    /// Coins to spend; none: the wallet adds them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<BatchInput>,
    /// Where what is left over goes; none: the wallet says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_address: Option<String>,
    /// Fee, sats for a virtual byte; none: the wallet says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee_sat_per_vb: Option<u64>,
}

/// A coin that a batch spends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchInput {
    /// `txid:vout`.
    pub outpoint: String,
    /// Its value.
    pub sats: u64,
    /// Its script, hex.
    pub script_hex: String,
}

/// The payment key that the node's person publishes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPaymentKey {
    /// X-only or compressed public key, hex; may be left out where `off` is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Network; none: the one of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Address for batches; none: the key's own (BIP 86).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// No longer paid to.
    #[serde(default)]
    pub off: bool,
}

/// Changes of which payments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PaymentsQuery {
    /// Of votes on this post only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    #[param(value_type = Option<String>)]
    pub post: Option<EntryId>,
}
