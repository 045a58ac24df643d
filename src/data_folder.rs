//! The data folder: one node at a time, its format version, its secrets, what it uses.
//!
//! ```text
//! format            "datt 1": what this program reads; later ones are refused untouched
//! lock              held by the running node
//! device.key        Ed25519 seed of the device, hex, mode 0600
//! endpoint.key      Ed25519 seed of the endpoint, hex, mode 0600
//! api-token         bearer token of the API, mode 0600
//! relay-token       what the embedded relay asks of those who use it, mode 0600
//! identity          CID of the identity's genesis; written last at the first start
//! tls-self-signed.crt, .key   certificate that nobody vouches for, where one is asked for, mode 0600
//! node.json         URL for this machine and process id of the running node
//! udp-port.json     the UDP port used last
//! follows.json      what is followed, and where peers were last met
//! pins.json         what the node promised to keep
//! payments.json     payments and batches that are awaited
//! denied-names.json names of denied bytes that belong together
//! denylists/        lists of what is refused; own.deny is the person's own
//! config.toml       what the person changed, see docs/operating.md
//! store/            entries, payloads, rows and views
//! blobs/            media
//! chain/            block headers of each chain that payments were checked on
//! ```

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use model::{IdentityId, SecretKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;
use zeroize::Zeroizing;

const FORMAT: &str = "datt 1";
const SECRET_MODE: u32 = 0o600;
const TOKEN_BYTES: usize = 32;

/// What keeps a data folder from being used.
#[derive(Debug, Error)]
pub enum FolderError {
    /// Another node runs on it.
    #[error("the data folder {path} is in use by another node{}; stop that one or choose another --data", pid_note(.pid))]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Process id of the other node, where it is known.
        pid: Option<u32>,
    },
    /// Written by a later program.
    #[error(
        "the data folder {path} has format `{found}`, this program reads `{FORMAT}`; it was left untouched: use a newer datt"
    )]
    Newer {
        /// The folder.
        path: PathBuf,
        /// What its marker says.
        found: String,
    },
    /// Not a data folder, and not empty.
    #[error("{path} is neither empty nor a data folder of datt; choose another --data")]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// A file that should hold a key or an id holds something else.
    #[error("{path} is damaged: {what}; restore it from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The operating system refused.
    #[error("cannot {act} {path}: {source}")]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// No randomness to be had.
    #[error("cannot make a key: the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

fn pid_note(pid: &Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})"))
        .unwrap_or_default()
}

/// What `node.json` says of the running node; commands find it by this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Base URL of the gateway for programs on this machine.
    pub url: String,
    /// Process id.
    pub pid: u32,
}

