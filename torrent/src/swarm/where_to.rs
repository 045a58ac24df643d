//! Where peers and trackers may be asked for: on this machine only, or anywhere.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{net::lookup_host, time::timeout};
use url::{Host, Url};

use crate::HostPort;

/// The most peers that a link or a request names.
const MAX_PEERS: usize = 256;
/// Names that take longer to look up are passed over.
const LOOK_UP: Duration = Duration::from_secs(5);

/// How far may be spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// To this machine. No name is looked up.
    Local,
    /// To all.
    Everywhere,
}

impl Reach {
    /// Of a session that listens there.
    pub(super) fn of(listen: SocketAddr) -> Self {
        if listen.ip().is_loopback() {
            Self::Local
        } else {
            Self::Everywhere
        }
    }

    /// Whether this address may be spoken to.
    pub(super) fn has(self, ip: IpAddr) -> bool {
        self == Self::Everywhere || ip.is_loopback()
    }

    /// Addresses of peers: those given, and those that hosts have.
    pub(super) async fn peers(self, given: &[SocketAddr], hosts: &[HostPort]) -> Vec<SocketAddr> {
        let mut peers: BTreeSet<SocketAddr> = given.iter().take(MAX_PEERS).copied().collect();
        for host in hosts.iter().take(MAX_PEERS) {
            if let Ok(ip) = host.host().parse::<IpAddr>() {
                peers.insert((ip, host.port()).into());
            } else if self == Self::Everywhere {
                let found = timeout(LOOK_UP, lookup_host((host.host(), host.port()))).await;
                peers.extend(found.into_iter().flatten().flatten());
            }
        }
        peers.retain(|peer| self.has(peer.ip()));
        peers.into_iter().take(MAX_PEERS).collect()
    }

    /// Those URLs of trackers that can be asked, and may.
    pub(super) fn trackers(self, urls: impl IntoIterator<Item = String>) -> Vec<String> {
        let urls = urls.into_iter().filter(|url| {
            let Ok(url) = Url::parse(url) else {
                return false;
            };
            let is_known = matches!(url.scheme(), "http" | "https" | "udp");
            let is_near = match url.host() {
                Some(Host::Ipv4(ip)) => ip.is_loopback(),
                Some(Host::Ipv6(ip)) => ip.is_loopback(),
                // a UDP tracker's host is not parsed further
                Some(Host::Domain(name)) => {
                    let name = name.trim_matches(['[', ']']);
                    name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
                }
                None => false,
            };
            is_known && url.has_host() && (is_near || self == Self::Everywhere)
        });
        let mut seen = BTreeSet::new();
        urls.filter(|url| seen.insert(url.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trackers_are_asked_where_it_is_allowed() {
        let urls = [
            "http://127.0.0.1:1/announce",
            "udp://127.0.0.1:1",
            "udp://[::1]:1",
            "http://[::1]:1/announce",
            "https://tracker.example/announce",
            "udp://tracker.example:1",
            "http://192.0.2.1/announce",
            "http://127.0.0.1:1/announce",
            "wss://127.0.0.1:1",
            "127.0.0.1:1",
            "",
        ];
        let urls = || urls.iter().map(|url| (*url).to_owned());
        assert_eq!(Reach::Local.trackers(urls()).len(), 4);
        assert_eq!(Reach::Everywhere.trackers(urls()).len(), 7);
    }

    #[tokio::test]
    async fn peers_are_asked_where_it_is_allowed() {
        let hosts = ["127.0.0.1:2", "[::1]:3", "192.0.2.1:4", "localhost:5"];
        let hosts: Vec<HostPort> = hosts.iter().map(|host| host.parse().unwrap()).collect();
        let given = [
            "192.0.2.2:1".parse().unwrap(),
            "127.0.0.1:2".parse().unwrap(),
        ];
        let peers = Reach::Local.peers(&given, &hosts).await;
        assert_eq!(
            peers,
            ["127.0.0.1:2".parse().unwrap(), "[::1]:3".parse().unwrap()]
        );
    }
}
