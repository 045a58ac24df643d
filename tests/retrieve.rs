//! `datt get` from IPFS gateways: nodes that are each other's gateways, and a gateway between them
//! that lies, stalls, breaks off and counts.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

use crate::car::{Car, DAG_PB, RAW, ended, name, path_text, varint};
use crate::http::Client;
use crate::node::{Node, eventually};
use crate::scene::{ARRIVES, Scene, noise, text, verified};

const MIB: usize = 1 << 20;

/// How the gateway in the middle hands on what the true one says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As it is.
    True,
    /// A byte is another, at this place of each answer.
    Lie(usize),
    /// So many bytes, then silence.
    Stall(usize),
    /// So many bytes, then the end.
    Cut(usize),
    /// All of it, and more.
    More,
    /// A page for people.
    Page,
    /// Not found.
    Nothing,
    /// Elsewhere.
    Redirect(&'static str),
}

/// What it did.
#[derive(Debug, Default)]
struct Done {
    /// Paths that were asked for.
    asked: Vec<String>,
    /// Bytes of bodies sent.
    bytes: usize,
    /// Nobody is kept waiting any more.
    is_over: bool,
}

/// A gateway in front of a node, on a free port of loopback.
struct Middle {
    url: String,
    way: Arc<Mutex<Way>>,
    done: Arc<(Mutex<Done>, Condvar)>,
}

impl Middle {
    fn before(node: &Node, way: Way) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let middle = Self {
            url: format!("http://{}", listener.local_addr()?),
            way: Arc::new(Mutex::new(way)),
            done: Arc::default(),
        };
        let (way, done, behind) = (
            Arc::clone(&middle.way),
            Arc::clone(&middle.done),
            node.reader()?,
        );
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (way, done, behind) = (Arc::clone(&way), Arc::clone(&done), behind.clone());
                thread::spawn(move || {
                    let way = *way.lock().unwrap_or_else(PoisonError::into_inner);
                    // who asked may be gone before everything is said
                    let _ = serve(stream, way, &done, &behind);
                });
            }
        });
        Ok(middle)
    }

    fn set(&self, way: Way) {
        *self.way.lock().unwrap_or_else(PoisonError::into_inner) = way;
    }

    /// What it did since this was asked last.
    fn take(&self) -> Done {
        std::mem::take(&mut *self.done.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        let mut done = self.done.0.lock().unwrap_or_else(PoisonError::into_inner);
        done.is_over = true;
        self.done.1.notify_all();
    }
}

fn serve(
    mut stream: TcpStream,
    way: Way,
    done: &(Mutex<Done>, Condvar),
    behind: &Client,
) -> Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().context("a request line")??;
    let path = first.split(' ').nth(1).context("a path")?.to_owned();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let lock = || done.0.lock().unwrap_or_else(PoisonError::into_inner);
    lock().asked.push(path.clone());
    let answer = behind.get(&path)?;
    let (status, mut body) = match way {
        Way::Nothing => (404, Vec::new()),
        Way::Page => (200, b"<!doctype html><p>Welcome!".to_vec()),
        Way::Redirect(_) => (302, Vec::new()),
        _ => (answer.status, answer.body),
    };
    let mut head = format!("HTTP/1.1 {status} Whatever\r\nconnection: close\r\n");
    if let Way::Redirect(to) = way {
        head.push_str(&format!("location: {to}\r\n"));
    }
    if way == Way::Page {
        head.push_str("content-type: text/html\r\n");
    }
    head.push_str("\r\n");
    let end = match way {
        Way::Lie(at) if status == 200 => {
            let at = at.min(body.len() - 1);
            body[at] ^= 1;
            body.len()
        }
        Way::More if status == 200 => {
            body.extend(noise(8 * MIB, 9));
            body.len()
        }
        Way::Stall(at) | Way::Cut(at) => at.min(body.len()),
        _ => body.len(),
    };
    stream.write_all(head.as_bytes())?;
    for piece in body[..end].chunks(64 << 10) {
        stream.write_all(piece)?;
        lock().bytes += piece.len();
    }
    if matches!(way, Way::Stall(_)) && end < body.len() {
        let guard = done.1.wait_while(lock(), |done| !done.is_over);
        drop(guard);
    }
    Ok(())
}

