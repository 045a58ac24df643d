#![allow(clippy::unwrap_used)]

use clap::Parser;
use spv::regtest::Miner;

use super::*;
use crate::commands::Cli;

/// Long past, so that no header lies ahead of the clock.
const TIME_S: u32 = 1_600_000_000;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    async fn headers(&self, args: &[&str]) -> Result<Outcome, CommandError> {
        let data = self.path("data");
        let line = ["datt", "--data", &data, "chain", "headers"];
        let line = line.into_iter().chain(["--network", "regtest"]);
        let line = line.chain(args.iter().copied());
        Cli::try_parse_from(line).unwrap().run().await
    }
}

fn raw(miner: &Miner, from: usize) -> Vec<u8> {
    let blocks = miner.blocks();
    let headers = blocks[from..].iter();
    headers
        .flat_map(|block| bitcoin::consensus::serialize(&block.header))
        .collect()
}

#[tokio::test]
async fn headers_go_out_and_come_in_again() {
    let miner = Miner::new(1, TIME_S);
    miner.mine_many(25);
    let folder = Folder::new();
    let file = folder.path("mined");
    fs::write(&file, raw(&miner, 1)).unwrap();
    let outcome = folder.headers(&["--import", &file]).await.unwrap();
    assert_eq!(
        (&outcome.json["read"], &outcome.json["height"]),
        (&json!(25), &json!(25))
    );
    // Again: nothing new, nothing wrong.
    let again = folder.headers(&["--import", &file]).await.unwrap();
    assert_eq!(again.json["height"], 25);

    let out = folder.path("out");
    for form in [&["--out", &out][..], &["--out", &out, "--hex"]] {
        let outcome = folder.headers(form).await.unwrap();
        assert_eq!(outcome.json["count"], 26);
        let other = Folder::new();
        let outcome = other.headers(&["--import", &out]).await.unwrap();
        assert_eq!(outcome.json["height"], 25, "{form:?}");
    }
    let part = ["--out", &out, "--from", "20", "--count", "3"];
    folder.headers(&part).await.unwrap();
    assert_eq!(fs::read(&out).unwrap(), raw(&miner, 20)[..3 * 80]);
}

#[tokio::test]
async fn the_last_headers_are_printed() {
    let miner = Miner::new(1, TIME_S);
    miner.mine_many(25);
    let folder = Folder::new();
    let file = folder.path("mined");
    fs::write(&file, raw(&miner, 0)).unwrap();
    folder.headers(&["--import", &file]).await.unwrap();
    let outcome = folder.headers(&[]).await.unwrap();
    let heights: Vec<_> = outcome.json.as_array().unwrap().iter().collect();
    assert_eq!((heights.len(), &heights[0]["height"]), (10, &json!(16)));
    assert_eq!(heights[9]["hash"], miner.tip().block_hash().to_string());
    assert!(outcome.text.ends_with(&(TIME_S + 600 * 25).to_string()));
    let hex = ["--hex", "--from", "3", "--count", "1"];
    let hex = folder.headers(&hex).await.unwrap().text;
    assert_eq!(hex, serialize_hex(&miner.blocks()[3].header));
}

#[tokio::test]
async fn what_cannot_be_had_or_taken_says_why() {
    let folder = Folder::new();
    let missing = folder.headers(&[]).await.unwrap_err();
    assert_eq!(missing.exit_code(), 3, "{missing}");
    let miner = Miner::new(1, TIME_S);
    miner.mine_many(9);
    let file = folder.path("mined");
    let good = raw(&miner, 1);
    let mut forged = good.clone();
    // In the hash of the block before it.
    forged[5 * 80 + 10] ^= 1;
    for (bytes, exit_code, part) in [
        (Vec::new(), 2, "no headers in"),
        (good[..100].to_vec(), 1, "cut off"),
        (b"not headers".to_vec(), 1, "header"),
        (forged, 4, "up to height 5"),
        (raw(&miner, 9), 4, "not known here"),
    ] {
        fs::write(&file, bytes).unwrap();
        let error = folder.headers(&["--import", &file]).await.unwrap_err();
        assert_eq!(error.exit_code(), exit_code, "{part}: {error}");
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    let beyond = folder.headers(&["--from", "99"]).await.unwrap_err();
    assert_eq!(beyond.exit_code(), 3, "{beyond}");
    let none = folder.headers(&["--import", &folder.path("none")]).await;
    assert_eq!(none.unwrap_err().exit_code(), 3);
    let many = ["--count", "5000", "--from", "0"];
    // Fewer than that are there.
    folder.headers(&many).await.unwrap();
}

#[tokio::test]
async fn headers_are_imported_only_while_the_node_is_stopped() {
    let folder = Folder::new();
    let _node = DataFolder::open(Path::new(&folder.path("data"))).unwrap();
    let file = folder.path("mined");
    fs::write(&file, raw(&Miner::new(1, TIME_S), 0)).unwrap();
    let error = folder.headers(&["--import", &file]).await.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(
        error.to_string().contains("while the node is stopped"),
        "{error}"
    );
}

#[tokio::test]
async fn a_network_must_be_named_somewhere() {
    let folder = Folder::new();
    let data = folder.path("data");
    let line = ["datt", "--data", &data, "chain", "headers"];
    let error = Cli::try_parse_from(line).unwrap().run().await.unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    fs::create_dir(&data).unwrap();
    let config = folder.path("data/config.toml");
    fs::write(config, "[payments]\nnetwork = \"regtest\"\n").unwrap();
    let error = Cli::try_parse_from(line).unwrap().run().await.unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
}
