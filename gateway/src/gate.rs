//! What every route can reach: the node, the sessions, the settings, the metrics.

use std::sync::Arc;

use crate::{auth::Auth, metrics::Metrics, node::Node, settings::Settings};

/// The state of the router; clones share it.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<Inner>,
}

struct Inner {
    node: Arc<dyn Node>,
    auth: Auth,
    settings: Settings,
    metrics: Metrics,
}

impl Gate {
    /// A gate before this node.
    pub fn new(node: Arc<dyn Node>, settings: Settings, metrics: Metrics) -> Self {
        let auth = Auth::new(&settings);
        Self { inner: Arc::new(Inner { node, auth, settings, metrics }) }
    }

    /// The node.
    pub fn node(&self) -> &dyn Node {
        &*self.inner.node
    }

    /// Token, one-time sign-ins and sessions.
    pub fn auth(&self) -> &Auth {
        &self.inner.auth
    }

    /// How the world sees the gateway.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Counters.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }
}
