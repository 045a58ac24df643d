//! Who may write: a bearer token for programs, a session cookie with a CSRF token for browsers.
//!
//! Coming from loopback grants nothing. For the pages:
//! - `MaybeSession(session)` as an extractor never fails; `session.is_some()` means signed in, and
//!   `MaybeSession::viewer()` is what read methods of the node take.
//! - [`Session`] as an extractor refuses the unsigned with 401.
//! - every form carries a hidden field `csrf` with [`Session::csrf`]; [`CsrfForm`] checks session and
//!   field and gives the rest (at most 64 KiB); scripts may send the header `x-csrf-token` instead.
//! - multipart forms: take [`Session`], then [`Session::check_csrf`] on the first field, before
//!   anything else of the body is used.
//! - `GET /signin/{once}` and `POST /signout` are mounted in `sign_in.rs`, not by the pages.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    failure::Failure,
    gate::Gate,
    node::{NodeError, Viewer},
    settings::Settings,
};

/// How long a one-time sign-in URL works.
pub const ONCE_LIFETIME: Duration = Duration::from_secs(600);
/// How long a session lasts.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
const MAX_ONCE: usize = 32;
const MAX_SESSIONS: usize = 64;

/// The API token, the unused one-time sign-ins and the live sessions; the latter two in memory.
pub struct Auth {
    api_token: blake3::Hash,
    cookie_name: String,
    once: Mutex<BTreeMap<[u8; 32], Instant>>,
    sessions: Mutex<BTreeMap<[u8; 32], Record>>,
}

struct Record {
    csrf: String,
    since: Instant,
}

/// A signed-in browser: the node's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    key: [u8; 32],
    csrf: String,
}

impl Session {
    /// The token for the hidden field `csrf` of every form.
    pub fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Refuses a form that doesn't carry this session's token; constant time.
    pub fn check_csrf(&self, token: &str) -> Result<(), NodeError> {
        if digest(token) == digest(&self.csrf) {
            return Ok(());
        }
        Err(NodeError::Forbidden(
            "the form's CSRF token is missing or of another session; reload the page and send it again"
                .to_owned(),
        ))
    }
}

/// The session, if the browser is signed in.
#[derive(Clone, Debug)]
pub struct MaybeSession(pub Option<Session>);

impl MaybeSession {
    /// For whom to read.
    pub fn viewer(&self) -> Viewer {
        if self.0.is_some() {
            Viewer::Owner
        } else {
            Viewer::Stranger
        }
    }
}

impl Auth {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            api_token: digest(&settings.api_token),
            cookie_name: format!("datt-session-{}", settings.listen.port()),
            once: Mutex::default(),
            sessions: Mutex::default(),
        }
    }

    /// A fresh one-time sign-in token; the oldest unused one is forgotten when there are too many.
    pub fn new_once(&self) -> String {
        self.new_once_at(Instant::now())
    }

    fn new_once_at(&self, now: Instant) -> String {
        let token = random_token();
        let mut once = self.once.lock().unwrap_or_else(PoisonError::into_inner);
        once.retain(|_, since| now.duration_since(*since) < ONCE_LIFETIME);
        evict_oldest(&mut once, MAX_ONCE, |since| *since);
        once.insert(*digest(&token).as_bytes(), now);
        token
    }

    /// Turns an unused sign-in token into a session; gives the `Set-Cookie` value.
    pub fn sign_in(&self, once: &str, secure: bool) -> Option<String> {
        self.sign_in_at(once, secure, Instant::now())
    }

    fn sign_in_at(&self, once: &str, secure: bool, now: Instant) -> Option<String> {
        let since = self
            .once
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(digest(once).as_bytes())?;
        if now.duration_since(since) >= ONCE_LIFETIME {
            return None;
        }
        let id = random_token();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, record| now.duration_since(record.since) < SESSION_LIFETIME);
        evict_oldest(&mut sessions, MAX_SESSIONS, |record| record.since);
        sessions.insert(
            *digest(&id).as_bytes(),
            Record {
                csrf: random_token(),
                since: now,
            },
        );
        Some(self.cookie(&id, SESSION_LIFETIME, secure))
    }

    /// Ends a session; gives the `Set-Cookie` value that removes the cookie.
    pub fn sign_out(&self, session: &Session, secure: bool) -> String {
        self.sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&session.key);
        self.cookie("", Duration::ZERO, secure)
    }

    /// The live session that the request's cookie names.
    pub fn session(&self, headers: &HeaderMap) -> Option<Session> {
        self.session_at(headers, Instant::now())
    }

    fn session_at(&self, headers: &HeaderMap, now: Instant) -> Option<Session> {
        let id = self.cookie_value(headers)?;
        let key = *digest(id).as_bytes();
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let record = sessions.get(&key)?;
        (now.duration_since(record.since) < SESSION_LIFETIME).then(|| Session {
            key,
            csrf: record.csrf.clone(),
        })
    }

    /// Whether the request carries the API's bearer token: `None` without any, else right or wrong.
    pub fn bearer(&self, headers: &HeaderMap) -> Option<bool> {
        let value = headers.get(header::AUTHORIZATION)?;
        let token = value.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        Some(token.is_some_and(|token| digest(token) == self.api_token))
    }

    fn cookie(&self, value: &str, max_age: Duration, secure: bool) -> String {
        format!(
            "{}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{}",
            self.cookie_name,
            max_age.as_secs(),
            if secure { "; Secure" } else { "" }
        )
    }

    fn cookie_value<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(name, value)| (name == self.cookie_name).then_some(value))
    }
}

