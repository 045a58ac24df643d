//! The certificate that the port shows: read from PEM files, and again whenever they change.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    InconsistentKeys, ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{clock::now_ms, data_folder::FolderError};

/// How often the files are looked at: who renews a certificate waits no longer for it.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Largest certificate or key file that is read, bytes; real ones are a few KiB.
const FILE_BYTES: u64 = 1 << 20;
/// What the port speaks over TLS, the preferred first (RFC 7301, RFC 9113).
const PROTOCOLS: [&[u8]; 2] = [HTTP_2, b"http/1.1"];
/// HTTP/2 over TLS (RFC 9113, 3.2).
pub(super) const HTTP_2: &[u8] = b"h2";

/// Why there is no certificate to show.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file can't be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file isn't what its setting says.
    #[error("{} holds no {what} in PEM form: {source}", .path.display())]
    NotPem {
        /// Which.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
        /// Why it isn't.
        #[source]
        source: pem::Error,
    },
    /// The certificate is no X.509 or its key is of a kind that TLS doesn't know.
    #[error("cannot use the certificate {} with the key {}: {source}", .chain.display(), .key.display())]
    Unusable {
        /// File of the chain.
        chain: PathBuf,
        /// File of the key.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// Each is fine, but they aren't a pair.
    #[error(
        "the key {} does not belong to the certificate {}; the first certificate in the file must be the server's own",
        .key.display(), .chain.display()
    )]
    Mismatch {
        /// File of the chain.
        chain: PathBuf,
        /// File of the key.
        key: PathBuf,
    },
    /// No certificate can be made.
    #[error("cannot make a self-signed certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// It can't be kept.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// Where a certificate lies.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The chain, the server's own certificate first.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl CertificateFiles {
    /// Reads both and checks that they belong together.
    pub(super) fn read(&self) -> Result<CertifiedKey, CertificateError> {
        let chain = read_pem(&self.chain, "certificate", |text| {
            let mut chain = CertificateDer::pem_slice_iter(text).peekable();
            if chain.peek().is_none() {
                return Err(pem::Error::NoItemsFound);
            }
            chain.collect::<Result<Vec<_>, _>>()
        })?;
        let key = read_pem(&self.key, "private key", PrivateKeyDer::from_pem_slice)?;
        CertifiedKey::from_der(chain, key, &provider()).map_err(|source| match source {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                CertificateError::Mismatch {
                    chain: self.chain.clone(),
                    key: self.key.clone(),
                }
            }
            source => CertificateError::Unusable {
                chain: self.chain.clone(),
                key: self.key.clone(),
                source,
            },
        })
    }

    fn stamps(&self) -> Stamps {
        [stamp(&self.chain), stamp(&self.key)]
    }
}

fn read_pem<T>(
    path: &Path,
    what: &'static str,
    parse: impl FnOnce(&[u8]) -> Result<T, pem::Error>,
) -> Result<T, CertificateError> {
    let refuse = |source| CertificateError::Read {
        path: path.to_owned(),
        source,
    };
    let size_bytes = fs::metadata(path).map_err(refuse)?.len();
    if size_bytes > FILE_BYTES {
        return Err(refuse(io::ErrorKind::FileTooLarge.into()));
    }
    let text = zeroize::Zeroizing::new(fs::read(path).map_err(refuse)?);
    parse(&text).map_err(|source| CertificateError::NotPem {
        path: path.to_owned(),
        what,
        source,
    })
}

fn provider() -> CryptoProvider {
    ring::default_provider()
}

/// What of a file changes when someone writes or replaces it; none while it isn't there.
type Stamp = Option<(u64, u64, u64, i64, i64)>;
type Stamps = [Stamp; 2];

fn stamp(path: &Path) -> Stamp {
    let meta = fs::metadata(path).ok()?;
    Some((
        meta.dev(),
        meta.ino(),
        meta.len(),
        meta.mtime(),
        meta.mtime_nsec(),
    ))
}

