//! `datt export`: writes a CAR, and checks every block of it on the way.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use blocks::dag::{CarDecoder, CarFault, CarItem, parse_cid};
use bytes::Bytes;
use cid::Cid;
use clap::Args;
use http_body_util::BodyExt;
use serde_json::json;
use tokio::time::timeout;
use views::amount::count;

use super::{
    client::{Client, SILENCE},
    failure::CommandError,
    outcome::Outcome,
    progress::Progress,
    words::size,
};
use crate::flow::capsule::{Contents, End, contents, end};

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// File to write, - for stdout
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Threads and spaces make a capsule, any other CID a plain CAR; none: the whole node
    #[arg(value_name = "CID", value_parser = whole_cid)]
    cids: Vec<Cid>,
}

fn whole_cid(text: &str) -> Result<Cid, &'static str> {
    parse_cid(text).ok_or("not a CID")
}

impl ExportArgs {
    fn to_stdout(&self) -> bool {
        self.file == Path::new("-")
    }

    /// What clap can't check.
    pub(super) fn check(&self, json: bool) -> Result<(), CommandError> {
        if json && self.to_stdout() {
            return Err(CommandError::Usage(
                "--json and the CAR can't both go to stdout; name a file".to_owned(),
            ));
        }
        if self.to_stdout() {
            return Ok(());
        }
        if self.file.is_dir() || self.file.file_name().is_none() {
            return Err(CommandError::Usage(format!(
                "{} is a folder; name a file in it",
                self.file.display()
            )));
        }
        // The finished file is put in the place of what is there: never of a device.
        if self.file.exists() && !self.file.is_file() {
            return Err(CommandError::Usage(format!(
                "{} is no regular file; use - and redirect standard output",
                self.file.display()
            )));
        }
        Ok(())
    }
}

pub(super) async fn run(client: &Client, args: &ExportArgs) -> Result<Outcome, CommandError> {
    if args.to_stdout() {
        let mut out = io::stdout().lock();
        let seen = copy(client, args, &mut out).await?;
        out.flush()
            .map_err(CommandError::io("write to", "stdout"))?;
        if let Some(note) = seen.lacking() {
            let _ = writeln!(io::stderr().lock(), "note: {note}");
        }
        return Ok(Outcome::new(String::new(), &()));
    }
    let mut part = Part::begin(&args.file)?;
    let seen = copy(client, args, &mut part.file).await?;
    part.keep()?;
    Ok(seen.outcome(&args.file))
}

async fn copy(
    client: &Client,
    args: &ExportArgs,
    out: &mut impl Write,
) -> Result<Seen, CommandError> {
    let cids: Vec<String> = args.cids.iter().map(ToString::to_string).collect();
    let path = format!("/api/v1/export?cids={}", cids.join(","));
    let mut body = client.bytes(&path, None).await?.into_body();
    let broken = |source: Box<dyn std::error::Error + Send + Sync>| CommandError::Connection {
        request: format!("GET {path}"),
        source,
    };
    let mut bar = Progress::of_bytes("exporting");
    let mut seen = Seen::default();
    loop {
        let frame = match timeout(SILENCE, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return Err(broken(Box::new(error))),
            Err(late) => return Err(broken(Box::new(late))),
        };
        let Ok(bytes) = frame.into_data() else {
            continue;
        };
        seen.take(&bytes).map_err(|fault| wrong(&fault))?;
        out.write_all(&bytes)
            .map_err(CommandError::io("write to", &args.file))?;
        bar.set(seen.size_bytes, 0);
    }
    seen.whole()?;
    Ok(seen)
}

fn wrong(fault: &CarFault) -> CommandError {
    CommandError::NotVerified(format!(
        "what the node sent is no sound CAR, and nothing of it was kept: {fault}; run `datt verify`"
    ))
}

/// What a CAR turns out to be while it passes by.
#[derive(Default)]
struct Seen {
    decoder: CarDecoder,
    size_bytes: u64,
    roots: Vec<Cid>,
    blocks: u64,
    contents: Option<Contents>,
    end: Option<End>,
}

