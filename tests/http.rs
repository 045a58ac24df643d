//! A small blocking HTTP/1.1 client: requests with a bearer token, ranges, and event streams.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Longest that a single read may take; a node that is silent for longer is broken.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Talks to one node.
#[derive(Debug, Clone)]
pub struct Client {
    authority: String,
    headers: Vec<(String, String)>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// One event of a `text/event-stream`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Cursor.
    pub id: String,
    /// Kind; empty when the stream names none.
    pub event: String,
    /// Data, lines joined.
    pub data: String,
}

impl Client {
    /// A client for `http://host:port` (with or without a path behind it).
    ///
    /// # Errors
    /// When the URL isn't plain HTTP.
    pub fn new(url: &str) -> Result<Self> {
        let rest = url
            .strip_prefix("http://")
            .with_context(|| format!("not a plain HTTP URL: {url}"))?;
        let authority = rest.split('/').next().unwrap_or_default().to_owned();
        Ok(Self {
            authority,
            headers: Vec::new(),
        })
    }

    /// The same, sending one more header with each request.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Host and port.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// `GET`.
    ///
    /// # Errors
    /// When the node can't be reached or doesn't speak HTTP.
    pub fn get(&self, path: &str) -> Result<Response> {
        self.send("GET", path, &[], b"")
    }

    /// `GET` of a part, both ends included.
    ///
    /// # Errors
    /// When the node can't be reached or doesn't speak HTTP.
    pub fn get_range(&self, path: &str, first: u64, last: u64) -> Result<Response> {
        self.send(
            "GET",
            path,
            &[("range", &format!("bytes={first}-{last}"))],
            b"",
        )
    }

    /// `GET` of JSON, anything but 200 is an error.
    ///
    /// # Errors
    /// Also when the body isn't JSON.
    pub fn get_json(&self, path: &str) -> Result<Value> {
        self.get(path)?.expect_json(path)
    }

    /// Sends JSON, anything but 2xx is an error.
    ///
    /// # Errors
    /// Also when the body of the answer isn't JSON.
    pub fn send_json(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        self.send(
            method,
            path,
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        )?
        .expect_json(path)
    }

    /// Any request.
    ///
    /// # Errors
    /// When the node can't be reached or doesn't speak HTTP.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response> {
        let (status, headers, mut reader) = self.open(method, path, headers, body)?;
        let mut body = Vec::new();
        reader
            .read_to_end(&mut body)
            .with_context(|| format!("reading the answer to {method} {path}"))?;
        Ok(Response {
            status,
            headers,
            body,
        })
    }

    /// Opens an event stream.
    ///
    /// # Errors
    /// When the node can't be reached or answers with anything but 200.
    pub fn events(&self, path: &str, headers: &[(&str, &str)]) -> Result<Events> {
        self.event_stream("GET", path, headers, b"")
    }

    /// Opens an event stream that answers any request.
    ///
    /// # Errors
    /// When the node can't be reached or answers with anything but 200.
    pub fn event_stream(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Events> {
        let (status, headers, mut reader) = self.open(method, path, headers, body)?;
        if status != 200 {
            let mut text = String::new();
            reader.read_to_string(&mut text)?;
            bail!("{method} {path} answered {status}: {text}");
        }
        let streams = headers
            .iter()
            .any(|(name, value)| name == "content-type" && value.starts_with("text/event-stream"));
        if !streams {
            bail!("{method} {path} is no event stream: {headers:?}");
        }
        Ok(Events { reader })
    }

    #[expect(
        clippy::type_complexity,
        reason = "the three parts of an answer, taken apart at once"
    )]
    fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(u16, Vec<(String, String)>, BufReader<Body>)> {
        let mut stream = TcpStream::connect(&self.authority)
            .with_context(|| format!("connecting to {}", self.authority))?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        stream.set_nodelay(true)?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        let own = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<(&str, &str)> = own.chain(headers.iter().copied()).collect();
        if !all
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            head.push_str(&format!("host: {}\r\n", self.authority));
        }
        let sized = all
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        if !sized && (!body.is_empty() || method != "GET") {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        for (name, value) in all {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        // a node that refuses early closes its side: its answer matters, not this error
        let sent = stream.write_all(body);
        let mut reader = BufReader::new(stream);
        match read_head(&mut reader) {
            Ok((status, headers)) => {
                let length = Length::of(status, &headers);
                Ok((status, headers, BufReader::new(Body { reader, length })))
            }
            Err(error) => {
                sent.context("sending the body")?;
                Err(error.context(format!("{method} {path}")))
            }
        }
    }
}

