//! How the world sees the gateway: names it answers to, proxies it believes, limits it keeps.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use http::Uri;

/// What the gateway must know before it answers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address that the accept loop listens on, with its real port.
    pub listen: SocketAddr,
    /// The port speaks TLS, and plain HTTP with this machine.
    pub is_tls: bool,
    /// URL under which the world reaches this gateway, without a path.
    pub public_url: Option<String>,
    /// Further `host[:port]` names to answer to.
    pub hosts: Vec<String>,
    /// Besides `localhost`, `host[:port]` names below which every IPFS root has an origin of its
    /// own, `{cid}.ipfs.{host}`. The gateway answers to them too.
    pub subdomain_hosts: Vec<String>,
    /// Proxies whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// The API's bearer token.
    pub api_token: String,
    /// Largest upload in bytes; the node's quota applies besides.
    pub max_upload_bytes: u64,
    /// Bounds on what clients may do at once.
    pub limits: Limits,
}

/// Bounds on what clients may do at once, all counted over the whole gateway unless said.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests being answered.
    pub requests: usize,
    /// Blob bodies being sent.
    pub blob_streams: usize,
    /// Subscribers of the event stream.
    pub event_streams: usize,
    /// Uploads being received.
    pub uploads: usize,
    /// Writes that one client prefix may do in a burst.
    pub write_burst: u32,
    /// Writes a second that one client prefix may do for long.
    pub writes_per_second: u32,
    /// Time for an answer that isn't a stream.
    pub answer: Duration,
    /// Time to the first byte of a blob that isn't held.
    pub first_byte: Duration,
    /// Longest silence of a client that uploads.
    pub upload_idle: Duration,
    /// Time between keep-alive comments on event streams.
    pub keep_alive: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: 512,
            blob_streams: 512,
            event_streams: 256,
            uploads: 16,
            write_burst: 200,
            writes_per_second: 50,
            answer: Duration::from_secs(20),
            first_byte: Duration::from_secs(10),
            upload_idle: Duration::from_secs(30),
            keep_alive: Duration::from_secs(15),
        }
    }
}

impl Settings {
    /// Settings for a listen address and token, everything else as by default.
    pub fn new(listen: SocketAddr, api_token: impl Into<String>) -> Self {
        Self {
            listen,
            is_tls: false,
            public_url: None,
            hosts: Vec::new(),
            subdomain_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            api_token: api_token.into(),
            max_upload_bytes: 64 << 30,
            limits: Limits::default(),
        }
    }

    /// URL to show and to sign in at: the public one, else the listen address.
    pub fn base_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None if self.is_tls => format!("https://{}", self.listen_authority()),
            None => self.local_url(),
        }
    }

    /// URL for programs on this machine: the listen address over plain HTTP, whatever the port
    /// speaks with others.
    pub fn local_url(&self) -> String {
        format!("http://{}", self.listen_authority())
    }

    fn listen_authority(&self) -> String {
        if self.listen.ip().is_unspecified() {
            format!("127.0.0.1:{}", self.listen.port())
        } else {
            self.listen.to_string()
        }
    }

    /// Every `host[:port]` that this gateway answers to, in lower case.
    pub fn allowed_hosts(&self) -> BTreeSet<String> {
        self.named_hosts()
            .into_iter()
            .map(|(_, host)| host)
            .collect()
    }

    /// Every origin whose pages may write.
    pub fn allowed_origins(&self) -> BTreeSet<String> {
        self.named_hosts()
            .into_iter()
            .map(|(scheme, host)| format!("{scheme}://{host}"))
            .collect()
    }

    /// Every `host[:port]`, in lower case, that has an origin for each IPFS root.
    pub fn subdomain_parents(&self) -> BTreeSet<String> {
        let local = self.allowed_hosts().into_iter().filter(|host| {
            let name = host.split(':').next();
            name == Some("localhost")
        });
        let named = self.subdomain_hosts.iter();
        named
            .map(|host| host.to_ascii_lowercase())
            .chain(local)
            .collect()
    }

    fn named_hosts(&self) -> Vec<(String, String)> {
        let port = self.listen.port();
        let mut named = Vec::new();
        let mut local = vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "[::1]".to_owned(),
        ];
        if !self.listen.ip().is_unspecified() {
            local.push(match self.listen.ip() {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            });
        }
        for host in local {
            if port == 80 {
                named.push(("http".to_owned(), host.clone()));
            }
            named.push(("http".to_owned(), format!("{host}:{port}")));
            if self.is_tls {
                if port == 443 {
                    named.push(("https".to_owned(), host.clone()));
                }
                named.push(("https".to_owned(), format!("{host}:{port}")));
            }
        }
        for host in self.hosts.iter().chain(&self.subdomain_hosts) {
            for scheme in ["http", "https"] {
                named.push((scheme.to_owned(), host.to_ascii_lowercase()));
            }
        }
        if let Some(uri) = self
            .public_url
            .as_deref()
            .and_then(|url| Uri::from_str(url).ok())
            && let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority())
        {
            named.push((scheme.to_owned(), authority.as_str().to_ascii_lowercase()));
        }
        named
    }
}

/// An address prefix, `192.0.2.0/24`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

/// Text that is no [`Network`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no address or address/prefix, as in 127.0.0.1 or 10.0.0.0/8")]
pub struct NetworkSyntax(String);

impl Network {
    /// True if the address lies within.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (mine, theirs, width) = match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (u128::from(a.to_bits()), u128::from(b.to_bits()), 32)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        let shift = width - u32::from(self.prefix_bits);
        mine.checked_shr(shift).unwrap_or(0) == theirs.checked_shr(shift).unwrap_or(0)
    }
}

impl FromStr for Network {
    type Err = NetworkSyntax;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || NetworkSyntax(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().map_err(|_| refuse())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            Some(bits) => bits.parse::<u8>().map_err(|_| refuse())?,
            None => width,
        };
        if prefix_bits > width {
            return Err(refuse());
        }
        Ok(Self {
            address,
            prefix_bits,
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}