impl Seen {
    fn take(&mut self, bytes: &Bytes) -> Result<(), CarFault> {
        self.size_bytes += bytes.len() as u64;
        self.decoder.push(bytes);
        while let Some(item) = self.decoder.next()? {
            match item {
                CarItem::Header { roots } => self.roots = roots,
                CarItem::Block { cid, bytes } => {
                    if self.blocks == 0 {
                        self.contents = contents(&cid, &bytes).ok().flatten();
                    }
                    self.blocks += 1;
                    self.end = self.contents.as_ref().and_then(|_| end(&cid, &bytes));
                }
            }
        }
        Ok(())
    }

    fn whole(&self) -> Result<(), CommandError> {
        self.decoder.end().map_err(|fault| wrong(&fault))?;
        if self.contents.is_some() && self.end.is_none() {
            return Err(CommandError::NotVerified(
                "the node's capsule has no end, and nothing of it was kept; look at the node's log"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    fn lacking(&self) -> Option<String> {
        let lacking = self.end?.lacking;
        (lacking > 0).then(|| {
            format!(
                "media files that are not held here and so not in the capsule: {lacking}; `datt pin` \
                 what you want whole, then export again"
            )
        })
    }

    fn outcome(&self, file: &Path) -> Outcome {
        let mut text = format!("{}: {}", file.display(), size(self.size_bytes));
        let roots: Vec<String> = self.roots.iter().map(ToString::to_string).collect();
        let mut value = json!({
            "file": file, "size_bytes": self.size_bytes, "blocks": self.blocks, "roots": roots,
            "kind": "car", "verified": true,
        });
        match (&self.contents, self.end) {
            (Some(contents), Some(end)) => {
                text.push_str(&format!(
                    ", {}, {}",
                    count(end.entries, "entry", "entries"),
                    count(end.files, "file", "files")
                ));
                value["kind"] = "capsule".into();
                value["spaces"] = json!(contents.spaces);
                value["threads"] = json!(contents.threads);
                value["entries"] = end.entries.into();
                value["files"] = end.files.into();
                value["lacking_files"] = end.lacking.into();
            }
            _ => text.push_str(&format!(", {}", count(self.blocks, "block", "blocks"))),
        }
        text.push_str(", verified");
        if let Some(note) = self.lacking() {
            text.push_str(&format!("\n  note: {note}"));
        }
        Outcome::new(text, &value)
    }
}

/// A hidden file beside the wanted one: it gets its name when it is whole, or goes.
struct Part {
    path: PathBuf,
    wanted: PathBuf,
    file: File,
    is_kept: bool,
}

impl Part {
    fn begin(wanted: &Path) -> Result<Self, CommandError> {
        let name = wanted.file_name().unwrap_or_default().to_string_lossy();
        let path = wanted.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .open(&path)
            .map_err(CommandError::io("write", wanted))?;
        Ok(Self {
            path,
            wanted: wanted.to_owned(),
            file,
            is_kept: false,
        })
    }

    fn keep(mut self) -> Result<(), CommandError> {
        self.file
            .sync_all()
            .map_err(CommandError::io("write", &self.path))?;
        fs::rename(&self.path, &self.wanted)
            .map_err(CommandError::io("rename to", &self.wanted))?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_kept {
            // Best effort: what is left is hidden, and no CAR by its name.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_gets_its_name_only_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = dir.path().join("thread.car");
        let mut part = Part::begin(&wanted).unwrap();
        part.file.write_all(b"half").unwrap();
        drop(part);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        fs::write(&wanted, b"old").unwrap();
        let mut part = Part::begin(&wanted).unwrap();
        part.file.write_all(b"whole").unwrap();
        assert_eq!(fs::read(&wanted).unwrap(), b"old");
        part.keep().unwrap();
        assert_eq!(fs::read(&wanted).unwrap(), b"whole");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
