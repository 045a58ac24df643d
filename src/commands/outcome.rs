//! What a command says: a text for people, or one JSON value.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use super::failure::{CommandError, DONE};

/// The answer of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// For people; ends without a newline.
    pub text: String,
    /// For programs; null says nothing.
    pub json: Value,
    /// Exit code.
    pub exit_code: u8,
}

impl Outcome {
    /// An answer that both forms show.
    pub(super) fn new(text: impl Into<String>, json: &impl Serialize) -> Self {
        Self {
            text: text.into(),
            json: serde_json::to_value(json).expect("plain data has a JSON form"),
            exit_code: DONE,
        }
    }
}

/// Prints how it went and gives the exit code. Where nobody reads stdout any more, that is no
/// failure of the command.
pub fn print(result: &Result<Outcome, CommandError>, json: bool) -> u8 {
    let mut out = io::stdout().lock();
    match result {
        Ok(outcome) => {
            if json {
                if !outcome.json.is_null() {
                    let _ = writeln!(out, "{}", outcome.json);
                }
            } else if !outcome.text.is_empty() {
                let _ = writeln!(out, "{}", outcome.text);
            }
            outcome.exit_code
        }
        Err(error) => {
            if json {
                let _ = writeln!(out, "{}", error.to_json());
            } else {
                let _ = writeln!(io::stderr().lock(), "error: {error}");
            }
            error.exit_code()
        }
    }
}
