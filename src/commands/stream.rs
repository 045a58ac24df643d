//! Server-sent events of a request's progress: one JSON object each.

use std::{collections::VecDeque, marker::PhantomData};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    client::{SILENCE, as_error},
    failure::CommandError,
};

/// Longest event, bytes.
const EVENT_BYTES: usize = 1 << 20;

/// The events of one answer, read as they come.
pub(super) struct Lines<T> {
    request: String,
    body: Incoming,
    parser: Parser,
    kind: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Lines<T> {
    pub(super) fn new(request: String, body: Incoming) -> Self {
        Self {
            request,
            body,
            parser: Parser::default(),
            kind: PhantomData,
        }
    }

    /// The next event; none at the end of the stream.
    ///
    /// # Errors
    /// When the node reports a failure, the connection breaks, or an event can't be read.
    pub(super) async fn next(&mut self) -> Result<Option<T>, CommandError> {
        loop {
            if let Some(data) = self.parser.ready.pop_front() {
                return self.read(&data).map(Some);
            }
            let frame = match timeout(SILENCE, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Err(self.broken(Box::new(error))),
                Err(late) => return Err(self.broken(Box::new(late))),
            };
            if let Ok(bytes) = frame.into_data() {
                self.parser
                    .feed(&bytes)
                    .map_err(|reason| self.senseless(reason.to_owned()))?;
            }
        }
    }

    fn read(&self, data: &str) -> Result<T, CommandError> {
        let value: Value =
            serde_json::from_str(data).map_err(|error| self.senseless(error.to_string()))?;
        if let Some(error) = as_error(&value) {
            return Err(CommandError::Refused(error));
        }
        serde_json::from_value(value).map_err(|error| self.senseless(error.to_string()))
    }

    /// The stream ended before it said how it went.
    pub(super) fn cut_off(&self) -> CommandError {
        self.broken("the answer was cut off".into())
    }

    fn broken(&self, source: Box<dyn std::error::Error + Send + Sync>) -> CommandError {
        CommandError::Connection {
            request: self.request.clone(),
            source,
        }
    }

    fn senseless(&self, reason: String) -> CommandError {
        CommandError::Answer {
            request: self.request.clone(),
            reason,
        }
    }
}

/// Cuts bytes into the `data` of events (WHATWG HTML, "server-sent events").
#[derive(Default)]
struct Parser {
    line: Vec<u8>,
    data: String,
    ready: VecDeque<String>,
}

impl Parser {
    fn feed(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                if self.line.len() > EVENT_BYTES {
                    return Err("an event is too long");
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if line.is_empty() {
                if !self.data.is_empty() {
                    self.ready.push_back(std::mem::take(&mut self.data));
                }
            } else if let Some(data) = line.strip_prefix(b"data:") {
                let data = data.strip_prefix(b" ").unwrap_or(data);
                let data = std::str::from_utf8(data).map_err(|_| "an event is not UTF-8")?;
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(data);
                if self.data.len() > EVENT_BYTES {
                    return Err("an event is too long");
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn events_are_cut_anywhere() {
        let text = b": hello\n\nevent: progress\r\ndata: {\"a\":1}\r\n\r\ndata:x\ndata: y\n\n";
        for size in 1..text.len() {
            let mut parser = Parser::default();
            for part in text.chunks(size) {
                parser.feed(part).unwrap();
            }
            assert_eq!(parser.ready, ["{\"a\":1}", "x\ny"], "chunks of {size}");
        }
    }

    #[test]
    fn endless_lines_are_refused() {
        let mut parser = Parser::default();
        assert!(parser.feed(&vec![b'x'; EVENT_BYTES + 1]).is_err());
    }
}
