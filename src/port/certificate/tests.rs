#![allow(clippy::unwrap_used)]
use std::fs;

use rcgen::{CertificateParams, KeyPair};

use super::*;

/// A pair in PEM form that ends in that year.
fn pair(until: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let chain = params.self_signed(&key).unwrap();
    (chain.pem(), key.serialize_pem())
}

fn files(dir: &Path) -> CertificateFiles {
    CertificateFiles {
        chain: dir.join("chain.pem"),
        key: dir.join("key.pem"),
    }
}

fn write(files: &CertificateFiles, chain: &str, key: &str) {
    fs::write(&files.chain, chain).unwrap();
    fs::write(&files.key, key).unwrap();
}

#[test]
fn files_that_cannot_be_used_are_refused_by_name() {
    let (chain, key) = pair(2100);
    let (_, other_key) = pair(2100);
    let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let large = "x".repeat(2 << 20);
    for (chain, key, said) in [
        ("hello", &*key, "chain.pem holds no certificate"),
        ("", &key, "chain.pem holds no certificate"),
        (&key, &key, "chain.pem holds no certificate"),
        (&large, &key, "cannot read"),
        (&chain, "hello", "key.pem holds no private key"),
        (&chain, &chain, "key.pem holds no private key"),
        (&chain, &other_key, "does not belong to the certificate"),
        (no_der, &key, "cannot use the certificate"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path());
        write(&files, chain, key);
        let refused = Certificate::read(files).unwrap_err().to_string();
        assert!(refused.contains(said), "{said}: {refused}");
    }
    let dir = tempfile::tempdir().unwrap();
    let missing = Certificate::read(files(dir.path())).unwrap_err();
    assert!(
        missing.to_string().starts_with("cannot read") && missing.to_string().contains("chain.pem"),
        "{missing}"
    );
}

#[test]
fn a_certificate_out_of_date_is_used_and_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    let (chain, key) = pair(2020);
    write(&files, &chain, &key);
    let read = files.read().unwrap();
    let told = out_of_date(&read, 1_700_000_000_000).unwrap();
    assert!(told.contains("expired on Jan  1"), "{told}");
    assert_eq!(out_of_date(&read, 1_500_000_000_000), None);
    let told = out_of_date(&read, 0).unwrap();
    assert!(told.contains("valid only from"), "{told}");
    Certificate::read(files).unwrap();
}

#[test]
fn a_renewed_pair_is_taken_and_half_of_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    let (chain, key) = pair(2100);
    write(&files, &chain, &key);
    let shown = Certificate::read(files.clone()).unwrap();
    let before = shown.fingerprint();
    assert!(!shown.refresh().unwrap(), "nothing changed");

    let (chain, key) = pair(2101);
    fs::write(&files.chain, &chain).unwrap();
    assert!(matches!(
        shown.refresh(),
        Err(CertificateError::Mismatch { .. })
    ));
    assert!(!shown.refresh().unwrap(), "the same fault is told once");
    assert_eq!(shown.fingerprint(), before);
    fs::write(&files.key, &key).unwrap();
    assert!(shown.refresh().unwrap());
    assert_ne!(shown.fingerprint(), before);

    fs::remove_file(&files.chain).unwrap();
    assert!(matches!(
        shown.refresh(),
        Err(CertificateError::Read { .. })
    ));
    // Put back as it was: what is shown is the same.
    fs::write(&files.chain, &chain).unwrap();
    assert!(!shown.refresh().unwrap());
}

#[test]
fn fingerprints_are_those_that_browsers_show() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    let (chain, key) = pair(2100);
    write(&files, &chain, &key);
    let shown = Certificate::read(files).unwrap().fingerprint();
    assert_eq!(shown.len(), 32 * 3 - 1);
    let pairs = shown
        .split(':')
        .map(|pair| u8::from_str_radix(pair, 16).unwrap());
    let der = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
    assert_eq!(pairs.collect::<Vec<_>>(), Sha256::digest(&der).to_vec());
}
