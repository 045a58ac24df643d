//! The one iroh endpoint: where it binds, whom it finds, how others reach it.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    sync::Arc,
};

use iroh::{
    Endpoint, EndpointAddr, EndpointId, RelayConfig, RelayMap, RelayMode, RelayUrl,
    address_lookup::memory::MemoryLookup,
    endpoint::{Builder, NetReportConfig, presets},
};
use iroh_mdns_address_lookup::MdnsAddressLookup;
use model::{EndpointKey, RelayHint, SecretKey, Ticket, limits};
use thiserror::Error;

use crate::{
    data_folder::{DataFolder, FolderError},
    follows::KnownPeer,
};

/// Last UDP port, so that peers find the node again where they met it.
const PORT_FILE: &str = "udp-port.json";
/// Service name on the LAN; datt's own, so that other programs' endpoints aren't met.
const MDNS_SERVICE: &str = "datt";

/// Why there is no endpoint.
#[derive(Debug, Error)]
pub enum EndpointError {
    /// No UDP socket.
    #[error("cannot open the UDP socket of the node: {0}")]
    Bind(String),
    /// No mDNS.
    #[error(
        "cannot announce the node on the local network: {0}; set network.mdns = false to go on without"
    )]
    Mdns(String),
    /// The port file can't be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// What the endpoint needs to know.
#[derive(Debug)]
pub struct Wishes {
    /// Loopback only: nothing leaves the machine.
    pub offline: bool,
    /// UDP port; 0 takes the one used last, or any.
    pub udp_port: u16,
    /// Find peers on the local network.
    pub mdns: bool,
    /// The embedded relay under the name by which the world reaches it.
    pub own_relay: Option<RelayHint>,
}

/// The endpoint and what finds addresses for it.
#[derive(Clone, Debug)]
pub struct Network {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Addresses from tickets, and those remembered.
    pub addresses: MemoryLookup,
    /// Peers on the local network.
    pub mdns: Option<MdnsAddressLookup>,
    own_relay: Option<RelayHint>,
    offline: bool,
}

impl Network {
    /// Binds the endpoint.
    ///
    /// # Errors
    /// When there is no socket or no mDNS to be had.
    pub async fn bind(
        folder: &DataFolder,
        secret: &SecretKey,
        wishes: Wishes,
    ) -> Result<Self, EndpointError> {
        let addresses = MemoryLookup::new();
        let port = match wishes.udp_port {
            0 => folder.read_json(PORT_FILE)?.unwrap_or(0),
            port => port,
        };
        let endpoint = match builder(secret, &wishes, &addresses, port)?.bind().await {
            Ok(endpoint) => endpoint,
            Err(error) if port == wishes.udp_port => {
                return Err(EndpointError::Bind(error.to_string()));
            }
            Err(error) => {
                tracing::info!(port, %error, "the last UDP port is taken");
                let any = builder(secret, &wishes, &addresses, 0)?.bind().await;
                any.map_err(|error| EndpointError::Bind(error.to_string()))?
            }
        };
        if let Some(socket) = endpoint
            .bound_sockets()
            .iter()
            .find(|socket| socket.is_ipv4())
        {
            folder.write_json(PORT_FILE, &socket.port())?;
        }
        let mdns = if wishes.mdns && !wishes.offline {
            Some(mdns(&endpoint)?)
        } else {
            None
        };
        Ok(Self {
            endpoint,
            addresses,
            mdns,
            own_relay: wishes.own_relay,
            offline: wishes.offline,
        })
    }

    /// This node's endpoint id.
    pub fn id(&self) -> EndpointKey {
        EndpointKey::from_bytes(*self.endpoint.id().as_bytes())
    }