/// An open data folder; the lock lasts as long as this value.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Creates or opens a folder and locks it.
    ///
    /// # Errors
    /// When it is in use, foreign, of a later format, or the system refuses.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let io = |act| {
            move |source| FolderError::Io {
                act,
                path: path.to_owned(),
                source,
            }
        };
        fs::create_dir_all(path).map_err(io("create the data folder"))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .map_err(io("set the permissions of"))?;
        check_format(path)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(io("open the lock file in"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = read_running(path).map(|running| running.pid);
                return Err(FolderError::InUse {
                    path: path.to_owned(),
                    pid,
                });
            }
            Err(TryLockError::Error(source)) => return Err(io("lock")(source)),
        }
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        if !path.join("format").exists() {
            folder.write_whole("format", format!("{FORMAT}\n").as_bytes())?;
        }
        Ok(folder)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the entry store lies.
    pub fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    /// Where the blobs lie.
    pub fn blobs(&self) -> PathBuf {
        self.path.join("blobs")
    }

    /// The secret key in this file; made when there is none.
    ///
    /// # Errors
    /// When the file is damaged or the system refuses.
    pub fn secret_key(&self, name: &str) -> Result<SecretKey, FolderError> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                let seed = HEXLOWER
                    .decode(text.trim_ascii())
                    .ok()
                    .and_then(|seed| <[u8; 32]>::try_from(seed).ok())
                    .map(Zeroizing::new)
                    .ok_or_else(|| FolderError::Damaged {
                        path,
                        what: "it should hold 64 hex digits".to_owned(),
                    })?;
                Ok(SecretKey::from_bytes(&seed))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut seed = Zeroizing::new([0; 32]);
                getrandom::fill(&mut seed[..]).map_err(FolderError::Random)?;
                let text = Zeroizing::new(HEXLOWER.encode(&seed[..]));
                self.write_whole(name, text.as_bytes())?;
                Ok(SecretKey::from_bytes(&seed))
            }
            Err(source) => Err(FolderError::Io {
                act: "read",
                path,
                source,
            }),
        }
    }

    /// The device's secret key; made only at the first start: later a lost one is not replaced in
    /// silence, since what a new one signs would not count.
    ///
    /// # Errors
    /// When it is lost or damaged, or the system refuses.
    pub fn device_key(&self) -> Result<SecretKey, FolderError> {
        const FILE: &str = "device.key";
        if self.identity()?.is_some() && !self.path.join(FILE).exists() {
            return Err(FolderError::Damaged {
                path: self.path.join(FILE),
                what: "it is missing, and this node's identity names only that device".to_owned(),
            });
        }
        self.secret_key(FILE)
    }

    /// The random token in this file; made when there is none.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn token(&self, name: &str) -> Result<String, FolderError> {
        let path = self.path.join(name);
        match fs::read_to_string(&path) {
            Ok(text) if text.trim().len() >= 2 * TOKEN_BYTES => Ok(text.trim().to_owned()),
            Ok(_) => Err(FolderError::Damaged {
                path,
                what: "the token in it is too short; delete it to have a new one made".to_owned(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let token = random_token()?;
                self.write_whole(name, token.as_bytes())?;
                Ok(token)
            }
            Err(source) => Err(FolderError::Io {
                act: "read",
                path,
                source,
            }),
        }
    }

    /// The identity made at the first start; none before that was finished.
    ///
    /// # Errors
    /// When the file is damaged or the system refuses.
    pub fn identity(&self) -> Result<Option<IdentityId>, FolderError> {
        let path = self.path.join("identity");
        match fs::read_to_string(&path) {
            Ok(text) => text
                .trim()
                .parse()
                .map(Some)
                .map_err(|error: model::IdError| FolderError::Damaged {
                    path,
                    what: error.to_string(),
                }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FolderError::Io {
                act: "read",
                path,
                source,
            }),
        }
    }

    /// Marks the first start as finished.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_identity(&self, identity: &IdentityId) -> Result<(), FolderError> {
        self.write_whole("identity", identity.to_string().as_bytes())
    }

    /// Tells commands where the node is.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn announce(&self, running: &Running) -> Result<(), FolderError> {
        self.write_json("node.json", running)
    }

    /// Takes the announcement back.
    pub fn withdraw(&self) {
        // Left behind it only leads commands to a closed port, which they report as "no node".
        let _ = fs::remove_file(self.path.join("node.json"));
    }

    /// Reads a file of the node's own; none if it isn't there.
    pub(crate) fn read_json<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, FolderError> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes)
                    .map(Some)
                    .map_err(|error| FolderError::Damaged {
                        path,
                        what: error.to_string(),
                    })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FolderError::Io {
                act: "read",
                path,
                source,
            }),
        }
    }

    /// Writes a file of the node's own.
    pub(crate) fn write_json<T: Serialize>(
        &self,
        name: &str,
        value: &T,
    ) -> Result<(), FolderError> {
        let text = serde_json::to_vec_pretty(value).expect("plain data has a JSON form");
        self.write_whole(name, &text)
    }

    /// Writes a file so that after a crash it is there in full or not at all.
    pub(crate) fn write_whole(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let path = self.path.join(name);
        let part = self.path.join(format!("{name}.part"));
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(SECRET_MODE)
                .open(&part)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|source| FolderError::Io {
            act: "write",
            path: path.clone(),
            source,
        })
    }
}

/// 32 random bytes, hex.
///
/// # Errors
/// When the system gives no randomness.
pub fn random_token() -> Result<String, FolderError> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(FolderError::Random)?;
    Ok(HEXLOWER.encode(&bytes))
}

/// What `node.json` in a folder says, if anything.
pub fn read_running(path: &Path) -> Option<Running> {
    serde_json::from_slice(&fs::read(path.join("node.json")).ok()?).ok()
}

