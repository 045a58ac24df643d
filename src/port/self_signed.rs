//! A certificate that nobody vouches for, for this machine and for trying things out: made once,
//! kept in the data folder, so that its fingerprint stays.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    time::{Duration, UNIX_EPOCH},
};

use http::uri::Authority;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

use super::certificate::{CertificateError, CertificateFiles};
use crate::{config::Http, data_folder::DataFolder};

const CHAIN: &str = "tls-self-signed.crt";
const KEY: &str = "tls-self-signed.key";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Clients refuse certificates of a longer life, even those that their owner trusts by hand.
const LIFE: Duration = Duration::from_secs(396 * DAY.as_secs());
/// One that ends sooner is made anew at the start.
const RENEWED_BEFORE: Duration = Duration::from_secs(30 * DAY.as_secs());

/// Names and addresses that the certificate is for.
pub(super) fn names(listen: SocketAddr, http: &Http) -> BTreeSet<String> {
    let mut names = BTreeSet::from(["localhost", "*.ipfs.localhost"].map(str::to_owned));
    let loopback = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ];
    let own = Some(listen.ip()).filter(|ip| !ip.is_unspecified());
    names.extend(loopback.into_iter().chain(own).map(|ip| ip.to_string()));
    let public = http
        .public_url
        .as_deref()
        .and_then(|url| url.split_once("://"))
        .map(|(_, rest)| rest.trim_end_matches('/'));
    let below = http.subdomain_hosts.iter().map(String::as_str);
    let hosts = http.hosts.iter().map(String::as_str);
    names.extend(hosts.chain(public).chain(below.clone()).filter_map(host));
    names.extend(below.filter_map(host).map(|host| format!("*.ipfs.{host}")));
    names
}

/// The host of a `host[:port]`, IPv6 addresses without brackets.
fn host(authority: &str) -> Option<String> {
    let authority = Authority::from_str(authority).ok()?;
    let host = authority.host().trim_matches(['[', ']']);
    Some(host.to_ascii_lowercase()).filter(|host| !host.is_empty())
}

/// The certificate in the data folder; made when there is none, or that one is damaged, ends soon
/// or is for other names.
///
/// # Errors
/// When it can't be made or kept.
pub(super) fn files(
    folder: &DataFolder,
    names: &BTreeSet<String>,
    now_ms: u64,
) -> Result<CertificateFiles, CertificateError> {
    let files = CertificateFiles {
        chain: folder.path().join(CHAIN),
        key: folder.path().join(KEY),
    };
    if is_good(&files, names, now_ms) {
        return Ok(files);
    }
    let made = make(names, now_ms)?;
    tracing::info!(file = %files.chain.display(), "a self-signed certificate is made");
    // A chain without its key is never left behind: it would be taken for damaged, and made anew.
    folder.write_whole(KEY, made.key.as_bytes())?;
    folder.write_whole(CHAIN, made.chain.as_bytes())?;
    Ok(files)
}

fn is_good(files: &CertificateFiles, names: &BTreeSet<String>, now_ms: u64) -> bool {
    let Ok(certificate) = files.read() else {
        return false;
    };
    let Some(Ok((_, own))) = certificate
        .cert
        .first()
        .map(|own| X509Certificate::from_der(own))
    else {
        return false;
    };
    let until = Duration::from_millis(now_ms) + RENEWED_BEFORE;
    let lasts =
        u64::try_from(own.validity().not_after.timestamp()).is_ok_and(|end| end > until.as_secs());
    let covered: BTreeSet<String> = own
        .subject_alternative_name()
        .ok()
        .flatten()
        .into_iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(written)
        .collect();
    lasts && covered == *names
}

fn written(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            v4.or(v6).ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

struct Made {
    chain: String,
    key: zeroize::Zeroizing<String>,
}

fn make(names: &BTreeSet<String>, now_ms: u64) -> Result<Made, rcgen::Error> {
    let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
    let now = UNIX_EPOCH + Duration::from_millis(now_ms);
    // Clocks of clients may be a little behind.
    params.not_before = (now - DAY).into();
    params.not_after = (now + LIFE).into();
    params.distinguished_name = DistinguishedName::new();
    let name = "datt, self-signed";
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    Ok(Made {
        chain: params.self_signed(&key)?.pem(),
        key: zeroize::Zeroizing::new(key.serialize_pem()),
    })
}

#[cfg(test)]
mod tests;
