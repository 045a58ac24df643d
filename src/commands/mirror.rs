//! `datt mirror`: what this node keeps for others, and how it stands by that.

use std::path::Path;

use clap::Subcommand;
use views::data::{Mirror, MirrorQuota, MirrorRule, MirrorStatus, MissingBlob};

use super::{
    audit,
    client::Client,
    failure::CommandError,
    outcome::Outcome,
    words::{ago, line, short, size},
};
use crate::clock::now_ms;

const ROUTE: &str = "/api/v1/mirror";
/// Missing blobs that are printed; `--json` has more.
const MISSING: usize = 20;

#[derive(Debug, Subcommand)]
pub(super) enum MirrorCommand {
    /// Rules, room, what is promised, held and missing, and who else mirrors
    Status,
    /// Challenge those who say that they hold something, or show how they did so far
    Audit(audit::AuditArgs),
}

pub(super) async fn run(data: &Path, command: MirrorCommand) -> Result<Outcome, CommandError> {
    match command {
        MirrorCommand::Status => {
            let status: MirrorStatus = Client::of_folder(data)?.get(ROUTE).await?;
            Ok(Outcome::new(describe(&status, now_ms()), &status))
        }
        MirrorCommand::Audit(args) => audit::run(data, args).await,
    }
}

fn describe(status: &MirrorStatus, now_ms: u64) -> String {
    let mut lines = vec![
        format!(
            "promised {} blobs, {}; held {}, {}; missing {}, {}",
            status.promised,
            size(status.promised_bytes),
            status.held,
            size(status.held_bytes),
            status.missing,
            size(status.missing_bytes),
        ),
        room(&status.quota),
    ];
    if status.rules.is_empty() {
        lines.push("no rules: [[mirror]] in config.toml makes some".to_owned());
    }
    let numbered = status.rules.iter().zip(1..);
    lines.extend(numbered.map(|(one, number)| rule(one, number)));
    if status.evaluated_ms > 0 && !status.rules.is_empty() {
        lines.push(format!("evaluated {}", ago(status.evaluated_ms, now_ms)));
    }
    lines.extend(status.mirrors.iter().map(mirror));
    let listed = status.missing_blobs.iter().take(MISSING);
    lines.extend(listed.map(|one| missing(one, now_ms)));
    lines.extend(
        status
            .problems
            .iter()
            .map(|text| format!("! {}", line(text))),
    );
    if status.problems.is_empty() {
        lines.push("all is well".to_owned());
    }
    lines.join("\n")
}

fn room(quota: &MirrorQuota) -> String {
    format!(
        "room {} of {} used: entries {}, pinned {}, mirrored {}, cached {}; {} free on the disk",
        size(quota.used_bytes),
        size(quota.max_bytes),
        size(quota.entries_bytes),
        size(quota.pinned_bytes),
        size(quota.mirrored_bytes),
        size(quota.cached_bytes),
        size(quota.disk_free_bytes),
    )
}

fn rule(rule: &MirrorRule, number: usize) -> String {
    let mut bounds = vec![format!("media {}", rule.media)];
    if rule.max_bytes > 0 {
        bounds.push(format!("at most {}", size(rule.max_bytes)));
    }
    if let Some(score) = rule.min_score {
        bounds.push(format!("score from {score}"));
    }
    if let Some(age) = &rule.max_age {
        bounds.push(format!("active within {age}"));
    }
    if rule.replicas > 0 {
        bounds.push(format!(
            "{} copies, reached by {} of {}",
            rule.replicas, rule.reached, rule.matched
        ));
    }
    format!(
        "rule {number}  {}  {}\n  {} match, {} held ({}), {} missing ({}), {} gave room",
        rule.what,
        bounds.join(", "),
        rule.matched,
        rule.held,
        size(rule.held_bytes),
        rule.missing,
        size(rule.missing_bytes),
        rule.evicted,
    )
}

fn mirror(mirror: &Mirror) -> String {
    let answered = match mirror.asked {
        0 => "not challenged".to_owned(),
        asked => format!("answered {} of {asked} challenges", mirror.answered),
    };
    format!(
        "mirror {}  holds {} blobs, mirrors {} of the same spaces, {answered}",
        short(&mirror.endpoint),
        mirror.held,
        mirror.spaces.len(),
    )
}

fn missing(blob: &MissingBlob, now_ms: u64) -> String {
    format!(
        "missing {}  {}, for {}, since {}, held by {} others",
        blob.id,
        size(blob.size_bytes),
        blob.promise,
        ago(blob.since_ms, now_ms),
        blob.held_by.len(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_is_wrong_is_said() {
        let status = MirrorStatus {
            rules: vec![MirrorRule {
                what: "popular".to_owned(),
                media: "all".to_owned(),
                max_bytes: 2 << 30,
                min_score: Some(5),
                max_age: Some("30d".to_owned()),
                replicas: 3,
                matched: 7,
                reached: 4,
                ..MirrorRule::default()
            }],
            missing: 1,
            missing_blobs: vec![MissingBlob {
                id: "bafkr".to_owned(),
                promise: "rule 1".to_owned(),
                ..MissingBlob::default()
            }],
            problems: vec!["the disk is full".to_owned()],
            ..MirrorStatus::default()
        };
        let text = describe(&status, 60_000);
        for part in [
            "rule 1  popular",
            "3 copies, reached by 4 of 7",
            "active within 30d",
            "missing bafkr",
            "! the disk is full",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("all is well"));
    }
}