fn read_head(reader: &mut impl BufRead) -> Result<(u16, Vec<(String, String)>)> {
    let mut line = String::new();
    reader
        .read_line(&mut line)
        .context("reading the status line")?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .with_context(|| format!("not an HTTP status line: {line:?}"))?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).context("reading headers")?;
        let Some((name, value)) = line.split_once(':') else {
            return Ok((status, headers));
        };
        headers.push((name.trim().to_lowercase(), value.trim().to_owned()));
    }
}

/// How far a body goes: RFC 9112, 6.3.
#[derive(Debug)]
enum Length {
    /// So many bytes are left.
    Bytes(u64),
    /// So many bytes are left of this chunk; more may follow.
    Chunk(u64),
    /// The last chunk was read.
    Over,
    /// As long as the connection.
    Connection,
}

impl Length {
    fn of(status: u16, headers: &[(String, String)]) -> Self {
        let header = |name: &str| {
            headers
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
        };
        if status == 204 || status == 304 {
            return Self::Bytes(0);
        }
        if header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
        {
            return Self::Chunk(0);
        }
        header("content-length")
            .and_then(|length| length.parse().ok())
            .map_or(Self::Connection, Self::Bytes)
    }
}

/// The body of an answer. One that is cut off is an error, not an end.
#[derive(Debug)]
struct Body {
    reader: BufReader<TcpStream>,
    length: Length,
}

impl Body {
    /// Reads the line before a chunk: its size in hexadecimal digits.
    fn next_chunk(&mut self) -> std::io::Result<()> {
        let mut line = String::new();
        // the empty line that ends the chunk before this one
        while line.trim().is_empty() {
            line.clear();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16)
            .map_err(|_| std::io::Error::other(format!("not a chunk: {line:?}")))?;
        self.length = if size == 0 {
            Length::Over
        } else {
            Length::Chunk(size)
        };
        Ok(())
    }
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if let Length::Chunk(0) = self.length {
            self.next_chunk()?;
        }
        let left = match &mut self.length {
            Length::Connection => return self.reader.read(into),
            Length::Over | Length::Bytes(0) => return Ok(0),
            Length::Bytes(left) | Length::Chunk(left) => left,
        };
        let most = usize::try_from(*left).unwrap_or(usize::MAX).min(into.len());
        let read = self.reader.read(&mut into[..most])?;
        if read == 0 && most > 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        *left -= read as u64;
        Ok(read)
    }
}

impl Response {
    /// First header of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Body as JSON.
    ///
    /// # Errors
    /// When it isn't.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.text()))
    }

    fn expect_json(&self, path: &str) -> Result<Value> {
        if !(200..300).contains(&self.status) {
            bail!("{path} answered {}: {}", self.status, self.text());
        }
        self.json()
    }
}

/// Events as they arrive.
#[derive(Debug)]
pub struct Events {
    reader: BufReader<Body>,
}

impl Events {
    /// The next event; none when the stream has ended.
    ///
    /// # Errors
    /// When nothing arrives within the read timeout.
    pub fn next(&mut self) -> Result<Option<Event>> {
        let mut event = Event::default();
        let mut line = String::new();
        loop {
            line.clear();
            if self
                .reader
                .read_line(&mut line)
                .context("waiting for an event")?
                == 0
            {
                return Ok(None);
            }
            let text = line.trim_end_matches(['\r', '\n']);
            if text.is_empty() {
                if event != Event::default() {
                    return Ok(Some(event));
                }
                continue;
            }
            let (field, value) = text.split_once(':').unwrap_or((text, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => value.clone_into(&mut event.id),
                "event" => value.clone_into(&mut event.event),
                "data" => {
                    if !event.data.is_empty() {
                        event.data.push('\n');
                    }
                    event.data.push_str(value);
                }
                _ => {}
            }
        }
    }

    /// Reads until an event satisfies the question.
    ///
    /// # Errors
    /// When the stream ends or falls silent first.
    pub fn until(&mut self, mut wanted: impl FnMut(&Event) -> bool) -> Result<Event> {
        loop {
            let event = self.next()?.context("the event stream ended too early")?;
            if wanted(&event) {
                return Ok(event);
            }
        }
    }
}
