//! publish → import, for folders: each file by itself, and the folder as a UnixFS directory that
//! names them.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use blocks::{
    Intake, IntakeError,
    dag::{self, Node, codec},
};
use bytes::Bytes;
use cid::Cid;
use gateway::{
    api::types::{AlbumAdded, ImportProgress},
    node::NodeError,
};
use model::BlobId;
use views::data::Publicity;

use super::{
    import::{self, Told},
    torrent,
};
use crate::{
    core::Core,
    service::{car::intake_error, ipfs::block_error},
};

/// Folders within folders.
const DEPTH: usize = 64;
/// Things left out that are told of by name.
const NOTES: usize = 100;

/// Imports the files in a folder and below, in the order of the bytes of their names; hidden files,
/// symbolic links and what is no file are left out.
///
/// # Errors
/// When a file can't be read, there is no room, or the store fails; what was imported stays.
pub async fn import(
    core: &Arc<Core>,
    dir: PathBuf,
    publicity: Publicity,
    told: &Told,
) -> Result<AlbumAdded, NodeError> {
    let name = dir
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut album = Album {
        core,
        told,
        top: dir.clone(),
        below: below(core).await?,
        files: 0,
        size_bytes: 0,
        listed: Vec::new(),
        left_out: 0,
        notes: Vec::new(),
    };
    let done = album.whole(dir).await;
    let scaffold = album.below.root();
    // Its claim goes before what it keeps.
    drop(album.below);
    let removed = core.blobs.remove_dag(&scaffold).await;
    let root = done?;
    removed.map_err(|error| NodeError::local("join the folders of an album", error))?;
    if album.left_out > NOTES {
        album
            .notes
            .push(format!("{} more were left out", album.left_out - NOTES));
    }
    let torrent = torrent::album(core, &name, &root, &album.listed, publicity).await?;
    Ok(AlbumAdded {
        ipfs: root.to_string(),
        torrent,
        name,
        files: album.files,
        size_bytes: album.size_bytes,
        notes: album.notes,
    })
}

/// A file of an album that is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path below the album, parts separated by `/`.
    pub path: String,
    /// Its bytes.
    pub blob: BlobId,
    /// Root of its UnixFS DAG.
    pub unixfs: Cid,
    /// Its size.
    pub size_bytes: u64,
}

/// Names files that are in the store as one directory, and keeps it under that name.
///
/// # Errors
/// When a name can't be in a directory, there is no room, or the store fails.
pub async fn assemble(core: &Arc<Core>, files: &[File]) -> Result<Cid, NodeError> {
    let mut tree = Tree::default();
    for file in files {
        tree.add(file.path.split('/'), file);
    }
    let mut below = Vec::new();
    let root = directory(core, tree, &mut below).await?;
    let mut intake = core.blobs.intake(root.cid).await.map_err(failed)?;
    for (cid, bytes) in below {
        intake.put(&cid, bytes).await.map_err(failed)?;
    }
    intake.finish(&[root.cid]).await.map_err(failed)?;
    Ok(root.cid)
}

/// Folders of an album that is assembled.
#[derive(Default)]
struct Tree<'a> {
    folders: BTreeMap<String, Tree<'a>>,
    files: Vec<(String, &'a File)>,
}

impl<'a> Tree<'a> {
    fn add<'p>(&mut self, mut path: impl Iterator<Item = &'p str>, file: &'a File) {
        let mut at = self;
        let mut part = path.next().unwrap_or_default();
        for next in path {
            at = at.folders.entry(part.to_owned()).or_default();
            part = next;
        }
        at.files.push((part.to_owned(), file));
    }
}

