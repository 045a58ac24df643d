//! The files that lists are in: which there are, in which order they count, and whether they changed.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::list::{Faults, List, ListReader};

/// How the files in the folder end ("File extension, locations and order").
const EXTENSION: &str = "deny";
/// The person's own list in the folder: it has the last word.
pub(super) const OWN: &str = "own.deny";
/// Files read besides; more are not.
const FILES: usize = 256;
/// Bytes read at once.
const STEP_BYTES: usize = 64 << 10;

/// Where lists are looked for.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// Named in the configuration.
    pub(super) named: Vec<PathBuf>,
    /// All files in here that end in `.deny`.
    pub(super) folder: PathBuf,
}

/// What tells that a file is another than it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size_bytes: u64,
    modified: (i64, i64),
    inode: u64,
}

/// A list with the file it was read from.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    /// The file.
    pub(super) path: PathBuf,
    /// What it says.
    pub(super) list: Arc<List>,
    /// What is wrong with it, in a sentence.
    pub(super) problem: Option<String>,
    stamp: Option<Stamp>,
}

impl Places {
    /// The person's own list.
    pub(super) fn own(&self) -> PathBuf {
        self.folder.join(OWN)
    }

    /// Every file, in the order in which they count: the configuration's, the folder's by name, and
    /// the person's own last.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        match fs::read_dir(&self.folder) {
            Ok(entries) => {
                for entry in entries {
                    let path = entry?.path();
                    if path.extension().is_some_and(|end| end == EXTENSION) && path != self.own() {
                        found.push(path);
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        found.sort();
        let mut files = self.named.clone();
        files.extend(found);
        files.truncate(FILES);
        if self.own().exists() {
            files.push(self.own());
        }
        Ok(files)
    }

    /// Reads what changed since `known`; none when nothing did. A file that can't be read any more
    /// leaves what it said in force.
    ///
    /// # Errors
    /// When the folder can't be listed.
    pub(super) fn read(&self, known: &[Loaded]) -> io::Result<Option<Vec<Loaded>>> {
        let files = self.files()?;
        let mut is_changed = files.len() != known.len();
        let mut lists = Vec::new();
        for (at, path) in files.into_iter().enumerate() {
            let stamp = Stamp::of(&path);
            let before = known.iter().find(|list| list.path == path);
            is_changed |= known.get(at).is_none_or(|list| list.path != path);
            let list = match before {
                Some(before) if before.stamp == stamp.as_ref().ok().copied() => before.clone(),
                _ => {
                    is_changed = true;
                    let known = stamp.as_ref().ok().copied();
                    let list = stamp.and_then(|_| read(&path));
                    loaded(path, known, list, before)
                }
            };
            lists.push(list);
        }
        Ok(is_changed.then_some(lists))
    }
}

fn loaded(
    path: PathBuf,
    stamp: Option<Stamp>,
    read: io::Result<(List, Faults)>,
    before: Option<&Loaded>,
) -> Loaded {
    match read {
        Ok((list, faults)) => {
            let problem = told(&path, &faults);
            tracing::info!(file = %path.display(), rules = list.rules(), "denylist read");
            Loaded {
                path,
                list: Arc::new(list),
                problem,
                stamp,
            }
        }
        Err(error) => {
            let gone = error.kind() == io::ErrorKind::NotFound;
            let problem = format!("the denylist {} can't be read: {error}", path.display());
            tracing::warn!(file = %path.display(), %error, "denylist not read");
            let kept = before.filter(|_| !gone).map(|before| &before.list);
            Loaded {
                path,
                list: kept.cloned().unwrap_or_default(),
                problem: Some(problem),
                stamp,
            }
        }
    }
}

/// Warns of what is wrong with a list; the first of it as a sentence.
fn told(path: &Path, faults: &Faults) -> Option<String> {
    let file = path.display();
    if let Some(why) = &faults.header {
        tracing::warn!(%file, why, "the header of a denylist is wrong: none of its rules hold");
        return Some(format!(
            "none of the rules of {file} hold: its header is wrong ({why})"
        ));
    }
    for (line, fault) in &faults.lines {
        tracing::warn!(%file, line, %fault, "a line of a denylist is passed over");
    }
    let cut = faults.is_cut.then(|| {
        tracing::warn!(%file, "a denylist has too many rules: the last ones don't hold");
        format!("{file} has too many rules: the last ones don't hold")
    });
    let first = faults.lines.first().map(|(line, fault)| {
        format!(
            "line {line} of {file} is passed over: {fault} ({} such lines)",
            faults.count
        )
    });
    cut.or(first)
}

fn read(path: &Path) -> io::Result<(List, Faults)> {
    let mut file = File::open(path)?;
    let mut reader = ListReader::new();
    let mut step = vec![0; STEP_BYTES];
    loop {
        match file.read(&mut step) {
            Ok(0) => return Ok(reader.finish()),
            Ok(count) if reader.push(&step[..count]) => {}
            Ok(_) => return Ok(reader.finish()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let meta = fs::metadata(path)?;
        if !meta.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(Self {
            size_bytes: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            inode: meta.ino(),
        })
    }
}
