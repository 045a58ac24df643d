//! TLS and HTTP/2 on the node's one port, and plain HTTP beside them for this machine.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::http::Client;
use crate::node::{Node, Setup, eventually};
use crate::scene::{Scene, join, noise, shows, text};

/// Longer than a node leaves changed certificate files unread.
const RENEWED: Duration = Duration::from_secs(30);
const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];

/// A client that trusts one certificate.
struct Browser {
    runtime: Runtime,
    http: reqwest::Client,
}

/// What it was answered.
struct Answer {
    version: http::Version,
    status: u16,
    headers: http::HeaderMap,
    body: Vec<u8>,
}

impl Browser {
    fn trusting(chain: &Path, protocols: &[&[u8]]) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_file(chain)
            .with_context(|| format!("reading {}", chain.display()))?;
        roots.add(root)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let anywhere: SocketAddr = ([127, 0, 0, 1], 0).into();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .redirect(reqwest::redirect::Policy::none())
            .resolve("root.ipfs.localhost", anywhere)
            .no_proxy()
            .build()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        Ok(Self { runtime, http })
    }

    fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let request = headers
            .iter()
            .fold(self.http.get(url), |request, (name, value)| {
                request.header(*name, *value)
            });
        self.runtime.block_on(async {
            let answer = request.send().await.with_context(|| url.to_owned())?;
            Ok(Answer {
                version: answer.version(),
                status: answer.status().as_u16(),
                headers: answer.headers().clone(),
                body: answer.bytes().await?.to_vec(),
            })
        })
    }
}

fn self_signed(setup: &Setup) -> PathBuf {
    setup.data().join("tls-self-signed.crt")
}

/// The node over plain HTTP, with its token.
fn plainly(node: &Node, setup: &Setup) -> Result<Client> {
    let token = fs::read_to_string(setup.data().join("api-token"))?;
    let url = node.url.replacen("https://", "http://", 1);
    Ok(Client::new(&url)?.with("authorization", &format!("Bearer {}", token.trim())))
}

#[test]
fn http_2_and_http_1_are_spoken_over_tls_and_plain_http_with_this_machine() -> Result<()> {
    let scene = Scene::new()?;
    let setup = scene.setup("a").args(["--tls-self-signed"]);
    let a = setup.clone().start()?;
    ensure!(a.url.starts_with("https://127.0.0.1:"), "{}", a.url);
    ensure!(a.sign_in_url.starts_with(&a.url), "{}", a.sign_in_url);

    // The command line finds its node, and programs with the token may go on as before.
    let said = a.json(&["space", "create", "--title", "Found"])?;
    let space = text(&said, "space")?;
    let file = scene.path("some.bin");
    let bytes = noise(300_000, 3);
    fs::write(&file, &bytes)?;
    let blob = text(&a.json(&["add", &file.to_string_lossy()])?[0], "blob")?;
    let plain = plainly(&a, &setup)?.get(&format!("/ipfs/{blob}"))?;
    ensure!(
        plain.status == 200 && plain.body == bytes,
        "{}",
        plain.status
    );

    for (protocols, version) in [
        (BOTH, http::Version::HTTP_2),
        (&BOTH[1..], http::Version::HTTP_11),
        (&[][..], http::Version::HTTP_11),
    ] {
        let browser = Browser::trusting(&self_signed(&setup), protocols)?;
        let page = browser.get(&format!("{}/s/{space}", a.url), &[])?;
        ensure!(page.version == version, "{:?}", page.version);
        ensure!(page.status == 200, "{}", page.status);
        let page = String::from_utf8_lossy(&page.body).into_owned();
        ensure!(page.contains("Found"), "{page}");
        let part = browser.get(
            &format!("{}/ipfs/{blob}", a.url),
            &[("range", "bytes=99999-199999")],
        )?;
        ensure!(
            part.status == 206 && part.version == version,
            "{}",
            part.status
        );
        ensure!(
            part.body == bytes[99_999..200_000],
            "{version:?}: other bytes"
        );
    }

    let browser = Browser::trusting(&self_signed(&setup), BOTH)?;
    let signed_in = browser.get(&a.sign_in_url, &[])?;
    let cookie = signed_in.headers.get("set-cookie").context("no session")?;
    ensure!(cookie.to_str()?.contains("; Secure"), "{cookie:?}");
    let link = text(&a.json(&["signin"])?, "url")?;
    ensure!(link.starts_with(&a.url), "{link}");
    let path = link.trim_start_matches(&a.url);
    let signed_in = plainly(&a, &setup)?.get(path)?;
    let cookie = signed_in.header("set-cookie").context("no session")?;
    ensure!(!cookie.contains("Secure"), "{cookie}");
    Ok(())
}

#[test]
fn a_self_signed_certificate_is_kept_and_is_for_every_name_of_this_machine() -> Result<()> {
    let scene = Scene::new()?;
    let setup = scene.setup("a").args(["--tls-self-signed"]);
    let a = setup.clone().start()?;
    let first = a.fingerprint.clone().context("no fingerprint said")?;
    let key = fs::metadata(setup.data().join("tls-self-signed.key"))?;
    ensure!(
        key.permissions().mode() & 0o777 == 0o600,
        "others can read the key"
    );
    a.stop()?;
    let a = setup.clone().start()?;
    ensure!(
        a.fingerprint.as_ref() == Some(&first),
        "another certificate"
    );
    let port = a.url.rsplit(':').next().context("no port")?;
    let browser = Browser::trusting(&self_signed(&setup), BOTH)?;
    for host in ["localhost", "127.0.0.1", "root.ipfs.localhost"] {
        let answer = browser.get(&format!("https://{host}:{port}/healthz"), &[])?;
        ensure!(
            host.contains(".ipfs.") || answer.status == 200,
            "{host}: {}",
            answer.status
        );
    }
    let foreign = Browser::trusting(&pair(&scene, "foreign")?.0, BOTH)?;
    let refused = foreign.get(&a.url, &[]).err();
    let why = format!("{:#}", refused.context("another certificate is shown")?);
    ensure!(why.contains("invalid peer certificate"), "{why}");
    Ok(())
}

