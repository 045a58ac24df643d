//! Addresses of gateways, and of where they lead.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use tokio::net::lookup_host;

use super::link::{Link, bare, is_localhost, is_private};

/// A name has no address that may be asked.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("a gateway leads to {0}, whose addresses are all in this house")]
struct LedHome(String);

/// Looks names up for requests to one gateway. Whoever named it may have meant a machine in this
/// house; the names that it leads to have no addresses there, unless it is there itself.
#[derive(Debug)]
pub(super) struct Names {
    own: Option<String>,
    is_near: Arc<AtomicBool>,
}

impl Names {
    /// For requests to this gateway.
    pub(super) fn of(link: &Link) -> Self {
        Self {
            own: link.host_name().map(bare),
            is_near: Arc::new(AtomicBool::new(link.is_near())),
        }
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let host = bare(name.as_str());
        let is_own = self.own.as_deref() == Some(host.as_str());
        let is_near = Arc::clone(&self.is_near);
        Box::pin(async move {
            let found = look_up(&host).await?;
            let kept = kept(&host, found, is_own, &is_near)?;
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

async fn look_up(host: &str) -> io::Result<Vec<SocketAddr>> {
    // Who may lead there is asked of each URL.
    if is_localhost(host) {
        let here: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return Ok(here.map(|address| (address, 0).into()).to_vec());
    }
    Ok(lookup_host((host, 0)).await?.collect())
}

/// The addresses that may be asked; those of the gateway's own name tell whether it is near.
fn kept(
    host: &str,
    mut found: Vec<SocketAddr>,
    is_own: bool,
    is_near: &AtomicBool,
) -> Result<Vec<SocketAddr>, LedHome> {
    if is_own {
        if !found.is_empty() && found.iter().all(|at| is_private(at.ip())) {
            is_near.store(true, Ordering::Relaxed);
        }
        return Ok(found);
    }
    if !is_near.load(Ordering::Relaxed) {
        let had_any = !found.is_empty();
        found.retain(|at| !is_private(at.ip()));
        if had_any && found.is_empty() {
            return Err(LedHome(host.to_owned()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(addresses: &[&str]) -> Vec<SocketAddr> {
        let parsed = addresses.iter();
        parsed
            .map(|address| (address.parse::<IpAddr>().unwrap(), 0).into())
            .collect()
    }

    #[test]
    fn names_that_a_gateway_leads_to_have_no_addresses_in_this_house() {
        for (gateway, own, other, left) in [
            (
                "https://a.example",
                &["9.9.9.9"][..],
                &["10.0.0.1"][..],
                None,
            ),
            (
                "https://a.example",
                &["9.9.9.9"],
                &["127.0.0.1", "::1"],
                None,
            ),
            (
                "https://a.example",
                &["9.9.9.9", "10.0.0.2"],
                &["10.0.0.1", "8.8.8.8"],
                Some(&["8.8.8.8"][..]),
            ),
            (
                "http://nas.example",
                &["10.0.0.2"],
                &["10.0.0.1"],
                Some(&["10.0.0.1"]),
            ),
            (
                "http://192.168.1.1",
                &[],
                &["10.0.0.1"],
                Some(&["10.0.0.1"]),
            ),
            (
                "http://127.0.0.1:1",
                &[],
                &["127.0.0.1"],
                Some(&["127.0.0.1"]),
            ),
            ("https://9.9.9.9", &[], &["10.0.0.1"], None),
        ] {
            let names = Names::of(&Link::parse(gateway, false).unwrap());
            if let Some(host) = &names.own {
                let all = kept(host, at(own), true, &names.is_near).unwrap();
                assert_eq!(all, at(own), "{gateway}: its own");
            }
            let found = kept("other.example", at(other), false, &names.is_near);
            assert_eq!(found.ok(), left.map(at), "{gateway} {other:?}");
        }
    }

    #[tokio::test]
    async fn names_below_localhost_are_this_machine() {
        for (gateway, may) in [("http://localhost:1", true), ("https://a.example", false)] {
            let names = Names::of(&Link::parse(gateway, false).unwrap());
            let found = names.resolve("x.LOCALHOST.".parse().unwrap()).await;
            let found: Option<Vec<SocketAddr>> = found.ok().map(Iterator::collect);
            assert_eq!(found, may.then(|| at(&["127.0.0.1", "::1"])), "{gateway}");
        }
    }
}
