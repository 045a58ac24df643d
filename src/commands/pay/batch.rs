//! `datt pay batch`.

use std::{fs, path::PathBuf};

use bitcoin::{OutPoint, ScriptBuf};
use clap::Args;
use gateway::api::types::{BatchInput, BatchRequest};
use http::Method;
use views::{
    amount::count,
    data::{Batch, BatchOutput},
};

use crate::{
    commands::{client::Client, failure::CommandError, outcome::Outcome, words::line},
    payments::batch::FEE_SAT_PER_VB,
};

/// Said with every batch: a wallet that shuffles outputs would break it.
const ORDER: &str = "The outputs must stay in this order and these places, and change must come \
                     last (where a wallet asks: change position {n}). A transaction that shuffles \
                     them pays, but proves nothing, and datt refuses it.";

#[derive(Debug, Args)]
pub(in crate::commands) struct BatchArgs {
    /// At most so many votes; those awaited longest come first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max: Option<u32>,
    /// Coin to spend; may be given several times. Without any, the wallet funds the template
    #[arg(long = "input", value_name = "TXID:VOUT:SATS:SCRIPT", value_parser = coin)]
    inputs: Vec<BatchInput>,
    /// Where what is left over of the coins goes
    #[arg(long, value_name = "ADDRESS", requires = "inputs")]
    change: Option<String>,
    /// Fee, sats for a virtual byte
    #[arg(
        long,
        value_name = "N",
        requires = "inputs",
        value_parser = clap::value_parser!(u64).range(1..=FEE_SAT_PER_VB)
    )]
    fee_rate: Option<u64>,
    /// Write the template there instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Reads a coin as `txid:vout:sats:script`, the script in hex.
fn coin(text: &str) -> Result<BatchInput, String> {
    let fields: Vec<&str> = text.split(':').collect();
    let [txid, vout, sats, script] = fields[..] else {
        return Err("a coin is written as TXID:VOUT:SATS:SCRIPT, the script in hex".to_owned());
    };
    let outpoint = format!("{txid}:{vout}")
        .parse::<OutPoint>()
        .map_err(|error| format!("`{txid}:{vout}` is no outpoint: {error}"))?;
    let sats = sats
        .parse()
        .map_err(|_| format!("`{sats}` is no amount of sats"))?;
    let script = ScriptBuf::from_hex(script)
        .map_err(|error| format!("`{script}` is no script in hex: {error}"))?;
    if script.is_empty() {
        return Err("the coin's script is empty".to_owned());
    }
    Ok(BatchInput {
        outpoint: outpoint.to_string(),
        sats,
        script_hex: script.to_hex_string(),
    })
}

pub(super) async fn run(client: &Client, args: &BatchArgs) -> Result<Outcome, CommandError> {
    let request = BatchRequest {
        max_votes: args.max,
        inputs: args.inputs.clone(),
        change_address: args.change.clone(),
        fee_sat_per_vb: args.fee_rate,
    };
    let route = "/api/v1/payments/batches";
    let batch: Batch = client.call(Method::POST, route, Some(&request)).await?;
    let mut lines = describe(&batch);
    match &args.out {
        Some(path) => {
            fs::write(path, format!("{}\n", batch.psbt))
                .map_err(CommandError::io("write", path))?;
            lines.push(format!("template (PSBT, base64) in {}", path.display()));
        }
        None => lines.push(batch.psbt.clone()),
    }
    lines.push("then: datt pay status --tx HEX, the signed transaction in hex".to_owned());
    Ok(Outcome::new(lines.join("\n"), &batch))
}

fn describe(batch: &Batch) -> Vec<String> {
    let mut lines = vec![format!(
        "batch {}: {}, {}",
        batch.id,
        count(batch.votes.len() as u64, "vote", "votes"),
        count(batch.total_sats, "sat", "sats")
    )];
    lines.extend(batch.outputs.iter().enumerate().map(output));
    let committed = committed(batch);
    lines.push(ORDER.replace("{n}", &committed.to_string()));
    lines.extend(
        batch
            .left_out
            .iter()
            .map(|vote| format!("left out {}: {}", vote.vote, line(&vote.why))),
    );
    lines
}

fn output((place, output): (usize, &BatchOutput)) -> String {
    let what = match &output.address {
        Some(address) => line(address),
        None => format!("script {}", output.script_hex),
    };
    format!("  {place}  {}  {what}", count(output.sats, "sat", "sats"))
}

/// Outputs up to and with the commitment, the only one without an address and value.
fn committed(batch: &Batch) -> usize {
    let is_commitment = |one: &BatchOutput| one.sats == 0 && one.address.is_none();
    let last = batch.outputs.iter().rposition(is_commitment);
    last.map_or(batch.outputs.len(), |place| place + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn coins_are_read_or_refused_with_the_reason() {
        let txid = "ab".repeat(32);
        let good = coin(&format!("{txid}:1:5000:5120{}", "cd".repeat(32))).unwrap();
        assert_eq!(good.outpoint, format!("{txid}:1"));
        assert_eq!((good.sats, good.script_hex.len()), (5_000, 68));
        for (text, reason) in [
            (String::new(), "TXID:VOUT:SATS:SCRIPT"),
            (format!("{txid}:1:5000"), "TXID:VOUT:SATS:SCRIPT"),
            (format!("{txid}:1:5000:51:51"), "TXID:VOUT:SATS:SCRIPT"),
            ("ab:1:5000:51".to_owned(), "no outpoint"),
            (format!("{txid}:x:5000:51"), "no outpoint"),
            (format!("{txid}:1:-5:51"), "no amount"),
            (format!("{txid}:1:0.5:51"), "no amount"),
            (format!("{txid}:1:99999999999999999999:51"), "no amount"),
            (format!("{txid}:1:5:5"), "no script"),
            (format!("{txid}:1:5:xx"), "no script"),
            (format!("{txid}:1:5:"), "empty"),
        ] {
            let error = coin(&text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn the_order_and_what_is_left_out_are_said() {
        let batch = Batch {
            outputs: vec![
                BatchOutput {
                    address: Some("bcrt1p".to_owned()),
                    sats: 1_000,
                    ..BatchOutput::default()
                },
                BatchOutput {
                    script_hex: "6a24".to_owned(),
                    ..BatchOutput::default()
                },
                BatchOutput {
                    address: Some("bcrt1change".to_owned()),
                    sats: 9_000,
                    ..BatchOutput::default()
                },
            ],
            left_out: vec![views::data::LeftOut {
                vote: "bafyvote".to_owned(),
                why: "its recipient has published no key".to_owned(),
            }],
            ..Batch::default()
        };
        let text = describe(&batch).join("\n");
        for part in [
            "  0  1000 sats  bcrt1p",
            "  1  0 sats  script 6a24",
            "change position 2",
            "left out bafyvote: its recipient",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
