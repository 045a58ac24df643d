//! Torrents of others: the node downloads them and names their files by CID, then they are written
//! out like anything else that is read by CID.

use std::{fs, path::Path, path::PathBuf};

use gateway::api::types::{TorrentDone, TorrentProgress, TorrentRequest, TorrentSource};
use serde_json::json;

use super::{
    super::{
        client::Client,
        failure::CommandError,
        outcome::Outcome,
        progress::Progress,
        words::{line, size},
    },
    GetArgs, folder,
    ipfs::{self, IpfsPath},
};

const ROUTE: &str = "/api/v1/torrents";

/// What names a torrent on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A magnet link.
    Magnet(String),
    /// A `.torrent` file.
    File(PathBuf),
}

impl Named {
    /// Takes a magnet link, or the name of a `.torrent` file.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_magnet = text
            .get(.."magnet:".len())
            .is_some_and(|start| start.eq_ignore_ascii_case("magnet:"));
        if is_magnet {
            return Some(Self::Magnet(text.to_owned()));
        }
        let path = Path::new(text);
        let is_file = path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("torrent"));
        is_file.then(|| Self::File(path.to_owned()))
    }

    fn source(&self) -> Result<TorrentSource, CommandError> {
        match self {
            Self::Magnet(link) => {
                // Told here, before a node is asked.
                let parsed = link.parse::<torrent::Magnet>();
                parsed.map_err(|fault| CommandError::Usage(fault.to_string()))?;
                Ok(TorrentSource::Magnet(link.clone()))
            }
            Self::File(path) => {
                let metadata = fs::metadata(path).map_err(CommandError::io("read", path))?;
                if metadata.len() > torrent::MAX_METAINFO_BYTES as u64 {
                    return Err(CommandError::Usage(format!(
                        "{} is too large for a .torrent file: {}",
                        path.display(),
                        size(metadata.len())
                    )));
                }
                let bytes = fs::read(path).map_err(CommandError::io("read", path))?;
                let read = torrent::Metainfo::decode(&bytes);
                read.map_err(|fault| {
                    CommandError::Usage(format!("{} can't be used: {fault}", path.display()))
                })?;
                Ok(TorrentSource::File(bytes))
            }
        }
    }
}

pub(super) async fn run(
    client: &Client,
    args: &GetArgs,
    named: &Named,
) -> Result<Outcome, CommandError> {
    let request = TorrentRequest {
        source: named.source()?,
        peers: args.peers.clone(),
        publicity: args.publicity,
    };
    let done = download(client, &request).await?;
    let answer = |reason: String| CommandError::Answer {
        request: format!("POST {ROUTE}"),
        reason,
    };
    let path = IpfsPath::parse(&done.ipfs).map_err(answer)?;
    let safe = Some(done.name.clone()).filter(|name| folder::is_safe(name));
    let args = GetArgs {
        output: args.output.clone().or_else(|| safe.map(PathBuf::from)),
        ..args.clone()
    };
    let written = ipfs::run(client, &args, &path).await?;
    Ok(outcome(&done, written))
}

async fn download(client: &Client, request: &TorrentRequest) -> Result<TorrentDone, CommandError> {
    let mut bar = Progress::of_bytes("looking for peers");
    let mut events = client
        .events::<TorrentProgress>(ROUTE, Some(request))
        .await?;
    while let Some(event) = events.next().await? {
        match event {
            TorrentProgress::Progress {
                stage,
                done_bytes,
                total_bytes,
                peers,
                ..
            } => {
                bar.name(format!("{stage}, {peers} peers"));
                bar.set(done_bytes, total_bytes);
            }
            TorrentProgress::Done(done) => return Ok(done),
        }
    }
    Err(events.cut_off())
}

fn outcome(done: &TorrentDone, written: Outcome) -> Outcome {
    let mut lines = vec![format!(
        "{}  {}  {}  {}",
        done.infohash,
        done.ipfs,
        size(done.size_bytes),
        line(&done.name)
    )];
    for file in &done.files {
        let (blob, path) = (&file.blob, line(&file.path));
        lines.push(format!("  {blob}  {}  {path}", size(file.size_bytes)));
    }
    lines.extend(
        done.notes
            .iter()
            .map(|note| format!("  note: {}", line(note))),
    );
    if !written.text.is_empty() {
        lines.push(written.text);
    }
    Outcome::new(
        lines.join("\n"),
        &json!({"torrent": done, "written": written.json}),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_files_are_told_from_cids() {
        assert!(matches!(
            Named::parse("magnet:?xt=x"),
            Some(Named::Magnet(_))
        ));
        assert!(matches!(
            Named::parse("MAGNET:?xt=x"),
            Some(Named::Magnet(_))
        ));
        assert!(matches!(Named::parse("a/b.torrent"), Some(Named::File(_))));
        for other in ["bafyabc", "torrent", "é", "bafy/x.webm"] {
            assert_eq!(Named::parse(other), None, "{other}");
        }
    }
}