/// A file on one node: its bytes and names.
struct Given {
    bytes: Vec<u8>,
    ipfs: String,
    blob: String,
}

fn give(scene: &Scene, node: &Node, file: &str, length: usize) -> Result<Given> {
    let path = scene.file(file, length)?;
    let added = node.json(&["add", path_text(&path)?])?;
    Ok(Given {
        bytes: fs::read(&path)?,
        ipfs: text(&added[0], "ipfs")?,
        blob: text(&added[0], "blob")?,
    })
}

/// `datt get` that must succeed; what it says.
fn get(node: &Node, cid: &str, to: &Path, gateways: &[&str]) -> Result<Value> {
    let mut args = vec!["get", cid, "-o", path_text(to)?];
    for gateway in gateways {
        args.extend(["--gateway", gateway]);
    }
    node.json(&args)
}

#[test]
fn nodes_read_from_each_other_and_from_nobody_what_they_hold() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let to = scene.path("got");
    let mut all = Vec::new();
    for (file, length) in [
        ("empty", 0),
        ("small", 1_000),
        ("leaf", MIB),
        ("two", MIB + 1),
        ("many", 3 * MIB + 77),
    ] {
        let given = give(&scene, &a, file, length)?;
        let said = get(&b, &given.ipfs, &to, &[&a.url])?;
        ensure!(
            said["cid"] == given.ipfs && said["verified"] == true,
            "{said}"
        );
        ensure!(fs::read(&to)? == given.bytes, "{file}");
        if length >= MIB {
            ensure!(said["blob"] == given.blob, "{file}: {said}");
        }
        all.push(given);
    }
    // A node that read is a gateway itself; the configuration names it.
    let c = scene.setup("c").env("DATT_IPFS_GATEWAYS", &b.url).start()?;
    drop(a);
    let many = all.last().context("a file")?;
    let said = get(&c, &format!("/ipfs/{}", many.ipfs), &to, &[])?;
    ensure!(fs::read(&to)? == many.bytes, "{said}");
    drop(b);
    // What is held needs nobody.
    let said = get(&c, &many.ipfs, &to, &[])?;
    ensure!(said["fetched_bytes"] == 0, "{said}");
    let part = c.run(&["get", &many.ipfs, "--range", "5-14", "-o", path_text(&to)?])?;
    ended(&part, 0, &[])?;
    ensure!(fs::read(&to)? == many.bytes[5..15], "a range");
    let reader = c.reader()?.get(&format!("/ipfs/{}", many.ipfs))?;
    ensure!(
        reader.status == 200 && reader.body == many.bytes,
        "as a gateway"
    );
    verified(&c)
}

#[test]
fn gateways_are_read_over_tls_and_believed_only_with_their_certificate() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.setup("a").args(["--tls-self-signed"]).start()?;
    let given = give(&scene, &a, "film", 2 * MIB + 9)?;
    let to = scene.path("got");
    let stranger = scene.node("stranger")?;
    let said = stranger.run(&[
        "get",
        &given.ipfs,
        "--gateway",
        &a.url,
        "-o",
        path_text(&to)?,
    ])?;
    ended(&said, 3, &["certificate"])?;
    let certificate = scene.path("a").join("tls-self-signed.crt");
    let setup = scene
        .setup("b")
        .env("SSL_CERT_FILE", path_text(&certificate)?);
    let b = setup.start()?;
    get(&b, &given.ipfs, &to, &[&a.url])?;
    ensure!(fs::read(&to)? == given.bytes, "over TLS");
    Ok(())
}