/// A certificate for this machine and its key, as an ACME client would lay them down.
fn pair(scene: &Scene, name: &str) -> Result<(PathBuf, PathBuf)> {
    let key = rcgen::KeyPair::generate()?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let chain = rcgen::CertificateParams::new(names)?.self_signed(&key)?;
    let files = (
        scene.path(&format!("{name}.crt")),
        scene.path(&format!("{name}.key")),
    );
    fs::write(&files.0, chain.pem())?;
    fs::write(&files.1, key.serialize_pem())?;
    Ok(files)
}

fn with_files(setup: Setup, chain: &Path, key: &Path) -> Setup {
    setup
        .env("DATT_HTTP_TLS_CERT", &chain.to_string_lossy())
        .env("DATT_HTTP_TLS_KEY", &key.to_string_lossy())
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart() -> Result<()> {
    let scene = Scene::new()?;
    let (chain, key) = pair(&scene, "used")?;
    let a = with_files(scene.setup("a"), &chain, &key).start()?;
    ensure!(a.fingerprint.is_none(), "it isn't the node's own");
    let before = Browser::trusting(&chain, BOTH)?;
    ensure!(before.get(&a.url, &[])?.status == 200, "not reached");
    let (new_chain, new_key) = pair(&scene, "renewed")?;
    fs::rename(&new_chain, &chain)?;
    fs::rename(&new_key, &key)?;
    eventually("the renewed certificate", RENEWED, || {
        let after = Browser::trusting(&chain, BOTH)?;
        Ok(Some(after.get(&a.url, &[])?))
    })?;
    // The connection from before goes on.
    ensure!(before.get(&a.url, &[])?.status == 200, "cut off");
    Ok(())
}

#[test]
fn certificates_that_cannot_be_used_keep_the_node_from_starting() -> Result<()> {
    let scene = Scene::new()?;
    let (chain, key) = pair(&scene, "one")?;
    let (_, other_key) = pair(&scene, "other")?;
    let words = scene.path("words.pem");
    fs::write(&words, "no certificate")?;
    let missing = scene.path("missing.pem");
    for (chain, key, said) in [
        (&missing, &key, "missing.pem"),
        (&chain, &missing, "missing.pem"),
        (&words, &key, "words.pem holds no certificate in PEM form"),
        (&chain, &words, "words.pem holds no private key in PEM form"),
        (&chain, &other_key, "does not belong to the certificate"),
    ] {
        let refused = with_files(scene.setup("a"), chain, key).refuse()?;
        ensure!(refused.code != 0, "it started");
        ensure!(refused.stdout.contains(said), "{said}: {}", refused.stdout);
    }
    let half = scene
        .setup("a")
        .env("DATT_HTTP_TLS_CERT", &chain.to_string_lossy());
    let both = with_files(scene.setup("a"), &chain, &key).args(["--tls-self-signed"]);
    for (setup, said) in [(half, "http.tls_key"), (both, "leave one of them out")] {
        let refused = setup.refuse()?;
        ensure!(refused.code != 0, "it started");
        ensure!(refused.stdout.contains(said), "{said}: {}", refused.stdout);
    }
    Ok(())
}

#[test]
fn other_nodes_come_through_the_relay_of_a_node_that_signed_its_own_certificate() -> Result<()> {
    let scene = Scene::new()?;
    let setup = scene.setup("a").args(["--tls-self-signed"]).with_relays();
    let a = setup.clone().start()?;
    let b = scene.setup("b").with_relays().start()?;
    let here = plainly(&a, &setup)?;
    let made = here.send_json("POST", "/api/v1/spaces", &json!({"title": "Relayed"}))?;
    let space = text(&made, "space")?;
    let post = json!({"space": space, "title": "Over the relay", "body": "Some words."});
    let post = text(&here.send_json("POST", "/api/v1/posts", &post)?, "id")?;
    // Nothing but the relay leads to the node.
    let mut ticket: model::Ticket = text(&made, "ticket")?.parse()?;
    ensure!(ticket.relays[0].url.starts_with("http://"), "{ticket:?}");
    ticket.addresses.clear();
    join(&b, &ticket.to_string())?;
    shows(&b, &post, 1)?;
    Ok(())
}

#[test]
fn tickets_name_the_public_url() -> Result<()> {
    let scene = Scene::new()?;
    let setup = scene.setup("a").args([
        "--tls-self-signed",
        "--public-url",
        "https://forum.example/",
    ]);
    let a = setup.start()?;
    let ticket: model::Ticket = a.ticket.parse()?;
    ensure!(
        ticket.relays[0].url == "https://forum.example",
        "{ticket:?}"
    );
    ensure!(a.url == "https://forum.example", "{}", a.url);
    // Commands take the way that is always open.
    a.json(&["status"])?;
    Ok(())
}
