//! The running node, as commands see it: its HTTP API on this machine.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use gateway::api::types::{ErrorBody, ErrorDetail};
use http::{HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::timeout;

use super::{failure::CommandError, stream::Lines};
use crate::data_folder::read_running;

/// Longest wait for the head of an answer.
const ANSWER: Duration = Duration::from_secs(60);
/// Longest silence within a body or an event stream; the node sends comments more often.
pub(super) const SILENCE: Duration = Duration::from_secs(90);
/// Longest JSON answer read into memory, bytes.
const ANSWER_BYTES: usize = 64 << 20;

/// A connection to the running node.
#[derive(Clone, Debug)]
pub struct Client {
    http: legacy::Client<HttpConnector, Full<Bytes>>,
    base: String,
    token: HeaderValue,
    data: PathBuf,
}

/// No body.
pub(super) const NOTHING: Option<&()> = None;

impl Client {
    /// Finds the node of this data folder; connects with the first request.
    ///
    /// # Errors
    /// When the folder names no running node or its token can't be read.
    pub fn of_folder(data: &Path) -> Result<Self, CommandError> {
        let no_node = |reason| CommandError::NoNode {
            data: data.to_owned(),
            reason,
        };
        let running = read_running(data).ok_or_else(|| no_node(None))?;
        let path = data.join("api-token");
        let token = fs::read_to_string(&path).map_err(CommandError::io("read", &path))?;
        let token = HeaderValue::try_from(format!("Bearer {}", token.trim()))
            .map_err(|_| no_node(Some(format!("{} is damaged", path.display()))))?;
        Ok(Self {
            http: legacy::Client::builder(TokioExecutor::new()).build_http(),
            base: running.url.trim_end_matches('/').to_owned(),
            token,
            data: data.to_owned(),
        })
    }

    /// `GET`, answered by JSON.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CommandError> {
        self.call(Method::GET, path, NOTHING).await
    }

    /// A request with a JSON body, or with [`NOTHING`], answered by JSON.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, CommandError> {
        let request = format!("{method} {path}");
        let response = self.send(method, path, body, None).await?;
        let bytes = collect(&request, response).await?;
        // An answer without content is JSON's null.
        let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        serde_json::from_slice(text).map_err(|error| CommandError::Answer {
            request,
            reason: error.to_string(),
        })
    }

    /// A request answered by an event stream, one JSON object an event.
    pub(super) async fn events<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Lines<T>, CommandError> {
        let response = self.send(Method::POST, path, body, None).await?;
        Ok(Lines::new(format!("POST {path}"), response.into_body()))
    }

    /// `GET` of an event stream, one JSON object an event.
    pub(super) async fn follow<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Lines<T>, CommandError> {
        let response = self.send(Method::GET, path, NOTHING, None).await?;
        Ok(Lines::new(format!("GET {path}"), response.into_body()))
    }

    /// `GET` of raw bytes, of a range if there is one.
    pub(super) async fn bytes(
        &self,
        path: &str,
        range: Option<String>,
    ) -> Result<Response<Incoming>, CommandError> {
        self.send(Method::GET, path, NOTHING, range).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        range: Option<String>,
    ) -> Result<Response<Incoming>, CommandError> {
        let name = format!("{method} {path}");
        let request = self
            .request(method, path, body, range)
            .map_err(|reason| CommandError::Usage(format!("cannot ask for {path}: {reason}")))?;
        let answer = timeout(ANSWER, self.http.request(request)).await;
        let response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() => {
                return Err(CommandError::NoNode {
                    data: self.data.clone(),
                    reason: Some(format!("nothing listens on {}", self.base)),
                });
            }
            Ok(Err(error)) => {
                return Err(CommandError::Connection {
                    request: name,
                    source: Box::new(error),
                });
            }
            Err(late) => {
                return Err(CommandError::Connection {
                    request: name,
                    source: Box::new(late),
                });
            }
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = collect(&name, response).await?;
        match serde_json::from_slice::<ErrorBody>(&bytes) {
            Ok(body) => Err(CommandError::Refused(body.error)),
            Err(_) => Err(CommandError::Answer {
                request: name,
                reason: format!("status {status} without a reason"),
            }),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        range: Option<String>,
    ) -> Result<Request<Full<Bytes>>, Box<dyn Error + Send + Sync>> {
        let uri: Uri = format!("{}{path}", self.base).parse()?;
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::AUTHORIZATION, self.token.clone());
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        Ok(match body {
            Some(body) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::new(serde_json::to_vec(body)?.into()))?,
            None => request.body(Full::default())?,
        })
    }
}

async fn collect(request: &str, response: Response<Incoming>) -> Result<Bytes, CommandError> {
    let broken = |source| CommandError::Connection {
        request: request.to_owned(),
        source,
    };
    match timeout(
        SILENCE,
        Limited::new(response.into_body(), ANSWER_BYTES).collect(),
    )
    .await
    {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) => Err(broken(error)),
        Err(late) => Err(broken(Box::new(late))),
    }
}

/// The error in an answer or event, if it is one.
pub(super) fn as_error(value: &Value) -> Option<ErrorDetail> {
    serde_json::from_value::<ErrorDetail>(value.get("error")?.clone()).ok()
}

/// One part of a path or query, percent-encoded.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
