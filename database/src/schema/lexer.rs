//! Words and signs of a schema text, each with its place.

use super::SchemaError;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    Int(i64),
    Sign(&'static str),
    End,
}

impl Token {
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Int(number) => format!("`{number}`"),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::End => "the end of the text".to_owned(),
        }
    }
}

/// A token and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Longest first, so that `<=` is not read as `<`.
const SIGNS: [&str; 15] = [
    "<=", "..", "{", "}", "(", ")", "<", ">", ":", ",", "?", "=", "/", ".", "-",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, SchemaError> {
    let mut found = Vec::new();
    for (index, line_text) in text.lines().enumerate() {
        line_tokens(index + 1, line_text, &mut found)?;
    }
    found.push(Placed {
        token: Token::End,
        line: text.lines().count().max(1),
        column: text
            .lines()
            .last()
            .map_or(1, |line| line.chars().count() + 1),
    });
    Ok(found)
}

fn line_tokens(line: usize, text: &str, found: &mut Vec<Placed>) -> Result<(), SchemaError> {
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next().filter(|first| *first != '#') else {
            return Ok(());
        };
        let column = text.chars().count() - rest.chars().count() + 1;
        let fail = |problem: String| SchemaError {
            line,
            column,
            problem,
        };
        let (token, length) = if first.is_ascii_lowercase() || first == '_' {
            let length = rest
                .find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
                .unwrap_or(rest.len());
            if length > model::limits::NAME_BYTES {
                return Err(fail(format!(
                    "a name has at most {} characters",
                    model::limits::NAME_BYTES
                )));
            }
            (Token::Word(rest[..length].to_owned()), length)
        } else if first.is_ascii_digit() || is_negative(rest) {
            let digits = rest
                .char_indices()
                .skip(1)
                .find(|(_, c)| !c.is_ascii_digit())
                .map_or(rest.len(), |(at, _)| at);
            let number = rest[..digits]
                .parse()
                .map_err(|_| fail(format!("`{}` is beyond 64 bits", &rest[..digits])))?;
            (Token::Int(number), digits)
        } else {
            let sign = SIGNS
                .into_iter()
                .find(|sign| rest.starts_with(sign))
                .ok_or_else(|| fail(format!("`{first}` has no meaning here")))?;
            (Token::Sign(sign), sign.len())
        };
        found.push(Placed {
            token,
            line,
            column,
        });
        rest = &rest[length..];
    }
}

fn is_negative(text: &str) -> bool {
    text.strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}
