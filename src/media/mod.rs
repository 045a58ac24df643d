//! What a media file is and how it looks: type by its first bytes, dimensions, duration, a
//! thumbnail. Pictures are decoded here; audio and video by ffmpeg, if it is installed, in a child
//! process with little memory and less time.
//!
//! Everything found is a help for people, never a condition: a file that can't be read gives notes.

mod child;
mod picture;
mod probe;
mod sniff;

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    sync::OnceLock,
};

use blocks::BlobSource;
use bytes::Bytes;
use tokio::sync::Semaphore;

pub use sniff::{EXTENSIONS, MediaKind, MediaType, sniff};

use crate::config;

/// Type of a file that pages don't show.
pub const OTHER_TYPE: &str = "application/octet-stream";
/// Longest thumbnail, bytes; a bigger one is left out.
pub const THUMB_BYTES: u64 = 256 * 1024;
/// Bytes that the type is told by.
const HEAD_BYTES: usize = 4096;

/// Files looked into at once, as the first configuration says: decoding takes memory.
static TURNS: OnceLock<Semaphore> = OnceLock::new();

/// Endings that [`ending`] gives.
pub const ENDINGS: &[&str] = &{
    let mut all = [OTHER_ENDING; EXTENSIONS.len() + 1];
    let mut at = 0;
    while at < EXTENSIONS.len() {
        all[at] = EXTENSIONS[at];
        at += 1;
    }
    all
};
/// Ending of a file that pages don't show.
const OTHER_ENDING: &str = "bin";

/// What was found out about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaInfo {
    /// Its type, by its first bytes; [`OTHER_TYPE`] if it is none that pages show.
    pub media_type: String,
    /// Width as shown, pixels.
    pub width: Option<u32>,
    /// Height as shown, pixels.
    pub height: Option<u32>,
    /// Duration, milliseconds.
    pub duration_ms: Option<u64>,
    /// A thumbnail, as JPEG: of a picture or video, or an audio file's cover.
    pub thumb: Option<Bytes>,
    /// What is missing and why, for the person who posts.
    pub notes: Vec<String>,
}

impl MediaInfo {
    fn of(media_type: Option<MediaType>) -> Self {
        Self {
            media_type: media_type.map_or(OTHER_TYPE, MediaType::as_str).to_owned(),
            width: None,
            height: None,
            duration_ms: None,
            thumb: None,
            notes: Vec::new(),
        }
    }

    fn noted(mut self, note: impl ToString) -> Self {
        self.notes.push(note.to_string());
        self
    }
}

/// Looks into a file. Takes seconds at most, whatever the file; what can't be understood only
/// makes notes.
pub async fn inspect(source: &BlobSource, config: &config::Media) -> MediaInfo {
    let turns = TURNS.get_or_init(|| Semaphore::new(config.children.max(1)));
    let _turn = turns.acquire().await.expect("the turns are never closed");
    let opened = {
        let source = source.clone();
        blocking(move || open(&source)).await
    };
    let (file, head) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) | Err(error) => {
            return MediaInfo::of(None).noted(format!("the file can't be read: {error}"));
        }
    };
    let Some(media_type) = sniff(&head) else {
        let note = "pages don't show files of this type: it is offered for download";
        return MediaInfo::of(None).noted(note);
    };
    let info = MediaInfo::of(Some(media_type));
    if !media_type.is_decoded_here() {
        return probe::look(config, &file, media_type, info).await;
    }
    let side = config.thumb_pixels;
    blocking(move || picture::look(file, media_type, side, info))
        .await
        .unwrap_or_else(|_| {
            MediaInfo::of(Some(media_type)).noted("no thumbnail: the picture is damaged")
        })
}

/// What a file's name ends with in torrents, without the dot: told by its first bytes alone, so that
/// it is the same on every node.
///
/// # Errors
/// When the file can't be read.
pub async fn ending(source: BlobSource) -> io::Result<&'static str> {
    let (_, head) = blocking(move || open(&source)).await??;
    Ok(sniff(&head).map_or(OTHER_ENDING, MediaType::extension))
}

/// Runs what blocks; a panic there is an error here.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, io::Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)
}

/// Opens the source as a file that can be read at any place, and its first bytes.
fn open(source: &BlobSource) -> io::Result<(File, Vec<u8>)> {
    let mut file = match source {
        BlobSource::File { path, .. } => File::open(path)?,
        BlobSource::Bytes(bytes) => in_memory(bytes)?,
    };
    let mut head = Vec::with_capacity(HEAD_BYTES);
    (&mut file).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    Ok((file, head))
}

fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let descriptor = rustix::fs::memfd_create("datt-media", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = File::from(descriptor);
    file.write_all(bytes)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

#[cfg(test)]
mod tests;
