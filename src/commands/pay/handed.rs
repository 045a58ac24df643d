//! `datt pay proof` and `datt pay publish`: proofs on their way to others.

use std::{fs, path::PathBuf};

use clap::Args;
use data_encoding::BASE64;
use gateway::api::types::{ProofBytes, ProofRequest, Written};
use http::Method;
use model::EntryId;

use super::proof;
use crate::commands::{client::Client, failure::CommandError, outcome::Outcome};

#[derive(Debug, Args)]
pub(in crate::commands) struct ProofArgs {
    /// Vote
    pub(super) vote: EntryId,
    /// Write the first one there, as bytes, instead of printing all in base64
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct PublishArgs {
    /// File with a proof: its bytes, base64 or hex; - for stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl PublishArgs {
    /// The proof, if it holds by itself.
    pub(super) fn proof(&self) -> Result<Vec<u8>, CommandError> {
        let proof = proof::read(&self.file)?;
        let refused = |error: spv::proof::ProofError| CommandError::NotVerified(error.to_string());
        proof.check().map_err(refused)?;
        Ok(proof.encode())
    }
}

/// The proofs of a vote.
///
/// # Errors
/// When there is none.
pub(super) async fn held(client: &Client, vote: EntryId) -> Result<Vec<ProofBytes>, CommandError> {
    let route = format!("/api/v1/payments/{vote}/proof");
    let proofs: Vec<ProofBytes> = client.get(&route).await?;
    if proofs.is_empty() {
        return Err(CommandError::Missing(format!(
            "this node holds no proof of a payment for {vote}"
        )));
    }
    Ok(proofs)
}

pub(super) async fn proofs(client: &Client, args: &ProofArgs) -> Result<Outcome, CommandError> {
    let proofs = held(client, args.vote).await?;
    if let (Some(path), Some(first)) = (&args.out, proofs.first()) {
        fs::write(path, &first.proof).map_err(CommandError::io("write", path))?;
        let text = format!("{} bytes in {}", first.proof.len(), path.display());
        return Ok(Outcome::new(text, &proofs));
    }
    let lines: Vec<_> = proofs.iter().map(|one| BASE64.encode(&one.proof)).collect();
    Ok(Outcome::new(lines.join("\n"), &proofs))
}

pub(super) async fn publish(client: &Client, proof: Vec<u8>) -> Result<Outcome, CommandError> {
    let request = ProofRequest { proof };
    let route = "/api/v1/payments/proofs";
    let written: Written = client.call(Method::POST, route, Some(&request)).await?;
    Ok(Outcome::new(written.id.clone(), &written))
}
