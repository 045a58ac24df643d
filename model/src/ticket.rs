//! A ticket: how others reach a node, and what they find there.
//!
//! Text form: `datt`, then base32 (RFC 4648, lower case, no padding) of a version byte, postcard
//! of the fields, and the first 4 bytes of the BLAKE3 hash of all before it, against typing errors.

use std::{fmt, net::SocketAddr, str::FromStr};

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{EndpointKey, EntryId, SpaceId, limits};

const PREFIX: &str = "datt";
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// Why a text is not a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TicketError {
    /// Does not begin with `datt`.
    #[error("a ticket begins with `{PREFIX}`")]
    Prefix,
    /// Longer than the limit.
    #[error("a ticket has at most {max} characters", max = limits::TICKET_CHARS)]
    TooLong,
    /// Characters lost or changed.
    #[error("the ticket is damaged: copy it again in full")]
    Damaged,
    /// A later version.
    #[error("the ticket has version {0}, this program reads version {VERSION}")]
    Version(u8),
    /// Too many addresses or relays.
    #[error("the ticket names too many addresses or relays")]
    TooMany,
}

/// A relay that leads to the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayHint {
    /// `http://` or `https://` URL.
    pub url: String,
    /// What the relay asks of those who use it.
    pub token: Option<String>,
}

/// How others reach a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The node's endpoint.
    pub endpoint: EndpointKey,
    /// Direct addresses.
    pub addresses: Vec<SocketAddr>,
    /// Relays.
    pub relays: Vec<RelayHint>,
    /// Space to follow there.
    pub space: Option<SpaceId>,
    /// Thread to follow there; gossip topics derive from space and thread.
    pub root: Option<EntryId>,
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![VERSION];
        bytes.extend(postcard::to_stdvec(self).map_err(|_| fmt::Error)?);
        let checksum = *blake3::hash(&bytes).as_bytes();
        bytes.extend_from_slice(&checksum[..CHECKSUM_BYTES]);
        f.write_str(PREFIX)?;
        f.write_str(&BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let text = text.trim();
        let body = text.strip_prefix(PREFIX).ok_or(TicketError::Prefix)?;
        if text.len() > limits::TICKET_CHARS {
            return Err(TicketError::TooLong);
        }
        let bytes = BASE32_NOPAD
            .decode(body.to_ascii_uppercase().as_bytes())
            .map_err(|_| TicketError::Damaged)?;
        let (checked, checksum) = bytes
            .split_last_chunk::<CHECKSUM_BYTES>()
            .ok_or(TicketError::Damaged)?;
        if !blake3::hash(checked).as_bytes().starts_with(checksum) {
            return Err(TicketError::Damaged);
        }
        let (version, fields) = checked.split_first().ok_or(TicketError::Damaged)?;
        if *version != VERSION {
            return Err(TicketError::Version(*version));
        }
        let (ticket, rest) =
            postcard::take_from_bytes::<Self>(fields).map_err(|_| TicketError::Damaged)?;
        if !rest.is_empty() {
            return Err(TicketError::Damaged);
        }
        if ticket.addresses.len() > limits::TICKET_ADDRESSES
            || ticket.relays.len() > limits::TICKET_RELAYS
        {
            return Err(TicketError::TooMany);
        }
        Ok(ticket)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            endpoint: EndpointKey::from_bytes([9; 32]),
            addresses: vec![
                "127.0.0.1:4000".parse().unwrap(),
                "[::1]:4000".parse().unwrap(),
            ],
            relays: vec![RelayHint {
                url: "http://localhost:8420".to_owned(),
                token: Some("t".to_owned()),
            }],
            space: Some(SpaceId::of(b"space")),
            root: None,
        }
    }

    #[test]
    fn a_ticket_round_trips() {
        let text = ticket().to_string();
        assert_eq!(text.parse::<Ticket>().unwrap(), ticket());
        assert_eq!(format!(" {text}\n").parse::<Ticket>().unwrap(), ticket());
    }

    #[test]
    fn bad_tickets_say_why() {
        let text = ticket().to_string();
        assert_eq!("hello".parse::<Ticket>(), Err(TicketError::Prefix));
        assert_eq!(
            text[..text.len() - 1].parse::<Ticket>(),
            Err(TicketError::Damaged)
        );
        let swapped = text.replacen('a', "b", 3);
        assert_eq!(swapped.parse::<Ticket>().is_err(), swapped != text);
        let long = format!("datt{}", "a".repeat(limits::TICKET_CHARS));
        assert_eq!(long.parse::<Ticket>(), Err(TicketError::TooLong));
        let bytes = [2_u8];
        let mut later = bytes.to_vec();
        later.extend_from_slice(&blake3::hash(&bytes).as_bytes()[..CHECKSUM_BYTES]);
        let later = format!("datt{}", BASE32_NOPAD.encode(&later).to_ascii_lowercase());
        assert_eq!(later.parse::<Ticket>(), Err(TicketError::Version(2)));
    }
}
