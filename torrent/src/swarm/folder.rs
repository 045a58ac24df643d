//! Where state is kept.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use url::Url;

use super::{SwarmError, content::Stamp};
use crate::{Info, InfoHash};

/// The first line of a seed's record.
const RECORD: &str = "datt seed 1";

/// The folder of a swarm's state:
///
/// - `session/INFOHASH.bitv`: the pieces that are held, a bit each, as the engine reads and writes it;
/// - `seeds/INFOHASH`: how a seed's files were when their bytes were checked;
/// - `dht.json`: the routing table;
/// - `local`: who may be spoken to when that is this machine only.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes it ready. What the engine kept of the last session is forgotten, but for the bits.
    ///
    /// # Errors
    /// When it can't be used.
    pub(super) fn open(path: &Path) -> Result<Self, SwarmError> {
        let folder = Self(path.to_owned());
        let ready = fs::create_dir_all(folder.session())
            .and_then(|()| fs::create_dir_all(folder.0.join("seeds")))
            .and_then(|()| folder.forget());
        match ready {
            Ok(()) => Ok(folder),
            Err(source) => Err(SwarmError::Folder {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// What the engine keeps.
    pub(super) fn session(&self) -> PathBuf {
        self.0.join("session")
    }

    /// The routing table.
    pub(super) fn dht(&self) -> PathBuf {
        self.0.join("dht.json")
    }

    /// Writes who may be spoken to when that is this machine only, and gives the file's URL.
    ///
    /// # Errors
    /// When it can't be written.
    pub(super) fn write_local(&self) -> io::Result<String> {
        let path = std::path::absolute(self.0.join("local"))?;
        replace(&path, b"local:127.0.0.0-127.255.255.255\nlocal:::1-::1\n")?;
        let url = Url::from_file_path(&path);
        url.map(String::from)
            .map_err(|()| io::ErrorKind::InvalidInput.into())
    }

    /// Says that all pieces of a torrent are held.
    ///
    /// # Errors
    /// When it can't be written.
    pub(super) fn write_all_held(&self, info: &Info) -> io::Result<()> {
        let count = info.pieces().len();
        let mut bits = vec![0xff; count.div_ceil(8)];
        // the bits behind the last piece are 0 (BEP 3)
        if let (Some(last), used @ 1..) = (bits.last_mut(), count % 8) {
            *last = 0xff << (8 - used);
        }
        replace(&self.held(info.infohash()), &bits)
    }

    /// Whether it is known which pieces of a torrent are held.
    pub(super) fn remembers_held(&self, infohash: InfoHash) -> bool {
        self.held(infohash).is_file()
    }

    /// Forgets which pieces of a torrent are held.
    pub(super) fn forget_held(&self, infohash: InfoHash) {
        remove(&self.held(infohash));
    }

    /// How a seed's files were when their bytes were checked; none for what is not stored. Nothing if
    /// there is no record, or it can't be read.
    pub(super) fn stamps(&self, infohash: InfoHash) -> Option<Vec<Option<Stamp>>> {
        let text = fs::read_to_string(self.record(infohash)).ok()?;
        let mut lines = text.lines();
        if lines.next() != Some(RECORD) {
            return None;
        }
        lines.map(stamp).collect()
    }

    /// Keeps how a seed's files are.
    ///
    /// # Errors
    /// When it can't be written.
    pub(super) fn write_stamps(
        &self,
        infohash: InfoHash,
        stamps: &[Option<Stamp>],
    ) -> io::Result<()> {
        let mut text = format!("{RECORD}\n");
        for stamp in stamps {
            text += &stamp.map_or_else(
                || "-\n".to_owned(),
                |stamp| format!("{} {}\n", stamp.size_bytes, stamp.written_ns),
            );
        }
        replace(&self.record(infohash), text.as_bytes())
    }

    /// Forgets a seed.
    pub(super) fn forget_stamps(&self, infohash: InfoHash) {
        remove(&self.record(infohash));
    }

    fn held(&self, infohash: InfoHash) -> PathBuf {
        self.session().join(format!("{infohash}.bitv"))
    }

    fn record(&self, infohash: InfoHash) -> PathBuf {
        self.0.join("seeds").join(infohash.to_string())
    }

    fn forget(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.session())? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "bitv") {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

fn stamp(line: &str) -> Option<Option<Stamp>> {
    if line == "-" {
        return Some(None);
    }
    let (size, written) = line.split_once(' ')?;
    Some(Some(Stamp {
        size_bytes: size.parse().ok()?,
        written_ns: written.parse().ok()?,
    }))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, bytes)?;
    fs::rename(new, path)
}

/// What can't be removed is overwritten or ignored later.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_kept() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let infohash = InfoHash::of(b"a");
        assert_eq!(folder.stamps(infohash), None);
        let stamps = [
            Some(Stamp {
                size_bytes: u64::MAX,
                written_ns: 1_700_000_000_000_000_001,
            }),
            None,
        ];
        folder.write_stamps(infohash, &stamps).unwrap();
        assert_eq!(folder.stamps(infohash).unwrap(), stamps);
        for garbage in [
            "",
            "datt seed 2\n1 2\n",
            "datt seed 1\n1\n",
            "datt seed 1\n\n",
        ] {
            fs::write(folder.record(infohash), garbage).unwrap();
            assert_eq!(folder.stamps(infohash), None, "{garbage}");
        }
        folder.forget_stamps(infohash);
        assert_eq!(folder.stamps(infohash), None);
    }

    #[test]
    fn only_the_bits_outlive_a_session() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let info = Info::of_file("a", 10 << 20, &[[0; 20]; 10]).unwrap();
        folder.write_all_held(&info).unwrap();
        fs::write(folder.session().join("session.json"), "{}").unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let left = fs::read_dir(folder.session()).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, [folder.held(info.infohash())]);
        assert_eq!(fs::read(&left[0]).unwrap(), [0xff, 0b1100_0000]);
    }
}
