//! Where someone listens.

use std::{fmt, str::FromStr};

use core::net::Ipv6Addr;
use thiserror::Error;

/// A host and a port: a node of the DHT (BEP 5), a peer in a magnet link (BEP 9). Text is
/// `host:port`, with brackets around an IPv6 address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    host: String,
    port: u16,
}

/// Why a text is no host and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a host and a port, such as 192.0.2.1:6881, [2001:db8::1]:6881 or name.example:6881")]
pub struct AddressFault;

impl HostPort {
    /// The longest host, bytes (RFC 1035: a name).
    pub const MAX_HOST_BYTES: usize = 253;

    /// Of a name, an IPv4 or an IPv6 address, without brackets, and a port.
    ///
    /// # Errors
    /// When the host is none of these, or the port is 0.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressFault> {
        let name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let fits = (1..=Self::MAX_HOST_BYTES).contains(&host.len());
        let known = host.bytes().all(name_byte) || host.parse::<Ipv6Addr>().is_ok();
        if port == 0 || !fits || !known {
            return Err(AddressFault);
        }
        let host = host.to_owned();
        Ok(Self { host, port })
    }

    /// A name or an address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, not 0.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for HostPort {
    type Err = AddressFault;

    fn from_str(text: &str) -> Result<Self, AddressFault> {
        let (host, port) = text.rsplit_once(':').ok_or(AddressFault)?;
        let inner = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if host.contains(':') != inner.is_some() {
            return Err(AddressFault);
        }
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        match port.parse() {
            Ok(port) if digits => Self::new(inner.unwrap_or(host), port),
            _ => Err(AddressFault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, host, port) in [
            ("192.0.2.1:6881", "192.0.2.1", 6881),
            ("[2001:db8::1]:1", "2001:db8::1", 1),
            ("router.example:65535", "router.example", 65535),
        ] {
            let address: HostPort = text.parse().unwrap();
            assert_eq!((address.host(), address.port()), (host, port));
            assert_eq!(address.to_string(), text);
        }
        for bad in [
            "",
            ":",
            ":1",
            "a",
            "a:",
            "a:0",
            "a:65536",
            "a:-1",
            "a:+1",
            "a b:1",
            "a/b:1",
            "a@b:1",
            "2001:db8::1:1",
            "[2001:db8::1]",
            "[2001:db8::1:1",
            "[::g]:1",
            "[]:1",
            "[name]:1",
            "é.example:1",
        ] {
            assert_eq!(bad.parse::<HostPort>(), Err(AddressFault), "{bad}");
        }
        assert_eq!(HostPort::new(&"a".repeat(254), 1), Err(AddressFault));
    }
}
