//! Commands against a node that answers what the test says.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use clap::Parser;
use model::BlobId;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{Cli, Outcome, failure::CommandError};

/// Answers every request by its head until it is dropped.
pub(super) struct Stub {
    data: tempfile::TempDir,
    task: JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    if let Some((_, rest)) = head.split_once("content-length: ") {
        let length = rest.lines().next().unwrap().parse().unwrap();
        stream.read_exact(&mut vec![0; length]).await.unwrap();
    }
    head
}

impl Stub {
    pub(super) async fn new(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let data = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let running = format!("{{\"url\":\"http://{address}\",\"pid\":1}}");
        fs::write(data.path().join("node.json"), running).unwrap();
        fs::write(data.path().join("api-token"), "secret\n").unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let head = head(&mut stream).await;
                assert!(head.contains("authorization: bearer secret\r\n"), "{head}");
                stream.write_all(&answer(&head)).await.unwrap();
            }
        });
        Self { data, task }
    }

    pub(super) async fn run(&self, args: &[&str]) -> Result<Outcome, CommandError> {
        let data = self.data.path().to_str().unwrap();
        let line = ["datt", "--data", data]
            .into_iter()
            .chain(args.iter().copied());
        Cli::try_parse_from(line).unwrap().run().await
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.data.path().join(name).to_str().unwrap().to_owned()
    }
}

pub(super) fn answer(status: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub(super) fn events(list: &[&str]) -> Vec<u8> {
    let body: String = list
        .iter()
        .map(|data| format!("event: x\ndata: {data}\n\n"))
        .collect();
    answer("200 OK", "text/event-stream", body.as_bytes())
}

const DONE: &str = r#"{"state":"done","held_bytes":11,"total_bytes":11}"#;

/// A node that says that it has fetched the blob, and hands out these bytes, with ranges.
fn holder(bytes: &'static [u8]) -> impl Fn(&str) -> Vec<u8> + Send + 'static {
    move |head| {
        if head.starts_with("post ") {
            return events(&[
                r#"{"state":"progress","held_bytes":1,"total_bytes":11}"#,
                DONE,
            ]);
        }
        match head.split_once("range: bytes=") {
            Some((_, range)) => {
                let from: usize = range.split('-').next().unwrap().parse().unwrap();
                answer(
                    "206 Partial Content",
                    "application/octet-stream",
                    &bytes[from..],
                )
            }
            None => answer("200 OK", "application/octet-stream", bytes),
        }
    }
}

fn parts(folder: &Path) -> usize {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().ends_with(".part"))
        .count()
}

#[tokio::test]
async fn get_writes_what_hashes_to_the_cid() {
    let stub = Stub::new(holder(b"hello world")).await;
    let (cid, out) = (BlobId::of(b"hello world").to_string(), stub.path("out"));
    let outcome = stub.run(&["get", &cid, "-o", &out]).await.unwrap();
    assert_eq!(outcome.json["verified"], true);
    assert_eq!(fs::read(&out).unwrap(), b"hello world");
    assert_eq!(parts(stub.data.path()), 0);
}

#[tokio::test]
async fn get_goes_on_where_it_was_cut_off() {
    let stub = Stub::new(holder(b"hello world")).await;
    let (cid, out) = (BlobId::of(b"hello world").to_string(), stub.path("out"));
    for held in [&b"hello"[..], b"hello world"] {
        fs::write(stub.path(&format!(".{cid}.part")), held).unwrap();
        stub.run(&["get", &cid, "-o", &out]).await.unwrap();
        assert_eq!(fs::read(&out).unwrap(), b"hello world");
    }
}

#[tokio::test]
async fn get_does_not_believe_the_node() {
    let stub = Stub::new(holder(b"hello w0rld")).await;
    let (cid, out) = (BlobId::of(b"hello world").to_string(), stub.path("out"));
    let error = stub.run(&["get", &cid, "-o", &out]).await.unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
    assert!(!Path::new(&out).exists());
    assert_eq!(parts(stub.data.path()), 0);
}

#[tokio::test]
async fn the_nodes_refusals_decide_the_exit_code() {
    let refusal = r#"{"error":{"code":"not_found","message":"no such thread"}}"#;
    let stub =
        Stub::new(move |_| answer("404 Not Found", "application/json", refusal.as_bytes())).await;
    let cid = model::EntryId::of(b"x").to_string();
    let error = stub.run(&["thread", &cid]).await.unwrap_err();
    assert_eq!(
        (error.exit_code(), error.to_string().as_str()),
        (3, "no such thread")
    );
}

#[tokio::test]
async fn a_failure_in_the_middle_of_progress_is_one() {
    let stub = Stub::new(|_| {
        events(&[
            r#"{"state":"progress","stage":"copy","done_bytes":1,"total_bytes":2}"#,
            r#"{"error":{"code":"quota_exceeded","message":"no room"}}"#,
        ])
    })
    .await;
    let file = stub.path("api-token");
    let error = stub.run(&["add", &file]).await.unwrap_err();
    assert_eq!(
        (error.exit_code(), error.code().as_str()),
        (1, "quota_exceeded")
    );
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_a_failure() {
    let stub = Stub::new(|_| events(&[])).await;
    let error = stub.run(&["verify"]).await.unwrap_err();
    assert_eq!(
        (error.exit_code(), error.code().as_str()),
        (1, "connection")
    );
}

#[tokio::test]
async fn verify_tells_problems_by_its_exit_code() {
    let done = r#"{"state":"done","ok":false,"problems":["a blob is short"]}"#;
    let stub = Stub::new(move |_| events(&[done])).await;
    let outcome = stub.run(&["verify"]).await.unwrap();
    assert_eq!(
        (outcome.exit_code, outcome.text.as_str()),
        (4, "a blob is short")
    );
}

#[tokio::test]
async fn a_node_that_has_gone_is_no_node() {
    let stub = Stub::new(|_| Vec::new()).await;
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let running = format!("{{\"url\":\"http://{closed}\",\"pid\":1}}");
    fs::write(stub.path("node.json"), running).unwrap();
    let error = stub.run(&["status"]).await.unwrap_err();
    assert_eq!(error.exit_code(), 5);
    assert!(error.to_string().contains("datt up"), "{error}");
}

#[tokio::test]
async fn wrong_use_is_told_before_the_node_is_asked() {
    let stub = Stub::new(|_| Vec::new()).await;
    let cid = BlobId::of(b"x").to_string();
    for args in [
        &["--json", "get", &cid, "-o", "-"][..],
        &[
            "post",
            "--reply-to",
            &model::EntryId::of(b"x").to_string(),
            "--alt",
            "a",
            "text",
        ],
    ] {
        let error = stub.run(args).await.unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
    }
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}