/// The certificate in use.
#[derive(Clone, Debug)]
pub struct Certificate(Arc<Shown>);

#[derive(Debug)]
struct Shown {
    files: CertificateFiles,
    current: RwLock<Arc<CertifiedKey>>,
    seen: Mutex<Stamps>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl Shown {
    fn current(&self) -> Arc<CertifiedKey> {
        let current = self.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }
}

impl Certificate {
    /// Reads the files. A certificate that is out of date is used all the same: the log tells.
    ///
    /// # Errors
    /// When a file is missing, isn't PEM or can't be used, or they aren't a pair.
    pub fn read(files: CertificateFiles) -> Result<Self, CertificateError> {
        let seen = files.stamps();
        let current = files.read()?;
        warn_of_dates(&files, &current);
        Ok(Self(Arc::new(Shown {
            files,
            current: RwLock::new(Arc::new(current)),
            seen: Mutex::new(seen),
        })))
    }

    /// SHA-256 of the server's own certificate, as browsers show it: `AB:CD:…`.
    pub fn fingerprint(&self) -> String {
        let current = self.0.current();
        let own = current.cert.first();
        let hash = Sha256::digest(own.map(AsRef::as_ref).unwrap_or_default());
        let pairs: Vec<String> = hash.iter().map(|byte| format!("{byte:02X}")).collect();
        pairs.join(":")
    }

    /// How the port speaks TLS.
    pub(super) fn server_config(&self) -> ServerConfig {
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()
            .expect("ring does TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.0) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        config
    }

    /// Looks at the files until `cancel`, and takes what whoever renews the certificate put there.
    pub(super) async fn follow(self, cancel: CancellationToken) {
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            let this = self.clone();
            let looked = tokio::task::spawn_blocking(move || this.refresh()).await;
            match looked {
                Ok(Ok(false)) => {}
                Ok(Ok(true)) => tracing::info!(
                    file = %self.0.files.chain.display(),
                    sha256 = self.fingerprint(),
                    "the certificate was renewed"
                ),
                Ok(Err(error)) => tracing::warn!(
                    %error,
                    "the certificate's files changed and can't be used; the one before stays in use"
                ),
                Err(error) => tracing::error!(%error, "looking at the certificate's files"),
            }
        }
    }

    /// Reads the files again if they changed; true when another certificate is shown from now on.
    /// What can't be used is told once, and read again when the files change again: chain and key
    /// are seldom replaced in the same moment.
    fn refresh(&self) -> Result<bool, CertificateError> {
        let stamps = self.0.files.stamps();
        {
            let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == stamps {
                return Ok(false);
            }
            *seen = stamps;
        }
        let read = self.0.files.read()?;
        if read.cert == self.0.current().cert {
            return Ok(false);
        }
        warn_of_dates(&self.0.files, &read);
        let current = self.0.current.write();
        *current.unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
        Ok(true)
    }
}

fn warn_of_dates(files: &CertificateFiles, certificate: &CertifiedKey) {
    if let Some(what) = out_of_date(certificate, now_ms()) {
        tracing::warn!(file = %files.chain.display(), "{what}; clients will refuse it");
    }
}

/// What is wrong with the certificate's dates, if anything.
fn out_of_date(certificate: &CertifiedKey, now_ms: u64) -> Option<String> {
    let (_, own) = X509Certificate::from_der(certificate.cert.first()?).ok()?;
    let now_s = i64::try_from(now_ms / 1000).unwrap_or(i64::MAX);
    let dates = own.validity();
    if now_s > dates.not_after.timestamp() {
        return Some(format!("the certificate expired on {}", dates.not_after));
    }
    if now_s < dates.not_before.timestamp() {
        return Some(format!(
            "the certificate is valid only from {} on",
            dates.not_before
        ));
    }
    None
}

#[cfg(test)]
mod tests;
