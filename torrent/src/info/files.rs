//! Names and lengths of a torrent's files.

use std::ops::Range;

use super::{MAX_LENGTH_BYTES, MAX_PATH_BYTES, integer, required, wrong_type};
use crate::{MetainfoFault, PathFault, bencode::Value};

/// What a file is there for (BEP 47).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileRole {
    /// Content.
    Content,
    /// Zeros that let the next file begin with a piece. Not to be stored; paths may repeat.
    Padding,
    /// A symbolic link, whose target is not read here. Not to be followed or made.
    Symlink,
}

/// A file of a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TorrentFile {
    path: String,
    range: Range<u64>,
    role: FileRole,
}

impl TorrentFile {
    /// Its path below the album's name, its name if there is no album. Relative, parts separated by
    /// `/`, none of them empty, `.` or `..`. But for padding, no other file has it, nor lies in it as if
    /// it were a folder; where upper and lower case are the same, another may.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where its bytes lie in the stream of all files.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Its length, bytes.
    pub fn length_bytes(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// What it is there for.
    pub fn role(&self) -> FileRole {
        self.role
    }
}

/// A length as it is written.
pub(super) fn to_length(size_bytes: u64) -> Result<i64, MetainfoFault> {
    // what doesn't fit is refused as what is too long
    let length = i64::try_from(size_bytes);
    length.map_err(|_| MetainfoFault::Length { at: 0 })
}

/// The file of a torrent that has only one.
pub(super) fn single(name: &str, length: Value<'_>) -> Result<TorrentFile, MetainfoFault> {
    Ok(TorrentFile {
        path: name.to_owned(),
        range: 0..end_of(0, length)?,
        role: FileRole::Content,
    })
}

/// The files of an album.
pub(super) fn read(list: Value<'_>) -> Result<Vec<TorrentFile>, MetainfoFault> {
    let items = list.items();
    let items = items.ok_or_else(|| wrong_type("files", "list", list))?;
    let mut files: Vec<TorrentFile> = Vec::new();
    let mut places = Vec::new();
    for item in items {
        let start = files.last().map_or(0, |last| last.range.end);
        let (file, at) = read_one(item, start)?;
        files.push(file);
        places.push(at);
    }
    check_paths(&files, &places)?;
    Ok(files)
}

/// Reads a file, and where its path stands.
fn read_one(file: Value<'_>, start: u64) -> Result<(TorrentFile, usize), MetainfoFault> {
    let (mut attr, mut length, mut path, mut path_utf8) = (None, None, None, None);
    let entries = file.entries();
    for (key, value) in entries.ok_or_else(|| wrong_type("file", "dictionary", file))? {
        match key {
            b"attr" => attr = Some(value),
            b"length" => length = Some(value),
            b"path" => path = Some(value),
            b"path.utf-8" => path_utf8 = Some(value),
            _ => {}
        }
    }
    let role = match attr {
        Some(attr) => role_of(attr)?,
        None => FileRole::Content,
    };
    let end = match (length, role) {
        (None, FileRole::Symlink) => start,
        _ => end_of(start, required(length, "length")?)?,
    };
    let path = required(path, "path")?;
    let file = TorrentFile {
        path: read_path(path, path_utf8)?,
        range: start..end,
        role,
    };
    Ok((file, path.span().start))
}

/// Attributes are letters in any order; unknown ones mean nothing (BEP 47).
fn role_of(attr: Value<'_>) -> Result<FileRole, MetainfoFault> {
    let letters = attr.bytes();
    let letters = letters.ok_or_else(|| wrong_type("attr", "byte string", attr))?;
    Ok(if letters.contains(&b'p') {
        FileRole::Padding
    } else if letters.contains(&b'l') {
        FileRole::Symlink
    } else {
        FileRole::Content
    })
}

/// Where a file of this length ends that starts there.
fn end_of(start: u64, length: Value<'_>) -> Result<u64, MetainfoFault> {
    let number = u64::try_from(integer(length, "length")?).ok();
    let end = number.and_then(|number| start.checked_add(number));
    let end = end.filter(|end| *end <= MAX_LENGTH_BYTES);
    end.ok_or(MetainfoFault::Length {
        at: length.span().start,
    })
}

/// A path, or its `.utf-8` twin when it is in another encoding.
fn read_path(path: Value<'_>, twin: Option<Value<'_>>) -> Result<String, MetainfoFault> {
    let at = path.span().start;
    let fault = |fault| MetainfoFault::Path { fault, at };
    let mut parts = path
        .items()
        .filter(|parts| parts.clone().all(|part| part.bytes().is_some()))
        .ok_or_else(|| wrong_type("path", "list of byte strings", path))?;
    if parts.clone().any(|part| part.text().is_none()) {
        let twin = twin.and_then(|twin| twin.items());
        parts = twin.ok_or(fault(PathFault::NotUtf8))?;
    }
    let mut joined = String::new();
    for part in parts {
        let part = part.text().ok_or(fault(PathFault::NotUtf8))?;
        check_part(part, at)?;
        if !joined.is_empty() {
            joined.push('/');
        }
        joined.push_str(part);
        if joined.len() > MAX_PATH_BYTES {
            return Err(fault(PathFault::TooLong));
        }
    }
    if joined.is_empty() {
        return Err(fault(PathFault::Empty));
    }
    Ok(joined)
}

/// Checks a part of a path that stands there.
pub(super) fn check_part(part: &str, at: usize) -> Result<(), MetainfoFault> {
    let fault = if part.is_empty() {
        PathFault::Empty
    } else if part == "." || part == ".." {
        PathFault::Dots
    } else if part.contains(['/', '\\']) {
        PathFault::Separator
    } else if part.contains('\0') {
        PathFault::Nul
    } else if part.len() > MAX_PATH_BYTES {
        PathFault::TooLong
    } else {
        return Ok(());
    };
    Err(MetainfoFault::Path { fault, at })
}

/// Checks that no file has the path of another, or lies in another. `places` are where the paths
/// stand.
fn check_paths(files: &[TorrentFile], places: &[usize]) -> Result<(), MetainfoFault> {
    let mut paths: Vec<(&str, usize)> = files
        .iter()
        .zip(places)
        .filter(|(file, _)| file.role != FileRole::Padding)
        .map(|(file, at)| (file.path(), *at))
        .collect();
    // part by part, so that what lies in a file comes right behind it
    paths.sort_by(|(a, a_at), (b, b_at)| a.split('/').cmp(b.split('/')).then(a_at.cmp(b_at)));
    for pair in paths.windows(2) {
        let ((before, _), (path, at)) = (pair[0], pair[1]);
        let fault = match path.strip_prefix(before) {
            Some("") => PathFault::Repeated,
            Some(rest) if rest.starts_with('/') => PathFault::InFile,
            _ => continue,
        };
        return Err(MetainfoFault::Path { fault, at });
    }
    Ok(())
}
