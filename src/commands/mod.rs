//! The command line. Every command but `up` talks to the running node by its HTTP API.

mod add;
mod audit;
mod chain;
pub mod client;
mod deny;
mod export;
pub mod failure;
mod get;
mod identity;
mod import;
mod mirror;
mod outcome;
mod pay;
mod pins;
mod post;
mod progress;
pub mod range;
mod space;
mod status;
mod stream;
#[cfg(test)]
mod tests;
mod thread;
mod torrents;
mod up;
mod verify;
mod words;

use clap::{Parser, Subcommand};

use crate::config::{Flags, UpFlags, data_folder};
use client::Client;
use failure::CommandError;
pub use outcome::{Outcome, print};

/// datt: a forum and media-sharing node that nobody can switch off
#[derive(Debug, Parser)]
#[command(name = "datt", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    flags: Flags,
    /// Print exactly one JSON value on stdout, errors too
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 not verified, 5 no node running";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the node
    Up(UpFlags),
    /// How others reach this node, or a space or thread on it
    Ticket(status::TicketArgs),
    /// Make or list spaces
    #[command(subcommand)]
    Space(space::SpaceCommand),
    /// Follow a space, thread or identity
    Join(space::JoinArgs),
    /// Publish a thread or a reply
    Post(post::PostArgs),
    /// Vote on a post
    Vote(post::VoteArgs),
    /// Print a thread
    Thread(thread::ThreadArgs),
    /// Import files and folders
    Add(add::AddArgs),
    /// Fetch a blob, block, or IPFS file or folder, verified, from anyone who has it
    Get(get::GetArgs),
    /// What is in swarms, and what shall be no longer
    Torrents(torrents::TorrentsArgs),
    /// How far a file may travel
    Publicity(torrents::PublicityArgs),
    /// Refuse content and remove it, allow it again, or list what is refused
    Deny(deny::DenyArgs),
    /// Write threads, spaces, the whole node or any DAG to a CAR
    Export(export::ExportArgs),
    /// Take in what a CAR holds, verified
    Import(import::ImportArgs),
    /// Keep a thread, space, identity or blob
    Pin(pins::PinArgs),
    /// Stop keeping it
    Unpin(pins::UnpinArgs),
    /// What is pinned
    Pins,
    /// What is mirrored, and who else mirrors
    #[command(subcommand)]
    Mirror(mirror::MirrorCommand),
    /// Payments of votes, and what proves them
    #[command(subcommand)]
    Pay(pay::PayCommand),
    /// The header chain that payments are proved on
    #[command(subcommand)]
    Chain(chain::ChainCommand),
    /// Peers, topics, pins, bytes
    Status,
    /// Check everything held again: signatures, hashes, indexes
    Verify,
    /// Who this node is
    #[command(subcommand)]
    Identity(identity::IdentityCommand),
    /// A fresh sign-in URL for the browser
    Signin,
}

impl Cli {
    /// Does what the command line asks for.
    ///
    /// # Errors
    /// When that fails; the error knows its exit code.
    pub async fn run(self) -> Result<Outcome, CommandError> {
        let mut flags = self.flags;
        let data = data_folder(&flags)?;
        // Wrong arguments are told before a missing node.
        match self.command {
            Command::Up(up) => {
                flags.up = up;
                up::run(&flags, self.json).await
            }
            Command::Ticket(args) => status::ticket(&Client::of_folder(&data)?, args).await,
            Command::Space(command) => space::run(&Client::of_folder(&data)?, command).await,
            Command::Join(args) => space::join(&Client::of_folder(&data)?, args).await,
            Command::Post(args) => {
                args.check()?;
                post::run(&Client::of_folder(&data)?, args).await
            }
            Command::Vote(args) => {
                args.check()?;
                post::vote(&Client::of_folder(&data)?, &args).await
            }
            Command::Thread(args) => thread::run(&Client::of_folder(&data)?, &args).await,
            Command::Add(args) => add::run(&Client::of_folder(&data)?, &args).await,
            Command::Get(args) => {
                args.check(self.json)?;
                get::run(&Client::of_folder(&data)?, &args).await
            }
            Command::Export(args) => {
                args.check(self.json)?;
                export::run(&Client::of_folder(&data)?, &args).await
            }
            Command::Import(args) => import::run(&Client::of_folder(&data)?, &args).await,
            Command::Torrents(args) => torrents::run(&Client::of_folder(&data)?, &args).await,
            Command::Publicity(args) => {
                torrents::publicity(&Client::of_folder(&data)?, &args).await
            }
            Command::Deny(args) => deny::run(&Client::of_folder(&data)?, &args).await,
            Command::Pin(args) => pins::pin(&Client::of_folder(&data)?, &args).await,
            Command::Unpin(args) => pins::unpin(&Client::of_folder(&data)?, &args).await,
            Command::Pins => pins::list(&Client::of_folder(&data)?).await,
            Command::Mirror(command) => mirror::run(&data, command).await,
            Command::Pay(command) => pay::run(&data, command).await,
            Command::Chain(command) => chain::run(&flags, command).await,
            Command::Status => status::run(&Client::of_folder(&data)?).await,
            Command::Verify => verify::run(&Client::of_folder(&data)?).await,
            Command::Identity(command) => identity::run(&Client::of_folder(&data)?, command).await,
            Command::Signin => identity::sign_in(&Client::of_folder(&data)?).await,
        }
    }
}