#[test]
fn a_folder_comes_with_everything_in_it_and_a_path_alone() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let album = scene.path("album");
    fs::create_dir_all(album.join("below/empty"))?;
    let (small, large) = (noise(500, 1), noise(2 * MIB + 5, 2));
    fs::write(album.join("a b.txt"), &small)?;
    fs::write(album.join("below/large.bin"), &large)?;
    fs::write(album.join("below/ä?&=#%41"), &small)?;
    let added = a.json(&["add", path_text(&album)?])?;
    let root = text(&added[0], "ipfs")?;

    let to = scene.path("one");
    let said = get(&b, &format!("{root}/below/large.bin"), &to, &[&a.url])?;
    ensure!(fs::read(&to)? == large, "{said}");
    let missing = b.run(&["get", &format!("{root}/below/nothing"), "--gateway", &a.url])?;
    ended(&missing, 3, &["nothing"])?;
    // The folders on the way go with their root, and the file stays.
    let raw = |node: &Node, cid: &str| node.client()?.get(&format!("/ipfs/{cid}?format=raw"));
    let below = name(DAG_PB, &raw(&a, &format!("{root}/below"))?.body)?.to_string();
    ensure!(
        raw(&b, &root)?.status == 200 && raw(&b, &below)?.status == 200,
        "the way"
    );
    ended(&b.run(&["unpin", &root])?, 0, &[])?;
    for cid in [&root, &below] {
        ensure!(raw(&b, cid)?.status == 404, "{cid} stays for ever");
    }
    let file = text(&said, "cid")?;
    ensure!(raw(&b, &file)?.status == 200, "the file");

    let to = scene.path("all");
    let said = get(&b, &root, &to, &[&a.url])?;
    ensure!(said["files"] == 3 && said["kind"] == "directory", "{said}");
    ensure!(fs::read(to.join("a b.txt"))? == small, "a b.txt");
    ensure!(fs::read(to.join("below/large.bin"))? == large, "large.bin");
    ensure!(fs::read(to.join("below/ä?&=#%41"))? == small, "signs");
    // Nothing is written over.
    let again = b.run(&["get", &root, "-o", path_text(&to)?])?;
    ended(&again, 2, &["there already"])?;
    let stdout = b.run(&["get", &root, "-o", "-"])?;
    ended(&stdout, 2, &["folder"])?;
    verified(&b)
}

/// A directory whose entries are all the same leaf, as a CAR.
fn odd_directory(leaf: &[u8], labels: &[&str]) -> Result<(cid::Cid, Car)> {
    let leaf_cid = name(RAW, leaf)?;
    let mut node = Vec::new();
    for label in labels {
        let link = [
            vec![0x0a, 36],
            leaf_cid.to_bytes(),
            vec![0x12],
            varint(label.len()),
            label.as_bytes().to_vec(),
            vec![0x18, u8::try_from(leaf.len())?],
        ]
        .concat();
        node.extend([vec![0x12], varint(link.len()), link].concat());
    }
    node.extend([0x0a, 2, 0x08, 1]);
    let root = name(DAG_PB, &node)?;
    // {"roots": [root], "version": 1}
    let mut header = b"\x3a\xa2\x65roots\x81\xd8\x2a\x58\x25\x00".to_vec();
    header.extend(root.to_bytes());
    header.extend(b"\x67version\x01");
    let blocks = vec![(root, node), (leaf_cid, leaf.to_vec())];
    Ok((root, Car { header, blocks }))
}

#[test]
fn names_that_lead_out_of_the_folder_are_left_out() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let (file, to) = (scene.path("odd.car"), scene.path("deep/got"));
    fs::create_dir_all(scene.path("deep"))?;
    let ask = |labels: &[&str]| {
        let (root, car) = odd_directory(b"a leaf", labels)?;
        fs::write(&file, car.bytes())?;
        a.json(&["import", path_text(&file)?])?;
        let root = root.to_string();
        b.run(&["get", &root, "--gateway", &a.url, "-o", path_text(&to)?])
    };
    let absolute = scene.path("absolute");
    // Two of one name: refused as a whole, rather than one written over the other.
    let said = ask(&["fine", "fine"])?;
    ensure!(said.code != 0 && !to.exists(), "{said:?}");
    ended(
        &ask(&["..", "../out", path_text(&absolute)?, "fine"])?,
        0,
        &["\"../out\" is no safe"],
    )?;
    let written: Vec<_> = fs::read_dir(&to)?.collect::<Result<_, _>>()?;
    ensure!(
        written.len() == 1 && fs::read(to.join("fine"))? == b"a leaf",
        "{written:?}"
    );
    ensure!(
        !scene.path("deep/out").exists() && !absolute.exists(),
        "outside"
    );
    Ok(())
}