    /// A ticket that leads here.
    pub fn ticket(&self) -> Ticket {
        let addr = self.endpoint.addr();
        let mut addresses: Vec<SocketAddr> = addr.ip_addrs().copied().collect();
        if addresses.is_empty() {
            addresses = self.endpoint.bound_sockets();
        }
        addresses.truncate(limits::TICKET_ADDRESSES);
        Ticket {
            endpoint: self.id(),
            addresses,
            relays: self.own_relay.clone().into_iter().collect(),
            space: None,
            root: None,
        }
    }

    /// Learns where a peer is; what can't be used is left out.
    pub async fn learn(&self, key: &EndpointKey, peer: &KnownPeer) -> Option<EndpointAddr> {
        let id = EndpointId::from_bytes(key.as_bytes()).ok()?;
        let mut addr = EndpointAddr::new(id);
        for address in &peer.addresses {
            if !self.offline || address.ip().is_loopback() {
                addr = addr.with_ip_addr(*address);
            }
        }
        for relay in &peer.relays {
            let Ok(url) = relay.url.parse::<RelayUrl>() else {
                continue;
            };
            if self.offline {
                continue;
            }
            let mut config = RelayConfig::new(url.clone(), None);
            if let Some(token) = &relay.token {
                config = config.with_auth_token(token);
            }
            self.endpoint
                .insert_relay(url.clone(), Arc::new(config))
                .await;
            addr = addr.with_relay_url(url);
        }
        self.addresses.add_endpoint_info(addr.clone());
        Some(addr)
    }
}

fn builder(
    secret: &SecretKey,
    wishes: &Wishes,
    addresses: &MemoryLookup,
    port: u16,
) -> Result<Builder, EndpointError> {
    let key = iroh::SecretKey::from_bytes(&secret.to_bytes());
    let (v4, v6) = if wishes.offline {
        (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST)
    } else {
        (Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED)
    };
    let mut builder = Endpoint::builder(presets::Minimal)
        .secret_key(key)
        .address_lookup(addresses.clone())
        .clear_ip_transports()
        .bind_addr(SocketAddrV4::new(v4, port))
        .map_err(|error| EndpointError::Bind(error.to_string()))?;
    if has_ipv6(v6) {
        builder = builder
            .bind_addr(SocketAddrV6::new(v6, port, 0, 0))
            .map_err(|error| EndpointError::Bind(error.to_string()))?;
    }
    let relay = wishes.own_relay.as_ref().filter(|_| !wishes.offline);
    Ok(
        match relay.and_then(|hint| Some((hint, hint.url.parse::<RelayUrl>().ok()?))) {
            Some((hint, url)) => {
                let mut config = RelayConfig::new(url.clone(), None);
                if let Some(token) = &hint.token {
                    config = config.with_auth_token(token);
                }
                let map = RelayMap::empty();
                map.insert(url, Arc::new(config));
                let mut report = NetReportConfig::default();
                report.captive_portal_check = false;
                builder
                    .relay_mode(RelayMode::Custom(map))
                    .net_report_config(report)
            }
            None => {
                let mode = if wishes.offline {
                    RelayMode::Disabled
                } else {
                    // Relays of tickets are added as they are learnt.
                    RelayMode::Custom(RelayMap::empty())
                };
                builder
                    .relay_mode(mode)
                    .net_report_config(NetReportConfig::minimal())
            }
        },
    )
}

/// Machines and namespaces without IPv6 are common; the endpoint does without it there.
fn has_ipv6(address: Ipv6Addr) -> bool {
    std::net::UdpSocket::bind(SocketAddrV6::new(address, 0, 0, 0)).is_ok()
}

fn mdns(endpoint: &Endpoint) -> Result<MdnsAddressLookup, EndpointError> {
    let mdns = MdnsAddressLookup::builder()
        .service_name(MDNS_SERVICE)
        .build(endpoint.id())
        .map_err(|error| EndpointError::Mdns(error.to_string()))?;
    endpoint
        .address_lookup()
        .map_err(|error| EndpointError::Mdns(error.to_string()))?
        .add(mdns.clone());
    Ok(mdns)
}