/// Comparing two digests takes the same time wherever they differ.
fn digest(secret: &str) -> blake3::Hash {
    blake3::hash(secret.as_bytes())
}

/// 32 random bytes as hex.
fn random_token() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    data_encoding::HEXLOWER.encode(&bytes)
}

fn evict_oldest<V>(map: &mut BTreeMap<[u8; 32], V>, max: usize, age: impl Fn(&V) -> Instant) {
    while map.len() >= max {
        let Some(oldest) = map
            .iter()
            .min_by_key(|(_, value)| age(value))
            .map(|(key, _)| *key)
        else {
            return;
        };
        map.remove(&oldest);
    }
}

impl FromRequestParts<Gate> for MaybeSession {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Self::Rejection> {
        Ok(Self(gate.auth().session(&parts.headers)))
    }
}

impl FromRequestParts<Gate> for Session {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Failure> {
        gate.auth().session(&parts.headers).ok_or_else(|| {
            NodeError::Unauthorized(
                "only the owner of this node can do this; run `datt signin` on its machine and open the URL it prints"
                    .to_owned(),
            )
            .into()
        })
    }
}

/// A form (`application/x-www-form-urlencoded`) of a signed-in browser whose CSRF token was right.
#[derive(Clone, Debug)]
pub struct CsrfForm<T> {
    /// Whose form it is.
    pub session: Session,
    /// Its fields.
    pub fields: T,
}

#[derive(Deserialize)]
struct CsrfField {
    #[serde(default)]
    csrf: String,
}

impl<T: DeserializeOwned + 'static> FromRequest<Gate> for CsrfForm<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, gate: &Gate) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let session = Session::from_request_parts(&mut parts, gate).await?;
        let header = parts
            .headers
            .get("x-csrf-token")
            .and_then(|value| value.to_str().ok());
        let header = header.map(str::to_owned);
        let content_type = parts.headers.get(header::CONTENT_TYPE).cloned();
        let bytes = axum::body::Bytes::from_request(Request::from_parts(parts, body), gate)
            .await
            .map_err(|rejection| Failure::rejected(rejection.status(), &rejection.body_text()))?;
        let again = || {
            let mut copy = Request::new(axum::body::Body::from(bytes.clone()));
            *copy.method_mut() = http::Method::POST;
            if let Some(content_type) = &content_type {
                copy.headers_mut()
                    .insert(header::CONTENT_TYPE, content_type.clone());
            }
            copy
        };
        let token = match header {
            Some(token) => token,
            None => parse_form::<CsrfField>(again()).await?.csrf,
        };
        session.check_csrf(&token)?;
        Ok(Self {
            session,
            fields: parse_form(again()).await?,
        })
    }
}

async fn parse_form<T: DeserializeOwned>(request: Request) -> Result<T, Failure> {
    match axum::Form::<T>::from_request(request, &()).await {
        Ok(axum::Form(fields)) => Ok(fields),
        Err(rejection) => Err(Failure::rejected(
            rejection.status(),
            &rejection.body_text(),
        )),
    }
}