#[test]
fn a_gateway_that_fails_is_left_for_the_next_and_named() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let given = give(&scene, &a, "film", 3 * MIB + 5)?;
    let small = give(&scene, &a, "note", 1_000)?;
    let (middle, to) = (Middle::before(&a, Way::True)?, scene.path("got"));
    // Another address of this machine, which isn't one of loopback.
    let elsewhere = TcpListener::bind("127.0.0.1:0")?;
    elsewhere.set_nonblocking(true)?;
    let port = elsewhere.local_addr()?.port();
    let leads_out = format!("http://0.0.0.0:{port}/").leak();
    for (count, (way, words, is_lie)) in [
        (Way::Lie(2 * MIB), "wrong bytes", true),
        (Way::Lie(0), "", true),
        (Way::Cut(MIB + 9), "cut off", false),
        (Way::Stall(MIB + 9), "stalled", false),
        (Way::More, "", true),
        (Way::Page, "", true),
        (Way::Nothing, "", false),
        (Way::Redirect(leads_out), "302", false),
        (Way::Redirect("file:///etc/passwd"), "302", false),
    ]
    .into_iter()
    .enumerate()
    {
        let b = scene.node(&format!("b{count}"))?;
        middle.set(way);
        let said = get(&b, &given.ipfs, &to, &[&middle.url, &a.url])?;
        ensure!(fs::read(&to)? == given.bytes, "{way:?}: {said}");
        let faults = said["faults"].as_array().context("faults")?;
        if way == Way::Nothing {
            ensure!(faults.is_empty(), "lacking is no fault: {said}");
        } else {
            let first = faults.first().with_context(|| format!("{way:?}: {said}"))?;
            ensure!(first["gateway"] == middle.url, "{way:?}: {said}");
            ensure!(first["is_lie"] == is_lie, "{way:?}: {said}");
            ensure!(text(first, "what")?.contains(words), "{way:?}: {said}");
        }
        // A block alone is checked just the same.
        let said = get(&b, &small.ipfs, &to, &[&middle.url, &a.url])?;
        ensure!(fs::read(&to)? == small.bytes, "{way:?}: {said}");
        verified(&b)?;
    }
    let came = elsewhere.accept().err().context("it was followed")?;
    ensure!(came.kind() == ErrorKind::WouldBlock, "{came}");
    Ok(())
}

#[test]
fn when_nobody_tells_the_truth_it_is_said_so() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let given = give(&scene, &a, "film", 2 * MIB)?;
    let (one, two) = (
        Middle::before(&a, Way::Lie(9))?,
        Middle::before(&a, Way::Lie(MIB))?,
    );
    let to = scene.path("got");
    let ask = |gateways: &[&str]| {
        let mut args = vec!["get", &given.ipfs, "-o", path_text(&to)?];
        for gateway in gateways {
            args.extend(["--gateway", gateway]);
        }
        b.run(&args)
    };
    let lies = ask(&[&one.url, &two.url])?;
    ended(&lies, 4, &[&one.url, &two.url, "wrong bytes for the block"])?;
    ensure!(!to.exists(), "lies were written down");
    one.set(Way::Nothing);
    two.set(Way::Nothing);
    ended(&ask(&[&one.url, &two.url])?, 3, &["no gateway has"])?;
    let closed = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let nobody = ask(&[&format!("http://{closed}")])?;
    ended(&nobody, 3, &["No gateway answered", "can't be reached"])?;
    ended(&ask(&[])?, 3, &["[ipfs] gateways", "--gateway"])?;
    ended(&ask(&["https://ipfs.example"])?, 2, &["--offline"])?;
    ended(&ask(&["ftp://127.0.0.1"])?, 2, &["http://"])?;
    let nonsense = b.run(&["get", "nonsense"])?;
    ended(&nonsense, 2, &["CID"])?;
    // and the truth is still wanted
    get(&b, &given.ipfs, &to, &[&a.url])?;
    ensure!(fs::read(&to)? == given.bytes, "in the end");
    Ok(())
}