/// Bytes that a folder, and everything under it that `counts`, takes on disk. Files that vanish
/// meanwhile count nothing.
pub fn used_bytes(path: &Path, counts: &dyn Fn(&Path) -> bool) -> u64 {
    const SECTOR_BYTES: u64 = 512;
    let own = fs::symlink_metadata(path).map_or(0, |meta| meta.blocks() * SECTOR_BYTES);
    let Ok(entries) = fs::read_dir(path) else {
        return own;
    };
    let counted = entries.flatten().filter(|entry| counts(&entry.path()));
    let below = counted.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => used_bytes(&entry.path(), counts),
        Ok(meta) => meta.blocks() * SECTOR_BYTES,
        Err(_) => 0,
    });
    own.saturating_add(below.sum())
}

fn check_format(path: &Path) -> Result<(), FolderError> {
    let marker = path.join("format");
    match fs::read_to_string(&marker) {
        Ok(text) if text.trim() == FORMAT => Ok(()),
        Ok(text) => match text.trim().strip_prefix("datt ") {
            Some(version) if version.parse::<u32>().is_ok() => Err(FolderError::Newer {
                path: path.to_owned(),
                found: text.trim().to_owned(),
            }),
            _ => Err(FolderError::Damaged {
                path: marker,
                what: "it should name a format such as `datt 1`".to_owned(),
            }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => check_empty(path),
        Err(source) => Err(FolderError::Io {
            act: "read",
            path: marker,
            source,
        }),
    }
}

/// A first start takes an empty folder, or one in which only a configuration was laid ready or
/// an earlier first start was cut off.
fn check_empty(path: &Path) -> Result<(), FolderError> {
    let entries = fs::read_dir(path).map_err(|source| FolderError::Io {
        act: "list",
        path: path.to_owned(),
        source,
    })?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !["config.toml", "lock", "format.part", "lost+found"]
            .iter()
            .any(|ours| name == *ours)
        {
            return Err(FolderError::Foreign {
                path: path.to_owned(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_node_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(dir.path()).unwrap();
        folder
            .announce(&Running {
                url: "http://x".to_owned(),
                pid: 7,
            })
            .unwrap();
        let error = DataFolder::open(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("in use") && error.contains("process 7"),
            "{error}"
        );
        drop(folder);
        DataFolder::open(dir.path()).unwrap();
    }

    #[test]
    fn foreign_and_later_folders_are_left_untouched() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.doc"), "x").unwrap();
        assert!(matches!(
            DataFolder::open(dir.path()),
            Err(FolderError::Foreign { .. })
        ));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let later = tempfile::tempdir().unwrap();
        fs::write(later.path().join("format"), "datt 2\n").unwrap();
        assert!(matches!(
            DataFolder::open(later.path()),
            Err(FolderError::Newer { .. })
        ));
        assert_eq!(fs::read_dir(later.path()).unwrap().count(), 1);
    }

    #[test]
    fn secrets_are_kept_private_and_damage_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(dir.path()).unwrap();
        let key = folder.secret_key("device.key").unwrap();
        assert_eq!(
            folder.secret_key("device.key").unwrap().public(),
            key.public()
        );
        let meta = fs::metadata(dir.path().join("device.key")).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, SECRET_MODE);
        let token = folder.token("api-token").unwrap();
        assert_eq!(folder.token("api-token").unwrap(), token);
        fs::write(dir.path().join("device.key"), "zz").unwrap();
        assert!(matches!(
            folder.secret_key("device.key"),
            Err(FolderError::Damaged { .. })
        ));
        fs::remove_file(dir.path().join("device.key")).unwrap();
        folder.device_key().unwrap();
        folder.set_identity(&IdentityId::of(b"identity")).unwrap();
        fs::remove_file(dir.path().join("device.key")).unwrap();
        assert!(matches!(
            folder.device_key(),
            Err(FolderError::Damaged { .. })
        ));
        fs::write(dir.path().join("api-token"), "short").unwrap();
        assert!(matches!(
            folder.token("api-token"),
            Err(FolderError::Damaged { .. })
        ));
    }
}