/// Makes the directory, folders below it first; their nodes are added to `nodes`.
fn directory<'a>(
    core: &'a Core,
    tree: Tree<'a>,
    nodes: &'a mut Vec<(Cid, Bytes)>,
) -> Pin<Box<dyn Future<Output = Result<dag::Root, NodeError>> + Send + 'a>> {
    Box::pin(async move {
        let mut entries = Vec::new();
        for (name, folder) in tree.folders {
            let root = directory(core, folder, &mut *nodes).await?;
            entries.push(dag::Entry {
                name,
                cid: root.cid,
                dag_bytes: root.dag_bytes,
            });
        }
        for (name, file) in tree.files {
            entries.push(dag::Entry {
                name,
                cid: file.unixfs,
                dag_bytes: dag_bytes(core, &file.unixfs, file.size_bytes).await?,
            });
        }
        entries.sort_by(|one, other| one.name.as_bytes().cmp(other.name.as_bytes()));
        dag::directory(entries, &mut |cid, bytes| nodes.push((cid, bytes)))
            .map_err(|fault| NodeError::Invalid(format!("no directory can be made: {fault}")))
    })
}

/// Size of a file's DAG, from its root: what a directory says of it (Tsize).
async fn dag_bytes(core: &Core, unixfs: &Cid, size_bytes: u64) -> Result<u64, NodeError> {
    if unixfs.codec() == codec::RAW {
        return Ok(size_bytes);
    }
    let root = core.blobs.block(unixfs).await.map_err(block_error)?;
    let node = Node::decode(&root)
        .map_err(|fault| NodeError::local("read the root of an imported file", fault))?;
    let below: u64 = node.links.iter().map(|link| link.size_bytes).sum();
    Ok(root.len() as u64 + below)
}

/// Keeps nodes until the album has its name. What a crash leaves of it goes with other intakes that
/// were given up.
async fn below(core: &Core) -> Result<Intake, NodeError> {
    let mut name = [0; 32];
    getrandom::fill(&mut name).map_err(|error| NodeError::local("draw a name", error))?;
    // A root that nothing has.
    let root = dag::name_of(codec::RAW, &name);
    core.blobs.intake(root).await.map_err(failed)
}

fn failed(error: IntakeError) -> NodeError {
    intake_error("the folder", error)
}

/// A folder that is being imported.
struct Album<'a> {
    core: &'a Arc<Core>,
    told: &'a Told,
    top: PathBuf,
    /// Nodes of the folders below the top, until the whole is known.
    below: Intake,
    files: u64,
    size_bytes: u64,
    /// Path, blob and size of each file.
    listed: Vec<(String, BlobId, u64)>,
    left_out: usize,
    notes: Vec<String>,
}

/// A directory, and its nodes that aren't stored yet.
type Folder = (dag::Root, Vec<(Cid, Bytes)>);

/// What lies in a folder.
struct Found {
    name: String,
    path: PathBuf,
    is_dir: bool,
}

