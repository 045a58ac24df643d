//! One line of the table, as `cargo xtask bench` reads it.

use serde::Serialize;
use serde_json::{Map, Value};

/// What was measured, and what it should have been.
#[derive(Debug, Serialize)]
pub struct Row {
    name: &'static str,
    what: String,
    target: String,
    value: String,
    met: Option<bool>,
    figures: Map<String, Value>,
}

impl Row {
    /// A row of the measurement `name`.
    pub fn new(name: &'static str, what: impl Into<String>) -> Self {
        Self {
            name,
            what: what.into(),
            target: "–".to_owned(),
            value: String::new(),
            met: None,
            figures: Map::new(),
        }
    }

    /// A plain figure, for machines.
    #[must_use]
    pub fn figure(mut self, name: &str, value: f64) -> Self {
        self.figures.insert(name.to_owned(), value.into());
        self
    }

    /// Ours against theirs, both higher is better: prints the row.
    pub fn ratio(self, ours: f64, theirs: f64, unit: &str, at_least: f64) {
        let ratio = ours / theirs;
        let value = format!("{ratio:.2} × ({ours:.0} against {theirs:.0} {unit})");
        self.figure("ours", ours)
            .figure("theirs", theirs)
            .figure("ratio", ratio)
            .print(format!("≥ {at_least} ×"), value, ratio >= at_least);
    }

    /// A figure that must stay below a limit: prints the row.
    pub fn below(self, figure: f64, limit: f64, unit: &str) {
        let value = format!("{figure:.1} {unit}");
        self.figure("value", figure).figure("limit", limit).print(
            format!("< {limit} {unit}"),
            value,
            figure < limit,
        );
    }

    /// A figure that must reach a limit: prints the row.
    pub fn above(self, figure: f64, limit: f64, unit: &str) {
        let value = format!("{figure:.0} {unit}");
        self.figure("value", figure).figure("limit", limit).print(
            format!("≥ {limit} {unit}"),
            value,
            figure >= limit,
        );
    }

    /// Nothing to compare with on this machine: prints the row, without a verdict.
    pub fn alone(self, ours: f64, unit: &str, missing: &str) {
        let value = format!("{ours:.0} {unit} ({missing})");
        self.figure("ours", ours).emit(value, None);
    }

    fn print(mut self, target: String, value: String, met: bool) {
        self.target = target;
        self.emit(value, Some(met));
    }

    fn emit(mut self, value: String, met: Option<bool>) {
        self.value = value;
        self.met = met;
        println!(
            "{}",
            serde_json::to_string(&self).expect("plain data has a JSON form")
        );
    }
}

/// The value below which that part of the samples lies.
pub fn quantile(samples: &mut [f64], part: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a list"
    )]
    let at = ((samples.len() as f64 - 1.0) * part).round() as usize;
    samples.get(at).copied().unwrap_or(f64::NAN)
}
