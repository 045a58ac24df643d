//! `datt chain`: the headers that proofs of payments are held against.

mod headers;

use clap::Subcommand;
use views::{amount::count, data::ChainStatus};

use super::{
    client::Client,
    failure::CommandError,
    outcome::Outcome,
    words::{ago, line},
};
use crate::{
    clock::now_ms,
    config::{Flags, data_folder},
};

#[derive(Debug, Subcommand)]
pub(super) enum ChainCommand {
    /// Network, tip, peers
    Status,
    /// Print, export or import headers: needs no running node
    Headers(headers::HeadersArgs),
}

pub(super) async fn run(flags: &Flags, command: ChainCommand) -> Result<Outcome, CommandError> {
    match command {
        ChainCommand::Status => {
            let client = Client::of_folder(&data_folder(flags)?)?;
            let status: ChainStatus = client.get("/api/v1/chain").await?;
            Ok(Outcome::new(describe(&status, now_ms()), &status))
        }
        ChainCommand::Headers(args) => headers::run(flags, &args),
    }
}

fn describe(status: &ChainStatus, now_ms: u64) -> String {
    let mut lines = vec![format!("network  {}", status.network)];
    match &status.tip {
        Some(tip) => {
            let time = ago(u64::from(tip.time_s).saturating_mul(1_000), now_ms);
            lines.push(format!("tip      {}, {time}", tip.height));
            lines.push(format!("         {}", tip.hash));
            lines.push(format!("work     {}", tip.work));
            lines.push(format!(
                "source   {}, {}, started again {}",
                line(&status.source),
                count(status.peers.into(), "peer", "peers"),
                count(status.restarts.into(), "time", "times"),
            ));
        }
        None => lines.push(
            "no headers are kept: payments.network in config.toml names a network; until then \
             proofs are shown as not checked"
                .to_owned(),
        ),
    }
    lines.extend(
        status
            .last_error
            .iter()
            .map(|error| format!("it stopped last because {}", line(error))),
    );
    if status.tip.is_some() && !status.has_minimum_work {
        lines.push("warning: too little work to be believed yet".to_owned());
    }
    lines.extend(status.awaited.map(|awaited| format!("awaited  {awaited}")));
    lines.extend(
        status
            .warnings
            .iter()
            .map(|warning| format!("warning: {}", line(warning))),
    );
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use views::data::ChainTip;

    use super::*;

    #[test]
    fn a_chain_that_proves_little_is_said_to() {
        let none = ChainStatus {
            network: "none".to_owned(),
            ..ChainStatus::default()
        };
        assert!(describe(&none, 0).contains("payments.network"));
        let status = ChainStatus {
            network: "regtest".to_owned(),
            tip: Some(ChainTip {
                height: 7,
                ..ChainTip::default()
            }),
            warnings: vec!["no peers".to_owned()],
            ..ChainStatus::default()
        };
        let text = describe(&status, 60_000);
        for part in [
            "tip      7, 60 seconds ago",
            "too little work",
            "warning: no peers",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
