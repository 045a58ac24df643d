//! Errors in one line.

use std::error::Error;

/// An error with what caused it, for those whose causes say what is wrong.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
