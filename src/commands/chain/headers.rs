//! `datt chain headers`.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use bitcoin::consensus::encode::serialize_hex;
use clap::Args;
use serde_json::json;
use spv::{
    Network,
    chain::{ChainStore, HeaderChain, Imported, StoreError},
};
use views::amount::count;

use crate::{
    commands::{
        failure::CommandError,
        outcome::Outcome,
        pay::proof::{header_file, headers_in, now_s, unusable},
    },
    config::{Config, Flags, data_folder},
    data_folder::{DataFolder, FolderError},
};

/// Headers that are printed where no number is given.
const PRINTED: u32 = 10;
/// Most headers that are printed, as lines or JSON: more go into a file.
const PRINTED_MOST: u32 = 2_016;

#[derive(Debug, Args)]
pub(in crate::commands) struct HeadersArgs {
    /// From this height on; without it the last ones are printed, all are exported
    #[arg(long, value_name = "HEIGHT")]
    from: Option<u32>,
    /// So many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Write them to a file, 80 bytes each
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// As lines of 160 hexadecimal digits, on stdout or in the file
    #[arg(long)]
    hex: bool,
    /// Take in headers that were exported, each checked; the node must be stopped
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "count", "out", "hex"])]
    import: Option<PathBuf>,
    /// Network, instead of the one in the configuration
    #[arg(long, value_name = "bitcoin|testnet4|signet|regtest")]
    network: Option<Network>,
}

pub(super) fn run(flags: &Flags, args: &HeadersArgs) -> Result<Outcome, CommandError> {
    let data = data_folder(flags)?;
    let network = match args.network {
        Some(network) => network,
        None => Config::load(flags)?
            .payments
            .network
            .network()
            .ok_or_else(|| {
                CommandError::Usage(
                "the configuration names no network (payments.network): name one with --network"
                    .to_owned(),
            )
            })?,
    };
    if let Some(file) = &args.import {
        return import(&data, network, file);
    }
    // Read beside a running node: its file only grows.
    let chain = headers_in(&header_file(&data, network), network)?;
    match &args.out {
        Some(path) => export(&chain, args, path),
        None => print(&chain, args),
    }
}

/// First height and the one after the last.
fn range(
    chain: &HeaderChain,
    args: &HeadersArgs,
    last: Option<u32>,
) -> Result<(u32, u32), CommandError> {
    let end = chain.tip().height + 1;
    let count = args.count.or(last);
    let from = match (args.from, count) {
        (Some(from), _) => from,
        (None, Some(count)) if args.out.is_none() => end.saturating_sub(count),
        (None, _) => 0,
    };
    if from >= end {
        return Err(CommandError::Missing(format!(
            "there is no header at height {from}: the last has height {}",
            end - 1
        )));
    }
    Ok((
        from,
        count.map_or(end, |count| from.saturating_add(count).min(end)),
    ))
}

fn print(chain: &HeaderChain, args: &HeadersArgs) -> Result<Outcome, CommandError> {
    let (from, end) = range(chain, args, Some(PRINTED))?;
    if end - from > PRINTED_MOST {
        return Err(CommandError::Usage(format!(
            "at most {PRINTED_MOST} headers are printed: write more to a file with --out FILE"
        )));
    }
    let mut lines = Vec::new();
    let mut all = Vec::new();
    for height in from..end {
        let Some(header) = chain.header(height) else {
            break;
        };
        let (hash, hex) = (header.block_hash(), serialize_hex(&header));
        all.push(json!({
            "height": height, "hash": hash.to_string(), "time_s": header.time, "header": hex,
        }));
        lines.push(if args.hex {
            hex
        } else {
            format!("{height}  {hash}  {}", header.time)
        });
    }
    Ok(Outcome::new(lines.join("\n"), &all))
}

fn export(chain: &HeaderChain, args: &HeadersArgs, path: &Path) -> Result<Outcome, CommandError> {
    let (from, end) = range(chain, args, None)?;
    let file = File::create(path).map_err(CommandError::io("create", path))?;
    write(chain, from..end, args.hex, file).map_err(CommandError::io("write", path))?;
    let written = end - from;
    let text = format!(
        "{} of {}, from height {from} to {}, in {}",
        count(written.into(), "header", "headers"),
        chain.network(),
        end - 1,
        path.display()
    );
    let json = json!({
        "network": chain.network().name(), "from": from, "count": written,
        "out": path.display().to_string(),
    });
    Ok(Outcome::new(text, &json))
}

fn write(
    chain: &HeaderChain,
    heights: std::ops::Range<u32>,
    hex: bool,
    file: File,
) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    for header in heights.filter_map(|height| chain.header(height)) {
        if hex {
            writeln!(out, "{}", serialize_hex(&header))?;
        } else {
            out.write_all(&bitcoin::consensus::serialize(&header))?;
        }
    }
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()
}

/// Checks headers and adds them to the file, as long as no node has it.
fn import(data: &Path, network: Network, from: &Path) -> Result<Outcome, CommandError> {
    let file = File::open(from).map_err(CommandError::io("read the headers in", from))?;
    // The lock lasts until the end.
    let _folder = DataFolder::open(data).map_err(|error| match error {
        FolderError::InUse { .. } => CommandError::Usage(format!(
            "{error}: headers are imported while the node is stopped"
        )),
        error => unusable(error),
    })?;
    let path = header_file(data, network);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(CommandError::io("create", folder))?;
    }
    let mut store = ChainStore::open(&path, network).map_err(unusable)?;
    let before = store.chain().tip().height;
    let mut imported = Imported::new(BufReader::new(file));
    let mut read = 0_u64;
    loop {
        let headers = imported.batch().map_err(unusable)?;
        if headers.is_empty() {
            break;
        }
        read += headers.len() as u64;
        store
            .accept(&headers, now_s())
            .map_err(|error| match error {
                StoreError::Refused(error) => CommandError::NotVerified(format!(
                    "{error}; those before it were taken, up to height {}",
                    error.kept.tip.height
                )),
                error => unusable(error),
            })?;
    }
    if read == 0 {
        return Err(CommandError::Usage(format!(
            "there are no headers in {}",
            from.display()
        )));
    }
    Ok(imported_so_far(&store, before, read))
}

fn imported_so_far(store: &ChainStore, before: u32, read: u64) -> Outcome {
    let (chain, tip) = (store.chain(), store.chain().tip());
    let mut text = format!(
        "{} of {} read; the chain ended at height {before}, now at {}, {}",
        count(read, "header", "headers"),
        chain.network(),
        tip.height,
        tip.hash
    );
    if !chain.has_minimum_work() {
        text.push_str("\nwarning: too little work to be believed yet: import the rest");
    }
    let json = json!({
        "network": chain.network().name(), "read": read, "height": tip.height,
        "hash": tip.hash.to_string(), "has_minimum_work": chain.has_minimum_work(),
    });
    Outcome::new(text, &json)
}

#[cfg(test)]
mod tests;
