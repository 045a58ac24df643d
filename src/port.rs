//! The one TCP port: pages and API from the gateway, `/relay` from the embedded relay; plain HTTP,
//! or with a certificate TLS and HTTP/2.

mod certificate;
mod connection;
mod counting;
mod progress;
mod relay;
mod self_signed;
mod stream;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use certificate::{Certificate, CertificateError, CertificateFiles};
pub use counting::Counting;
pub use relay::Relay;

use crate::{clock::now_ms, config::Http, data_folder::DataFolder};
use connection::{DRAIN, Patience, Site};

/// Connections at once; further ones wait in the kernel's queue.
const CONNECTIONS: usize = 1024;
/// All connections have been dropped this long after those that drain.
const DROPPED: Duration = Duration::from_millis(200);
/// Rest after an accept that failed for want of descriptors or memory.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// The port can't be had.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {source}{}", hint(.source))]
pub struct ListenError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program uses that port: choose one with --http, or --http 127.0.0.1:0 for any"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need rights: choose a higher one with --http"
        }
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        _ => "",
    }
}

/// Takes the port.
///
/// # Errors
/// When it is in use or not allowed.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ListenError { address, source })
}

/// The certificate to show, if the configuration asks for TLS.
///
/// # Errors
/// When its files can't be used, or a self-signed one can't be made and kept.
pub fn certificate(
    http: &Http,
    folder: &DataFolder,
    listen: SocketAddr,
) -> Result<Option<Certificate>, CertificateError> {
    let files = match (&http.tls_cert, &http.tls_key) {
        (Some(chain), Some(key)) => CertificateFiles {
            chain: chain.clone(),
            key: key.clone(),
        },
        _ if http.tls_self_signed => {
            self_signed::files(folder, &self_signed::names(listen, http), now_ms())?
        }
        _ => return Ok(None),
    };
    Certificate::read(files).map(Some)
}

/// Serves until `cancel`, then lets open requests end within a bound. With a certificate the port
/// speaks TLS.
pub async fn serve(
    listener: TcpListener,
    relay: Option<Relay>,
    app: axum::Router,
    certificate: Option<Certificate>,
    counting: Counting,
    cancel: CancellationToken,
) {
    let connections = TaskTracker::new();
    let tls = certificate.map(|certificate| {
        let config = Arc::new(certificate.server_config());
        connections.spawn(certificate.follow(cancel.clone()));
        TlsAcceptor::from(config)
    });
    let site = Site {
        app,
        relay: relay.clone(),
        tls,
        counting,
        patience: Patience::default(),
    };
    accept(listener, &site, &connections, &cancel).await;
    connections.close();
    let ended = async {
        if let Some(relay) = relay {
            relay.shutdown().await;
        }
        connections.wait().await;
    };
    if timeout(DRAIN + DROPPED, ended).await.is_err() {
        tracing::debug!(open = connections.len(), "connections cut off at shutdown");
    }
}

async fn accept(
    listener: TcpListener,
    site: &Site,
    connections: &TaskTracker,
    cancel: &CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let slot = tokio::select! {
            () = cancel.cancelled() => return,
            slot = Arc::clone(&slots).acquire_owned() => slot.expect("the semaphore is never closed"),
        };
        let accepted = tokio::select! {
            () = cancel.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let (site, cancel) = (site.clone(), cancel.clone());
        connections.spawn(async move {
            connection::serve(stream, client, site, cancel).await;
            drop(slot);
        });
    }
}

#[cfg(test)]
mod tests;
