//! Which connections count towards the caps, and what they are refused when a month is used up.

use std::net::SocketAddr;

use axum::body::Body;
use gateway::settings::Network;
use http::{HeaderValue, Response, StatusCode, header};
use tokio::net::TcpStream;

use super::relay::refusal;
use crate::{
    clock::now_ms,
    throttle::{Class, Metered, Throttle},
};

/// Where files are, in whole or in part; everything else is pages and the API.
const FILES: [&str; 4] = ["/blob/", "/ipfs/", "/webseed/", "/api/v1/export"];

/// What the port counts.
#[derive(Clone, Debug)]
pub struct Counting {
    throttle: Throttle,
    proxies: Vec<Network>,
}

impl Counting {
    /// Counts for `throttle`; what goes to `proxies` leaves the machine through them.
    pub fn new(throttle: Throttle, proxies: Vec<Network>) -> Self {
        Self { throttle, proxies }
    }

    /// Whether bytes to a client leave the machine: neither to loopback nor to an address of its own,
    /// unless a proxy there passes them on.
    pub(super) fn counts(&self, stream: &TcpStream, client: SocketAddr) -> bool {
        let ip = client.ip().to_canonical();
        let is_own = stream
            .local_addr()
            .is_ok_and(|own| own.ip().to_canonical() == ip);
        let is_here = ip.is_loopback() || is_own;
        !is_here || self.proxies.iter().any(|proxy| proxy.contains(ip))
    }

    /// The stream to a client, counted if it counts.
    pub(super) fn meter(&self, stream: TcpStream, client: SocketAddr) -> Metered<TcpStream> {
        if self.counts(&stream, client) {
            Metered::new(stream, self.throttle.clone(), Class::Http)
        } else {
            Metered::free(stream)
        }
    }

    /// What is answered to a request for files as long as the month's bytes are used up.
    pub(super) fn refuse(&self, path: &str) -> Option<Response<Body>> {
        let rest_s = self.throttle.spent_for_s(now_ms())?;
        if !FILES.iter().any(|files| path.starts_with(files)) {
            return None;
        }
        let words = "this node has sent as much as it may in this month: it serves files again when the \
                     next one begins (UTC), others may have them now\n";
        let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, words);
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(rest_s.max(1)));
        Some(response)
    }
}
