//! Numbers, times and foreign text as a terminal shows them.

use std::time::Duration;

use gateway::api::types::{AlbumAdded, BlobAdded};
use indicatif::{HumanBytes, HumanDuration};
use views::{
    amount::count,
    data::{Author, Availability},
};

/// Characters of a shortened id.
const SHORT: usize = 8;

/// `3 minutes ago`.
pub(super) fn ago(then_ms: u64, now_ms: u64) -> String {
    match now_ms.checked_sub(then_ms) {
        None => "in the future".to_owned(),
        Some(..1_000) => "just now".to_owned(),
        Some(age_ms) => format!("{} ago", HumanDuration(Duration::from_millis(age_ms))),
    }
}

/// `1.50 GiB`.
pub(super) fn size(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// The last characters of an id, which differ most.
pub(super) fn short(id: &str) -> &str {
    id.char_indices()
        .rev()
        .nth(SHORT - 1)
        .map_or(id, |(at, _)| &id[at..])
}

/// Text that others wrote, without the control characters that would steer the terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => '\n',
            '\t' => ' ',
            // Bidirectional overrides can make a line read as another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// The same on one line.
pub(super) fn line(text: &str) -> String {
    plain(text).replace('\n', " ")
}

/// Display name with the end of the id, which can't be imitated.
pub(super) fn author(author: &Author) -> String {
    match &author.name {
        Some(name) if !name.trim().is_empty() => {
            format!("{} ({})", line(name), short(&author.identity))
        }
        _ => short(&author.identity).to_owned(),
    }
}

/// Who has it.
pub(super) fn availability(availability: &Availability) -> String {
    let Availability {
        sent_to, held_by, ..
    } = availability;
    if *held_by == 0 {
        format!("sent to {sent_to}, held in full by no other node yet: keep this node running")
    } else {
        format!("sent to {sent_to}, held in full by {held_by}")
    }
}

/// A blob that was imported, with what there is to know about it.
pub(super) fn added(blob: &BlobAdded) -> String {
    let mut text = format!(
        "{}  {}  {}  {}  {}",
        blob.blob,
        blob.ipfs,
        size(blob.size_bytes),
        blob.media_type,
        line(&blob.name)
    );
    if let (Some(width), Some(height)) = (blob.width, blob.height) {
        text.push_str(&format!("  {width}×{height}"));
    }
    if let Some(duration_ms) = blob.duration_ms {
        text.push_str(&format!("  {}", clock(duration_ms)));
    }
    if let Some(torrent) = &blob.torrent {
        text.push_str(&format!("\n  {}", torrent.magnet));
    }
    for note in &blob.notes {
        text.push_str(&format!("\n  note: {}", line(note)));
    }
    text
}

/// A folder that was imported.
pub(super) fn album(album: &AlbumAdded) -> String {
    let mut text = format!(
        "{}  {}  {}  {}",
        album.ipfs,
        size(album.size_bytes),
        count(album.files, "file", "files"),
        line(&album.name)
    );
    if let Some(torrent) = &album.torrent {
        text.push_str(&format!("\n  {}", torrent.magnet));
    }
    for note in &album.notes {
        text.push_str(&format!("\n  note: {}", line(note)));
    }
    text
}

/// Playing time: `1:02:03`.
pub(super) fn clock(duration_ms: u64) -> String {
    let seconds = duration_ms / 1_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(
            plain("a\u{1b}[2Jb\u{202e}c\nd"),
            "a\u{fffd}[2Jb\u{fffd}c\nd"
        );
        assert_eq!(line("a\nb"), "a b");
    }

    #[test]
    fn times_and_ids_are_short() {
        assert_eq!(ago(5_000, 1_000), "in the future");
        assert_eq!(ago(1_000, 1_500), "just now");
        assert_eq!(ago(0, 180_000), "3 minutes ago");
        assert_eq!(clock(62_000), "1:02");
        assert_eq!(clock(3_723_000), "1:02:03");
        assert_eq!(short("bafyabcdefgh12345678"), "12345678");
        assert_eq!(short("é"), "é");
    }
}
