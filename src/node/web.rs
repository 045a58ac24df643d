//! What the web server is started with: its port, its names, its certificate, the relay beside it.

use gateway::settings::Settings;
use model::RelayHint;
use tokio::net::TcpListener;

use super::StartError;
use crate::{
    config::Config,
    data_folder::{DataFolder, FolderError},
    port::{self, Certificate, Relay},
};

/// The web server before its start; it holds the port.
pub(super) struct Web {
    pub listener: TcpListener,
    pub settings: Settings,
    pub certificate: Option<Certificate>,
    /// Of a certificate that nobody else vouches for.
    pub fingerprint: Option<String>,
}

impl Web {
    /// Takes the port and reads the certificate.
    pub async fn open(config: &Config, folder: &DataFolder) -> Result<Self, StartError> {
        let listener = port::listen(config.http.listen).await?;
        let listen = listener.local_addr().unwrap_or(config.http.listen);
        let certificate = port::certificate(&config.http, folder, listen)?;
        let mut settings = Settings::new(listen, folder.token("api-token")?);
        settings.is_tls = certificate.is_some();
        settings.public_url.clone_from(&config.http.public_url);
        settings.hosts.clone_from(&config.http.hosts);
        settings
            .subdomain_hosts
            .clone_from(&config.http.subdomain_hosts);
        settings
            .trusted_proxies
            .clone_from(&config.http.trusted_proxies);
        settings.max_upload_bytes = config.http.max_upload_bytes;
        let own = certificate.as_ref().filter(|_| config.http.tls_self_signed);
        Ok(Self {
            fingerprint: own.map(Certificate::fingerprint),
            listener,
            settings,
            certificate,
        })
    }

    /// The embedded relay and what tickets say of it, if it is to run.
    pub fn relay(
        &self,
        config: &Config,
        folder: &DataFolder,
    ) -> Result<Option<(Relay, RelayHint)>, FolderError> {
        if !config.relay.enabled {
            return Ok(None);
        }
        let token = match &config.relay.token {
            Some(token) => token.clone(),
            None => folder.token("relay-token")?,
        };
        // Without a public name there is no certificate that others could verify: the relay needs
        // none, what goes through it is encrypted from end to end.
        let url = match &config.http.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => self.settings.local_url(),
        };
        let hint = RelayHint {
            url,
            token: Some(token.clone()),
        };
        Ok(Some((Relay::new(token), hint)))
    }
}
