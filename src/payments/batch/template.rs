//! The transaction of a batch before it is signed: with the coins that are given, or for a wallet
//! to fund.

use std::collections::BTreeSet;

use bitcoin::{
    Amount, OutPoint, Psbt, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness,
    absolute::LockTime,
    transaction::{InputWeightPrediction, Version, predict_weight},
};
use spv::proof::batch::Batch;
use thiserror::Error;

/// Highest fee rate that can't be a slip of the finger, sats for a virtual byte.
pub const FEE_SAT_PER_VB: u64 = 1_000;
/// Sats below which no output is worth its bytes: the dust limit of P2WPKH.
const LEAST_CHANGE: u64 = 294;

/// A coin that a batch spends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coin {
    /// Where it is.
    pub outpoint: OutPoint,
    /// Its value.
    pub sats: u64,
    /// Its script.
    pub script: ScriptBuf,
}

/// What a template is funded with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Funding {
    /// Coins; none: the wallet adds them.
    pub coins: Vec<Coin>,
    /// Where what is left over goes.
    pub change: Option<ScriptBuf>,
    /// Fee, sats for a virtual byte.
    pub fee_sat_per_vb: u64,
}

/// Why there is no template.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TemplateError {
    /// Zero, or far above what is ever paid.
    #[error("a fee rate is from 1 to {FEE_SAT_PER_VB} sats for a virtual byte, not {0}")]
    FeeRate(u64),
    /// More coins than proofs have room for.
    #[error(
        "with {coins} coins the transaction has {found} bytes, and proofs have room for {room}: \
         spend fewer coins"
    )]
    TooLong {
        /// Coins given.
        coins: usize,
        /// Bytes without signatures.
        found: usize,
        /// Most that proofs can carry.
        room: usize,
    },
    /// One coin twice.
    #[error("the coin {0} is given twice")]
    CoinTwice(OutPoint),
    /// Not a coin that a wallet signs for with a witness alone.
    #[error(
        "the coin {0} is neither P2WPKH nor taproot: leave coins out and let the wallet fund the \
         template"
    )]
    CoinKind(OutPoint),
    /// More than there will ever be.
    #[error("the amounts make more sats than there are bitcoins")]
    TooMuch,
    /// Not enough.
    #[error("the coins are worth {have} sats; the votes and a fee of {fee} sats need {need}")]
    TooLittle {
        /// What the coins are worth.
        have: u64,
        /// The fee without change.
        fee: u64,
        /// Votes and fee.
        need: u64,
    },
    /// The rest would be lost to the fee.
    #[error(
        "{left} sats are left over: give an address for the change, or they would be lost to the \
         fee"
    )]
    NoChange {
        /// What is left over.
        left: u64,
    },
    /// The transaction wouldn't be one.
    #[error("this makes no transaction template: {0}")]
    Psbt(String),
}

/// A transaction for a wallet to fund and sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Unsigned, BIP174.
    pub psbt: Psbt,
    /// Fee; none where the wallet says.
    pub fee_sats: Option<u64>,
    /// Change, behind all other outputs.
    pub change_sats: Option<u64>,
}

/// The template of a batch's transaction, its outputs in their places, change behind them: without
/// coins for a wallet to fund, else complete but for signatures.
///
/// # Errors
/// When coins, fee or change don't fit together.
pub fn template(batch: &Batch, funding: &Funding) -> Result<Template, TemplateError> {
    let coins = &funding.coins;
    let mut transaction = Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: coins.iter().map(spend).collect(),
        output: batch.outputs().to_vec(),
    };
    let (mut fee_sats, mut change_sats) = (None, None);
    if !coins.is_empty() {
        let (fee, change) = settle(&transaction.output, funding)?;
        fee_sats = Some(fee);
        if let Some(change) = change {
            change_sats = Some(change.value.to_sat());
            transaction.output.push(change);
        }
    }
    let (found, room) = (transaction.base_size(), batch.transaction_room());
    if found > room {
        let coins = coins.len();
        return Err(TemplateError::TooLong { coins, found, room });
    }
    let psbt = Psbt::from_unsigned_tx(transaction);
    let mut psbt = psbt.map_err(|error| TemplateError::Psbt(error.to_string()))?;
    for (input, coin) in psbt.inputs.iter_mut().zip(coins) {
        input.witness_utxo = Some(TxOut {
            value: Amount::from_sat(coin.sats),
            script_pubkey: coin.script.clone(),
        });
    }
    Ok(Template {
        psbt,
        fee_sats,
        change_sats,
    })
}

fn spend(coin: &Coin) -> TxIn {
    TxIn {
        previous_output: coin.outpoint,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: Witness::new(),
    }
}

/// The fee, and the change where there is some.
fn settle(outputs: &[TxOut], funding: &Funding) -> Result<(u64, Option<TxOut>), TemplateError> {
    let rate = funding.fee_sat_per_vb;
    if rate == 0 || rate > FEE_SAT_PER_VB {
        return Err(TemplateError::FeeRate(rate));
    }
    let inputs = predictions(&funding.coins)?;
    let have = sum(funding.coins.iter().map(|coin| coin.sats))?;
    let paid = sum(outputs.iter().map(|output| output.value.to_sat()))?;
    let lengths = |change: Option<&ScriptBuf>| {
        let scripts = outputs.iter().map(|output| output.script_pubkey.len());
        let all: Vec<_> = scripts.chain(change.map(|script| script.len())).collect();
        rate * predict_weight(inputs.iter().copied(), all).to_vbytes_ceil()
    };
    let fee = lengths(None);
    let need = paid + fee;
    let left = have
        .checked_sub(need)
        .ok_or(TemplateError::TooLittle { have, fee, need })?;
    let Some(script) = &funding.change else {
        // Less than an output could hold is nobody's loss.
        if left < LEAST_CHANGE {
            return Ok((fee + left, None));
        }
        return Err(TemplateError::NoChange { left });
    };
    let with_change = lengths(Some(script));
    match have.checked_sub(paid + with_change) {
        Some(sats) if sats >= script.minimal_non_dust().to_sat() => {
            let change = TxOut {
                value: Amount::from_sat(sats),
                script_pubkey: script.clone(),
            };
            Ok((with_change, Some(change)))
        }
        _ => Ok((fee + left, None)),
    }
}

fn sum(sats: impl Iterator<Item = u64>) -> Result<u64, TemplateError> {
    let mut total = 0_u64;
    for one in sats {
        total = total
            .checked_add(one)
            .filter(|total| *total <= Amount::MAX_MONEY.to_sat())
            .ok_or(TemplateError::TooMuch)?;
    }
    Ok(total)
}

fn predictions(coins: &[Coin]) -> Result<Vec<InputWeightPrediction>, TemplateError> {
    let mut inputs = Vec::with_capacity(coins.len());
    let mut seen = BTreeSet::new();
    for coin in coins {
        if !seen.insert(coin.outpoint) {
            return Err(TemplateError::CoinTwice(coin.outpoint));
        }
        inputs.push(if coin.script.is_p2wpkh() {
            InputWeightPrediction::P2WPKH_MAX
        } else if coin.script.is_p2tr() {
            InputWeightPrediction::P2TR_KEY_DEFAULT_SIGHASH
        } else {
            return Err(TemplateError::CoinKind(coin.outpoint));
        });
    }
    Ok(inputs)
}
