//! `datt mirror audit`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use data_encoding::BASE64;
use gateway::api::types::AuditRequest;
use http::Method;
use model::{AuditOutcome, AuditResult, EndpointKey};
use serde_json::{Value, json};
use views::data::AuditRow;

use super::{
    client::Client,
    failure::{CommandError, NOT_VERIFIED},
    outcome::Outcome,
    words::{ago, line, short},
};
use crate::clock::now_ms;

const ROUTE: &str = "/api/v1/mirror/audit";
/// Said wherever results are shown.
const MEANING: &str =
    "An answer shows that the mirror delivered the bytes in time, not where they lie.";
/// Largest file of results that is read.
const FILE_BYTES: u64 = 64 << 20;

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Thread, space or blob; or the endpoint id, ticket or URL of one mirror
    target: Option<String>,
    /// Random ranges asked of each mirror
    #[arg(long, value_name = "N")]
    challenges: Option<u32>,
    /// Ask nobody: show the results so far
    #[arg(long, conflicts_with_all = ["target", "challenges"])]
    last: bool,
    /// Ask nobody: check signed results, as --json printed them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["target", "challenges", "last"])]
    verify: Option<PathBuf>,
}

/// Runs the command.
pub(super) async fn run(data: &Path, args: AuditArgs) -> Result<Outcome, CommandError> {
    if let Some(file) = &args.verify {
        return verify(file);
    }
    let client = Client::of_folder(data)?;
    let rows: Vec<AuditRow> = if args.last {
        client.get(ROUTE).await?
    } else {
        client
            .call(Method::POST, ROUTE, Some(&request(&args)))
            .await?
    };
    Ok(Outcome::new(table(&rows, now_ms()), &rows))
}

fn request(args: &AuditArgs) -> AuditRequest {
    let mut request = AuditRequest {
        challenges: args.challenges,
        ..AuditRequest::default()
    };
    if let Some(target) = &args.target {
        let is_mirror = target.starts_with("datt")
            || target.starts_with("http://")
            || target.starts_with("https://")
            || target.parse::<EndpointKey>().is_ok();
        let place = if is_mirror {
            &mut request.mirror
        } else {
            &mut request.id
        };
        *place = Some(target.clone());
    }
    request
}

fn table(rows: &[AuditRow], now_ms: u64) -> String {
    if rows.is_empty() {
        return "nobody says that he holds something of it".to_owned();
    }
    let mut lines: Vec<String> = rows.iter().map(|row| describe(row, now_ms)).collect();
    lines.push(MEANING.to_owned());
    lines.join("\n")
}

fn describe(row: &AuditRow, now_ms: u64) -> String {
    let mirror = short(&row.mirror);
    if let Some(problem) = &row.problem {
        return format!("{mirror}  {}", line(problem));
    }
    let about = row.id.as_deref().unwrap_or("-");
    let within = row
        .within_ms
        .map(|ms| format!(" within {ms} ms"))
        .unwrap_or_default();
    let mut text = format!(
        "{mirror}  {about}  answered {} of {} challenges{within}, {}",
        row.answered,
        row.asked,
        ago(row.at_ms, now_ms)
    );
    if let Some((why, at_ms)) = &row.failure {
        text.push_str(&format!(
            "; last failure {}: {}",
            ago(*at_ms, now_ms),
            line(why)
        ));
    }
    if !row.is_counted {
        text.push_str("; not counted as a holder until it answers");
    }
    text
}

/// Checks signed results: neither a node nor the blobs are needed.
fn verify(file: &Path) -> Result<Outcome, CommandError> {
    let size = fs::metadata(file)
        .map_err(CommandError::io("read", file))?
        .len();
    if size > FILE_BYTES {
        return Err(CommandError::Usage(format!(
            "{} has more than {FILE_BYTES} bytes",
            file.display()
        )));
    }
    let text = fs::read_to_string(file).map_err(CommandError::io("read", file))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| {
        CommandError::Usage(format!(
            "{} is not what --json prints: {error}",
            file.display()
        ))
    })?;
    let (mut lines, mut read, mut bad) = (Vec::new(), Vec::new(), 0);
    for record in records(&value) {
        let decoded = BASE64.decode(record.as_bytes()).ok();
        let result = decoded.map(|bytes| AuditResult::decode(&bytes));
        match result {
            Some(Ok(result)) => {
                lines.push(told(&result));
                read.push(facts(&result));
            }
            Some(Err(error)) => {
                bad += 1;
                lines.push(format!("not verified: {error}"));
            }
            None => {
                bad += 1;
                lines.push("not verified: not base64".to_owned());
            }
        }
    }
    if lines.is_empty() {
        return Err(CommandError::Usage(format!(
            "{} holds no signed results",
            file.display()
        )));
    }
    lines.push(format!("{} verified, {bad} not. {MEANING}", read.len()));
    let mut outcome = Outcome::new(
        lines.join("\n"),
        &json!({ "verified": read, "not_verified": bad }),
    );
    if bad > 0 {
        outcome.exit_code = NOT_VERIFIED;
    }
    Ok(outcome)
}

