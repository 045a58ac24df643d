//! Somebody looks at a page: who it is, and the frame of the page.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use model::{EntryId, IdentityId, SpaceId};
use views::{
    data::Author,
    frame::{self, Frame, NodeChip, Theme},
};

use super::{assets, flash};
use crate::{
    api::types::PageQuery,
    auth::{MaybeSession, Session},
    failure::Failure,
    gate::Gate,
    node::{Node, NodeError, Viewer},
};

/// How long name and peers in the navigation may be old.
const KNOWN_LIFETIME: Duration = Duration::from_secs(2);
/// Longest path that a form may lead back to.
const MAX_BACK_BYTES: usize = 2048;

/// What the navigation shows of the owner and the node, kept for a moment.
#[derive(Default)]
pub(super) struct Known {
    kept: Mutex<Option<(Instant, Author, NodeChip)>>,
}

impl Known {
    /// The owner's name and the node's state, at most [`KNOWN_LIFETIME`] old.
    async fn get(&self, node: &dyn Node) -> (Author, NodeChip) {
        if let Some((since, author, chip)) =
            &*self.kept.lock().unwrap_or_else(PoisonError::into_inner)
            && since.elapsed() < KNOWN_LIFETIME
        {
            return (author.clone(), *chip);
        }
        let (author, chip) = ask(node).await;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), author.clone(), chip));
        (author, chip)
    }

    /// Forgets it: the owner changed their profile.
    pub(super) fn forget(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A navigation without a name is better than no page, so failures leave it empty.
async fn ask(node: &dyn Node) -> (Author, NodeChip) {
    let Ok(status) = node.status(Viewer::Owner).await else {
        return (
            Author {
                identity: String::new(),
                name: None,
                avatar: None,
            },
            NodeChip::default(),
        );
    };
    let peers = status.connected;
    let chain = node.chain_status(Viewer::Owner).await;
    let chip = NodeChip {
        peers,
        offline: status.offline,
        pays: chain.is_ok_and(|chain| chain.pays()),
    };
    let nobody = Author {
        identity: status.identity.clone(),
        name: None,
        avatar: None,
    };
    let Ok(identity) = status.identity.parse::<IdentityId>() else {
        return (nobody, chip);
    };
    let page = PageQuery {
        after: None,
        limit: Some(1),
    };
    let author = match node.profile(Viewer::Owner, identity, page).await {
        Ok(profile) => profile.author,
        Err(_) => nobody,
    };
    (author, chip)
}

/// A request for a page.
pub(super) struct Visit {
    /// The node and all that belongs to it.
    pub gate: Gate,
    /// The session, if signed in.
    pub session: Option<Session>,
    /// For whom to read.
    pub viewer: Viewer,
    /// Frame of the page.
    pub frame: Frame,
    /// Length of the request's body, if it was announced.
    pub body_bytes: Option<u64>,
}

impl Visit {
    /// The node.
    pub fn node(&self) -> &dyn Node {
        self.gate.node()
    }

    /// Whether an upload of the announced length may come at all: asked before its body is read.
    pub async fn room(&self) -> Result<(), Failure> {
        let Some(size_bytes) = self.body_bytes else {
            return Ok(());
        };
        let limit_bytes = self.gate.settings().max_upload_bytes;
        if size_bytes > limit_bytes {
            let what = "the upload".to_owned();
            return Err(NodeError::TooLarge {
                what,
                size_bytes,
                limit_bytes,
            }
            .into());
        }
        let status = self.node().status(self.viewer).await?;
        let (used_bytes, max_bytes) = (status.used_bytes, status.max_bytes);
        if used_bytes.saturating_add(size_bytes) > max_bytes {
            return Err(NodeError::QuotaExceeded {
                needed_bytes: size_bytes,
                used_bytes,
                max_bytes,
            }
            .into());
        }
        Ok(())
    }

    /// Refuses strangers.
    pub fn owner(&self) -> Result<&Session, Failure> {
        self.session.as_ref().ok_or_else(|| {
            NodeError::Unauthorized(
                "only the owner of this node can do this; run `datt signin` on its machine and open the URL it prints"
                    .to_owned(),
            )
            .into()
        })
    }
}

impl FromRequestParts<Gate> for Visit {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Failure> {
        let session = gate.auth().session(&parts.headers);
        let viewer = MaybeSession(session.clone()).viewer();
        let mut frame = plain_frame(&parts.headers);
        frame.base = gate.settings().base_url();
        frame.path = parts
            .uri
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned();
        if let Some(session) = &session {
            let (author, chip) = match parts.extensions.get::<Arc<Known>>() {
                Some(known) => known.get(gate.node()).await,
                None => ask(gate.node()).await,
            };
            frame.viewer = Some(frame::Viewer {
                author,
                csrf: session.csrf().to_owned(),
            });
            frame.chip = Some(chip);
        }
        let length = parts.headers.get(header::CONTENT_LENGTH);
        let body_bytes = length.and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Self {
            gate: gate.clone(),
            session,
            viewer,
            frame,
            body_bytes,
        })
    }
}

/// A frame with what the request itself says: colours, messages, the time.
pub(super) fn plain_frame(headers: &HeaderMap) -> Frame {
    Frame {
        theme: flash::cookie(headers, "theme")
            .map(Theme::from_cookie)
            .unwrap_or_default(),
        notices: flash::take(headers),
        now_ms: now_ms(),
        assets: assets::VERSION.clone(),
        ..Frame::default()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "ages on pages are by the server's clock"
)]
fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Whether the client is a script that wants JSON.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("application/json"))
}

/// A path of this gateway to lead back to; anything else leads to `otherwise`.
pub(super) fn safe_back<'a>(back: &'a str, otherwise: &'a str) -> &'a str {
    let local = back.starts_with('/') && !back.starts_with("//") && !back.starts_with("/\\");
    let plain = back
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if local && plain && back.len() <= MAX_BACK_BYTES {
        back
    } else {
        otherwise
    }
}

/// Reads an entry's CID from an address or a form.
pub(super) fn entry_id(text: &str) -> Result<EntryId, Failure> {
    text.parse()
        .map_err(|error| unreadable("an entry's id", text, &error))
}

/// Reads a space's id from an address or a form.
pub(super) fn space_id(text: &str) -> Result<SpaceId, Failure> {
    text.parse()
        .map_err(|error| unreadable("a board's id", text, &error))
}

/// Reads an identity from an address or a form.
pub(super) fn identity_id(text: &str) -> Result<IdentityId, Failure> {
    text.parse()
        .map_err(|error| unreadable("an identity", text, &error))
}

fn unreadable(what: &str, text: &str, error: &dyn std::fmt::Display) -> Failure {
    let shown: String = text.chars().take(80).collect();
    Failure::invalid(format!(
        "`{shown}` is not {what} ({error}); check that the whole address was copied"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_lead_back_to_this_gateway_only() {
        for good in ["/", "/t/bafy?after=3#x", "/settings"] {
            assert_eq!(safe_back(good, "/otherwise"), good);
        }
        for bad in [
            "",
            "//evil.example",
            "/\\evil",
            "https://evil",
            "/a\r\nSet-Cookie: x",
            "/a b",
            "javascript:x",
        ] {
            assert_eq!(safe_back(bad, "/otherwise"), "/otherwise", "{bad:?}");
        }
    }
}
