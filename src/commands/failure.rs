//! Why a command failed: the message, the stable code and the exit code.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
};

use gateway::api::types::{ErrorCode, ErrorDetail};
use serde_json::{Value, json};
use thiserror::Error;

use crate::config::ConfigError;

/// Exit code of a command that did what it was asked.
pub const DONE: u8 = 0;
/// Exit code of a command that failed.
pub const FAILED: u8 = 1;
/// Exit code of a command that was used wrongly.
pub const USAGE: u8 = 2;
/// Exit code when something isn't there.
pub const NOT_FOUND: u8 = 3;
/// Exit code when a hash or signature does not match.
pub const NOT_VERIFIED: u8 = 4;
/// Exit code when no node runs.
pub const NO_NODE: u8 = 5;

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CommandError {
    /// Nothing answers for this data folder.
    #[error("no node runs on {}; start it with `datt up{}`{}", .data.display(), data_flag(.data), because(.reason))]
    NoNode {
        /// The data folder.
        data: PathBuf,
        /// What was tried, where that says more.
        reason: Option<String>,
    },
    /// Wrong flags or arguments.
    #[error("{0}")]
    Usage(String),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The node can't start.
    #[error("the node can't start: {0}")]
    Start(#[source] Box<dyn Error + Send + Sync>),
    /// A part of the running node ended by itself.
    #[error("the node stopped: a part of it ended unexpectedly; see the log, then start it again")]
    Ended,
    /// The node refused.
    #[error("{}", .0.message)]
    Refused(ErrorDetail),
    /// The node's bytes are not what was asked for.
    #[error("{0}")]
    NotVerified(String),
    /// What is needed isn't here.
    #[error("{0}")]
    Missing(String),
    /// The data folder, or headers in it, can't be used.
    #[error("{}", with_causes(.0.as_ref()))]
    Headers(#[source] Box<dyn Error + Send + Sync>),
    /// The connection broke, or the node gave up on the request.
    #[error("the node stopped answering {request}: {source}; look at its log, then try again")]
    Connection {
        /// Method and path.
        request: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The node answered something else than this program understands.
    #[error(
        "the node's answer to {request} makes no sense here ({reason}); is it another version of datt?"
    )]
    Answer {
        /// Method and path.
        request: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file can't be read or written.
    #[error("cannot {act} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

fn data_flag(data: &Path) -> String {
    let text = data.display().to_string();
    if text.contains(char::is_whitespace) {
        format!(" --data '{text}'")
    } else {
        format!(" --data {text}")
    }
}

/// What happened and why, for errors that leave their causes to be told.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let why = error.to_string();
        if !text.contains(&why) {
            text.push_str(&format!(": {why}"));
        }
        cause = error.source();
    }
    text
}

fn because(reason: &Option<String>) -> String {
    reason
        .as_ref()
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default()
}

impl CommandError {
    /// A failed act on a file.
    pub(super) fn io(
        act: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { act, path, source }
    }

    /// Exit code of the program.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoNode { .. } => NO_NODE,
            Self::Usage(_) | Self::Config(_) => USAGE,
            Self::Refused(detail) => detail.code.exit_code(),
            Self::NotVerified(_) => NOT_VERIFIED,
            Self::Missing(_) => NOT_FOUND,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => NOT_FOUND,
            Self::Start(_)
            | Self::Ended
            | Self::Connection { .. }
            | Self::Answer { .. }
            | Self::Headers(_)
            | Self::Io { .. } => FAILED,
        }
    }

    /// Stable name: those of the API, and `no_node`, `config`, `start`, `connection`, `answer`, `file`.
    pub fn code(&self) -> String {
        let name = match self {
            Self::NoNode { .. } => "no_node",
            Self::Config(_) => "config",
            Self::Start(_) => "start",
            Self::Ended => "ended",
            Self::Usage(_) => return api_name(ErrorCode::Invalid),
            Self::Refused(detail) => return api_name(detail.code),
            Self::NotVerified(_) => return api_name(ErrorCode::NotVerified),
            Self::Missing(_) => return api_name(ErrorCode::NotFound),
            Self::Connection { .. } => "connection",
            Self::Answer { .. } => "answer",
            Self::Headers(_) | Self::Io { .. } => "file",
        };
        name.to_owned()
    }

    /// What `--json` prints.
    pub fn to_json(&self) -> Value {
        error_json(&self.code(), &self.to_string())
    }
}

/// `{"error": {"code", "message"}}`.
pub fn error_json(code: &str, message: &str) -> Value {
    json!({ "error": { "code": code, "message": message } })
}

fn api_name(code: ErrorCode) -> String {
    match serde_json::to_value(code) {
        Ok(Value::String(name)) => name,
        _ => format!("{code:?}").to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: ErrorCode) -> CommandError {
        CommandError::Refused(ErrorDetail {
            code,
            message: "why".to_owned(),
        })
    }

    #[test]
    fn every_failure_has_its_exit_code_and_name() {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        for (error, exit_code, name) in [
            (refused(ErrorCode::Local), FAILED, "local"),
            (refused(ErrorCode::QuotaExceeded), FAILED, "quota_exceeded"),
            (refused(ErrorCode::Invalid), USAGE, "invalid"),
            (CommandError::Usage("why".to_owned()), USAGE, "invalid"),
            (CommandError::Config(ConfigError::NoHome), USAGE, "config"),
            (refused(ErrorCode::NotFound), NOT_FOUND, "not_found"),
            (refused(ErrorCode::NotHeld), NOT_FOUND, "not_held"),
            (CommandError::io("read", "/x")(missing), NOT_FOUND, "file"),
            (CommandError::io("read", "/x")(denied), FAILED, "file"),
            (
                refused(ErrorCode::NotVerified),
                NOT_VERIFIED,
                "not_verified",
            ),
            (
                CommandError::NotVerified("why".to_owned()),
                NOT_VERIFIED,
                "not_verified",
            ),
            (refused(ErrorCode::Unavailable), NO_NODE, "unavailable"),
            (
                CommandError::NoNode {
                    data: "/x".into(),
                    reason: None,
                },
                NO_NODE,
                "no_node",
            ),
        ] {
            assert_eq!(error.exit_code(), exit_code, "{error:?}");
            assert_eq!(error.code(), name, "{error:?}");
            assert_eq!(error.to_json()["error"]["code"], name);
        }
    }

    #[test]
    fn no_node_says_how_to_start_one() {
        let error = CommandError::NoNode {
            data: "/my data".into(),
            reason: None,
        };
        assert!(error.to_string().contains("datt up --data '/my data'"));
    }
}
