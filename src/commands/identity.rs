//! `datt identity show` and `datt signin`.

use clap::{Args, Subcommand};
use gateway::api::types::SignInUrl;
use http::Method;
use model::IdentityId;
use views::data::{Profile, Status};

use super::{
    client::{Client, NOTHING},
    failure::CommandError,
    outcome::Outcome,
    words::{line, plain},
};

#[derive(Debug, Subcommand)]
pub(super) enum IdentityCommand {
    /// Show this node's identity, or another one
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Identity; without it this node's own
    cid: Option<IdentityId>,
}

pub(super) async fn run(
    client: &Client,
    command: IdentityCommand,
) -> Result<Outcome, CommandError> {
    let IdentityCommand::Show(args) = command;
    let identity = match args.cid {
        Some(cid) => cid.to_string(),
        None => client.get::<Status>("/api/v1/status").await?.identity,
    };
    let profile: Profile = client
        .get(&format!("/api/v1/identities/{identity}"))
        .await?;
    Ok(Outcome::new(describe(&profile), &profile))
}

fn describe(profile: &Profile) -> String {
    let name = profile.author.name.as_deref().unwrap_or("no name yet");
    let mut lines = vec![
        profile.author.identity.clone(),
        format!("name    {}", line(name)),
    ];
    for device in &profile.devices {
        lines.push(format!("device  {}  {}", device.key, line(&device.name)));
    }
    for home in &profile.homes {
        lines.push(format!("home    {}", line(home)));
    }
    if !profile.about.is_empty() {
        lines.push(String::new());
        lines.push(plain(&profile.about));
    }
    lines.join("\n")
}

pub(super) async fn sign_in(client: &Client) -> Result<Outcome, CommandError> {
    let answer: SignInUrl = client.call(Method::POST, "/api/v1/signin", NOTHING).await?;
    Ok(Outcome::new(answer.url.clone(), &answer))
}
