//! Who lied in a pull: their places are given away, and they get no other.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use crate::fetch::source::{SourceKind, SourceLabel};

/// Liars remembered of one pull.
const LIARS: usize = 256;

/// Who lied, the latest last.
#[derive(Default)]
pub(super) struct Liars(VecDeque<SourceLabel>);

impl Liars {
    pub(super) fn add(&mut self, label: &SourceLabel) {
        let name = person(label);
        if !self.0.contains(&name) {
            if self.0.len() >= LIARS {
                self.0.pop_front();
            }
            self.0.push_back(name);
        }
    }

    pub(super) fn has(&self, label: &SourceLabel) -> bool {
        !self.0.is_empty() && self.0.contains(&person(label))
    }
}

/// Who is behind a source: of a swarm's peer the host without its port, which costs nothing to
/// change; of an IPv6 host the network, for the same reason.
fn person(label: &SourceLabel) -> SourceLabel {
    let host = match (label.kind, label.name.parse::<SocketAddr>()) {
        // On this machine, ports are all that tells programs apart.
        (SourceKind::Swarm, Ok(addr)) if !addr.ip().is_loopback() => addr.ip().to_canonical(),
        _ => return label.clone(),
    };
    let name = match host {
        IpAddr::V4(host) => host.to_string(),
        IpAddr::V6(host) => Ipv6Addr::from_bits(host.to_bits() >> 64 << 64).to_string(),
    };
    SourceLabel {
        kind: label.kind,
        name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swarm(name: &str) -> SourceLabel {
        SourceLabel {
            kind: SourceKind::Swarm,
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_liar_is_known_again_at_another_port_and_an_ipv6_network_counts_as_one() {
        let mut liars = Liars::default();
        for (liar, again, other) in [
            ("192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1"),
            (
                "[2001:db8::1]:1",
                "[2001:db8::ff:2]:1",
                "[2001:db8:0:1::1]:1",
            ),
            ("127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:2"),
        ] {
            assert!(!liars.has(&swarm(liar)), "{liar}");
            liars.add(&swarm(liar));
            assert!(liars.has(&swarm(again)), "{again}");
            assert!(!liars.has(&swarm(other)), "{other}");
        }
        for at in 0..2 * LIARS {
            liars.add(&swarm(&format!("127.0.0.1:{at}")));
        }
        assert_eq!(liars.0.len(), LIARS);
    }
}