/// Every text below a field called `records`.
fn records(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(list) => list.iter().flat_map(records).collect(),
        Value::Object(fields) => {
            let list = fields.get("records").and_then(Value::as_array);
            list.into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect()
        }
        _ => Vec::new(),
    }
}

fn told(result: &AuditResult) -> String {
    let facts = result.facts();
    let by = match facts.outcome {
        AuditOutcome::Answered | AuditOutcome::Late => "signed by both",
        _ => "the word of who asked",
    };
    format!(
        "{} asked {} for {} from group {}: {} ({} ms of {}); {by}",
        short(&facts.challenger.to_string()),
        short(&facts.mirror.to_string()),
        facts.challenge.blob,
        facts.challenge.first_group,
        facts.outcome,
        facts.took_ms,
        facts.deadline_ms,
    )
}

fn facts(result: &AuditResult) -> Value {
    let facts = result.facts();
    json!({
        "challenger": facts.challenger.to_string(),
        "mirror": facts.mirror.to_string(),
        "blob": facts.challenge.blob.to_string(),
        "first_group": facts.challenge.first_group,
        "groups": facts.challenge.groups,
        "at_ms": facts.at_ms,
        "took_ms": facts.took_ms,
        "deadline_ms": facts.deadline_ms,
        "outcome": facts.outcome.as_str(),
        "signed_by_mirror": facts.receipt.is_some(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use model::{AuditFacts, BlobId, Challenge, SecretKey, limits};

    use super::*;

    #[test]
    fn a_target_is_a_mirror_or_an_item() {
        let ask = |target: &str| {
            request(&AuditArgs {
                target: Some(target.to_owned()),
                challenges: None,
                last: false,
                verify: None,
            })
        };
        for mirror in ["dattabc", "https://mirror.example", &"ab".repeat(32)] {
            assert_eq!(ask(mirror).mirror.as_deref(), Some(mirror));
        }
        let cid = BlobId::of(b"b").to_string();
        assert_eq!(ask(&cid).id, Some(cid));
    }

    #[test]
    fn a_row_says_what_was_answered() {
        let row = AuditRow {
            mirror: "ab".repeat(32),
            id: Some("bafy".to_owned()),
            at_ms: 1_000,
            asked: 5,
            answered: 3,
            within_ms: Some(12),
            failure: Some(("no answer".to_owned(), 500)),
            ..AuditRow::default()
        };
        assert_eq!(
            describe(&row, 1_000),
            "abababab  bafy  answered 3 of 5 challenges within 12 ms, just now; \
             last failure just now: no answer; not counted as a holder until it answers"
        );
    }

    #[test]
    fn signed_results_are_checked_without_a_node() {
        let secret = SecretKey::from_bytes(&[1; 32]);
        let key = EndpointKey::from_bytes(*secret.public().as_bytes());
        let facts = AuditFacts {
            challenger: key,
            mirror: EndpointKey::from_bytes([2; 32]),
            challenge: Challenge {
                blob: BlobId::of(b"b"),
                first_group: 0,
                groups: 1,
                nonce: [0; limits::NONCE_BYTES],
            },
            at_ms: 1,
            took_ms: 2,
            deadline_ms: 3,
            outcome: AuditOutcome::Silent,
            receipt: None,
        };
        let mut bytes = AuditResult::sign(&secret, facts).unwrap().bytes().to_vec();
        let good = BASE64.encode(&bytes);
        bytes[20] ^= 1;
        let bad = BASE64.encode(&bytes);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("results.json");
        for (records, exit_code) in [(vec![&good], 0), (vec![&good, &bad], NOT_VERIFIED)] {
            fs::write(&file, json!([{ "records": records }]).to_string()).unwrap();
            let outcome = verify(&file).unwrap();
            assert_eq!(outcome.exit_code, exit_code, "{}", outcome.text);
            assert_eq!(outcome.json["verified"][0]["outcome"], "silent");
        }
        fs::write(&file, "[]").unwrap();
        assert!(matches!(verify(&file), Err(CommandError::Usage(_))));
    }
}