#[test]
fn killed_in_the_middle_it_goes_on_and_asks_for_nothing_twice() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let given = give(&scene, &a, "film", 20 * MIB + 1)?;
    let leaves: Vec<String> = given
        .bytes
        .chunks(MIB)
        .map(|leaf| Ok(name(RAW, leaf)?.to_string()))
        .collect::<Result<_>>()?;
    let middle = Middle::before(&a, Way::Stall(12 * MIB))?;
    let to = scene.path("got");
    let (setup, cid, url) = (scene.setup("b"), given.ipfs.clone(), middle.url.clone());
    let getting = thread::spawn(move || setup.run(&["get", &cid, "--gateway", &url]));
    let client = b.reader()?;
    eventually("some of it on disk", ARRIVES, || {
        let raw = client.get(&format!("/ipfs/{}?format=raw", leaves[7]))?;
        Ok((raw.status == 200).then_some(()))
    })?;
    let b = b.kill()?;
    let said = getting
        .join()
        .map_err(|_| anyhow!("the command panicked"))??;
    ensure!(said.code == 1, "it was killed: {said:?}");
    let b = b.start()?;
    let first = middle.take();
    ensure!(first.asked.len() == 1, "one CAR: {:?}", first.asked);
    middle.set(Way::True);
    let said = get(&b, &given.ipfs, &to, &[&middle.url])?;
    ensure!(fs::read(&to)? == given.bytes, "{said}");
    let second = middle.take();
    let asked_again = |cid: &str| second.asked.iter().any(|path| path.contains(cid));
    ensure!(!asked_again(&given.ipfs), "the root: {:?}", second.asked);
    for leaf in &leaves[..8] {
        ensure!(!asked_again(leaf), "{leaf}: {:?}", second.asked);
    }
    ensure!(second.bytes <= 13 * MIB, "{} bytes again", second.bytes);
    ensure!(said["fetched_bytes"].as_u64() <= Some(13 << 20), "{said}");
    verified(&b)
}

#[test]
fn requests_that_make_no_sense_are_refused() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let cid = name(RAW, b"nobody has this")?;
    let key = "k51qzi5uqu5dhmzyv3zac033i7rl9hkgczxyl81lwoukda2htteop7d3x0y1mf";
    // SHA-1 of the same words.
    let sha1 = "bafkrcfflpdg6y6nsf2yxshaewjokwjm7qpfydcy";
    let fetch = |cid: &str| format!("/api/v1/ipfs/{cid}/fetch");
    let many = vec!["https://a.example"; 17];
    let long = "x".repeat(301);
    for (path, body, codes) in [
        (fetch("nonsense"), json!({}), [400, 400]),
        (fetch(sha1), json!({}), [400, 400]),
        (fetch(key), json!({}), [400, 415]),
        (
            fetch(&cid.to_string()),
            json!({"gateways": many}),
            [400, 400],
        ),
        (
            fetch(&cid.to_string()),
            json!({"gateways": ["nonsense"]}),
            [400, 400],
        ),
        (
            fetch(&cid.to_string()),
            json!({"path": vec!["a"; 257]}),
            [400, 400],
        ),
        (
            fetch(&cid.to_string()),
            json!({"colour": "red"}),
            [400, 400],
        ),
        (
            "/api/v1/denylist".to_owned(),
            json!({"cid": "nonsense"}),
            [400, 400],
        ),
        (
            "/api/v1/denylist".to_owned(),
            json!({"cid": cid.to_string(), "reason": long}),
            [400, 400],
        ),
    ] {
        let json_type = ("content-type", "application/json");
        let sent = body.to_string();
        let answer = a
            .client()?
            .send("POST", &path, &[json_type], sent.as_bytes())?;
        ensure!(codes.contains(&answer.status), "{path} {body}: {answer:?}");
        let error = answer.json()?;
        ensure!(error["error"]["message"].is_string(), "{path}: {error}");
        let is_unsupported = error["error"]["code"] == "unsupported";
        ensure!(is_unsupported || path != fetch(sha1), "{path}: {error}");
        let stranger = a
            .reader()?
            .send("POST", &path, &[json_type], sent.as_bytes())?;
        ensure!(stranger.status == 401, "a stranger: {stranger:?}");
    }
    ensure!(
        a.reader()?.get("/api/v1/denylist")?.status == 401,
        "a stranger reads the list"
    );
    let never = a.run(&["deny", "--undo", &cid.to_string()])?;
    ended(&never, 0, &["allowed"])?;
    Ok(())
}
