//! `datt verify`: has the node check everything it holds again.

use gateway::api::types::VerifyProgress;

use super::{
    client::{Client, NOTHING},
    failure::{CommandError, DONE, NOT_VERIFIED},
    outcome::Outcome,
    progress::Progress,
    words::line,
};

pub(super) async fn run(client: &Client) -> Result<Outcome, CommandError> {
    let mut bar = Progress::of_items("checking");
    let mut events = client
        .events::<VerifyProgress>("/api/v1/verify", NOTHING)
        .await?;
    let mut checked_items = 0;
    while let Some(event) = events.next().await? {
        match &event {
            VerifyProgress::Progress {
                checked,
                total,
                stage,
            } => {
                checked_items = *checked;
                bar.name(format!("checking {stage}"));
                bar.set(*checked, *total);
            }
            VerifyProgress::Done { ok, problems } => {
                let text = if *ok {
                    format!("everything held is as it should be ({checked_items} items checked)")
                } else {
                    let lines: Vec<_> = problems.iter().map(|problem| line(problem)).collect();
                    lines.join("\n")
                };
                let json = serde_json::json!({
                    "ok": ok, "checked": checked_items, "problems": problems,
                });
                return Ok(Outcome {
                    exit_code: if *ok { DONE } else { NOT_VERIFIED },
                    ..Outcome::new(text, &json)
                });
            }
        }
    }
    Err(events.cut_off())
}
