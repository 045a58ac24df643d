//! What every route can reach: the node, the sessions, the settings, the limits, the metrics.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    auth::Auth,
    blob::known_types::KnownTypes,
    ipfs::{origin::split_host, subdomain::RootHost},
    metrics::Metrics,
    node::Node,
    rate::WriteRate,
    settings::Settings,
    slots::Slots,
};

/// The state of the router; clones share it.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<Inner>,
}

struct Inner {
    node: Arc<dyn Node>,
    auth: Auth,
    hosts: BTreeSet<String>,
    parents: BTreeSet<String>,
    origins: BTreeSet<String>,
    settings: Settings,
    slots: Slots,
    write_rate: WriteRate,
    known_types: KnownTypes,
    metrics: Metrics,
}

impl Gate {
    /// A gate before this node.
    pub fn new(node: Arc<dyn Node>, settings: Settings, metrics: Metrics) -> Self {
        let inner = Inner {
            node,
            auth: Auth::new(&settings),
            hosts: settings.allowed_hosts(),
            parents: settings.subdomain_parents(),
            origins: settings.allowed_origins(),
            slots: Slots::new(&settings.limits),
            write_rate: WriteRate::new(&settings.limits),
            known_types: KnownTypes::default(),
            settings,
            metrics,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The node.
    pub fn node(&self) -> &dyn Node {
        &*self.inner.node
    }

    /// The node, to be kept.
    pub fn shared_node(&self) -> Arc<dyn Node> {
        Arc::clone(&self.inner.node)
    }

    /// Token, one-time sign-ins and sessions.
    pub fn auth(&self) -> &Auth {
        &self.inner.auth
    }

    /// How the world sees the gateway.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Places for what goes on at once.
    pub fn slots(&self) -> &Slots {
        &self.inner.slots
    }

    /// Counters.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// A fresh one-time sign-in URL.
    pub fn sign_in_url(&self) -> String {
        format!(
            "{}/signin/{}",
            self.settings().base_url(),
            self.auth().new_once()
        )
    }

    pub(crate) fn answers_to(&self, host: &str) -> bool {
        self.inner.hosts.contains(&host.to_ascii_lowercase())
    }

    /// This host, in lower case, has an origin for each IPFS root.
    pub(crate) fn has_subdomains(&self, host: &str) -> bool {
        self.inner.parents.contains(host)
    }

    /// The root whose own origin this host is.
    pub(crate) fn root_host(&self, host: &str) -> Option<RootHost> {
        let host = host.to_ascii_lowercase();
        self.inner.parents.iter().find_map(|parent| {
            let label = split_host(&host, parent)?;
            Some(RootHost {
                label: label.to_owned(),
                parent: parent.clone(),
            })
        })
    }

    pub(crate) fn accepts_origin(&self, origin: &str) -> bool {
        self.inner.origins.contains(&origin.to_ascii_lowercase())
    }

    pub(crate) fn write_rate(&self) -> &WriteRate {
        &self.inner.write_rate
    }

    pub(crate) fn known_types(&self) -> &KnownTypes {
        &self.inner.known_types
    }
}