impl Album<'_> {
    /// Imports the top folder, and keeps it under its root.
    async fn whole(&mut self, dir: PathBuf) -> Result<Cid, NodeError> {
        let (root, nodes) = self.folder(dir, 1).await?;
        self.below.flush().await.map_err(failed)?;
        self.keep(root.cid, nodes).await?;
        Ok(root.cid)
    }

    fn folder(
        &mut self,
        dir: PathBuf,
        depth: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Folder, NodeError>> + Send + '_>> {
        Box::pin(async move {
            if depth > DEPTH {
                return Err(NodeError::Invalid(format!(
                    "{} lies more than {DEPTH} folders deep; import it by itself",
                    dir.display()
                )));
            }
            let mut entries = Vec::new();
            for Found { name, path, is_dir } in self.list(&dir).await? {
                let (cid, dag_bytes) = if is_dir {
                    let (root, nodes) = self.folder(path, depth + 1).await?;
                    self.store(nodes).await?;
                    (root.cid, root.dag_bytes)
                } else {
                    self.file(&path, &name).await?
                };
                entries.push(dag::Entry {
                    name,
                    cid,
                    dag_bytes,
                });
            }
            let mut nodes = Vec::new();
            let root = dag::directory(entries, &mut |cid, bytes| nodes.push((cid, bytes)))
                .map_err(|fault| {
                    NodeError::Invalid(format!("{} can't be a directory: {fault}", dir.display()))
                })?;
            Ok((root, nodes))
        })
    }

    /// Files and folders in a folder, in the order of the bytes of their names.
    async fn list(&mut self, dir: &Path) -> Result<Vec<Found>, NodeError> {
        let folder = dir.to_owned();
        let listed = tokio::task::spawn_blocking(move || list(&folder)).await;
        let listed = listed.map_err(|panic| NodeError::local("list a folder", panic))?;
        let (found, left_out) = listed.map_err(|error| {
            NodeError::Invalid(format!("cannot list {}: {error}", dir.display()))
        })?;
        for (path, why) in left_out {
            self.left_out += 1;
            if self.notes.len() < NOTES {
                self.notes
                    .push(format!("{} was left out: {why}", self.below_top(&path)));
            }
        }
        Ok(found)
    }

    /// CID and size of the DAG of a file, which is imported.
    async fn file(&mut self, path: &Path, name: &str) -> Result<(Cid, u64), NodeError> {
        let (imported, mut added) =
            import::path(self.core, path, name.to_owned(), self.told).await?;
        self.files += 1;
        self.size_bytes += imported.size_bytes;
        added.name = self.below_top(path);
        self.listed
            .push((added.name.clone(), imported.blob, imported.size_bytes));
        // Who asked may have gone; the import goes on until the stream is dropped.
        let _ = self.told.send(Ok(ImportProgress::Added(added))).await;
        let dag_bytes = dag_bytes(self.core, &imported.unixfs, imported.size_bytes).await?;
        Ok((imported.unixfs, dag_bytes))
    }

    async fn store(&mut self, nodes: Vec<(Cid, Bytes)>) -> Result<(), NodeError> {
        for (cid, bytes) in nodes {
            self.below.put(&cid, bytes).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Keeps everything as one DAG under the name of the top folder.
    async fn keep(&self, root: Cid, nodes: Vec<(Cid, Bytes)>) -> Result<(), NodeError> {
        let mut intake = self.core.blobs.intake(root).await.map_err(failed)?;
        for (cid, bytes) in nodes {
            intake.put(&cid, bytes).await.map_err(failed)?;
        }
        let taken = intake.finish(&[root]).await.map_err(failed)?;
        if taken.missing > 0 {
            return Err(NodeError::Unavailable(format!(
                "{} blocks of the folder {root} were given up while it was imported, for want of \
                 room; raise storage.max_bytes and import it again",
                taken.missing
            )));
        }
        Ok(())
    }

    fn below_top(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.top).unwrap_or(path);
        below
            .display()
            .to_string()
            .chars()
            .filter(|c| !c.is_control())
            .collect()
    }
}

/// What is left out, and why.
type LeftOut = Vec<(PathBuf, &'static str)>;

fn list(dir: &Path) -> io::Result<(Vec<Found>, LeftOut)> {
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let path = entry.path();
        let why = match entry.file_name().into_string() {
            Err(_) => "its name is not UTF-8",
            Ok(name) if name.starts_with('.') => "it is hidden",
            Ok(_) if kind.is_symlink() => "it is a symbolic link",
            Ok(_) if !kind.is_file() && !kind.is_dir() => "it is no regular file",
            Ok(name) => {
                found.push(Found {
                    name,
                    path,
                    is_dir: kind.is_dir(),
                });
                continue;
            }
        };
        left_out.push((path, why));
    }
    found.sort_by(|one, other| one.name.as_bytes().cmp(other.name.as_bytes()));
    left_out.sort();
    Ok((found, left_out))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_is_listed_in_the_order_of_bytes_without_what_is_hidden() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a", "Z", "ä", ".hidden"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        fs::create_dir(dir.path().join("folder")).unwrap();
        symlink("a", dir.path().join("link")).unwrap();
        let (found, left_out) = list(dir.path()).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|found| (&*found.name, found.is_dir))
            .collect();
        assert_eq!(
            names,
            [
                ("Z", false),
                ("a", false),
                ("b", false),
                ("folder", true),
                ("ä", false)
            ]
        );
        let reasons: Vec<_> = left_out.iter().map(|(_, why)| *why).collect();
        assert_eq!(reasons, ["it is hidden", "it is a symbolic link"]);
    }
}
