//! What this node cares about and others say they hold: media of what it pinned, asked for, or posted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use blocks::BlobStatus;
use database::{DatabaseError, Reader, forum::Sort};
use gateway::node::NodeError;
use model::{BlobId, EntryId, IdentityId, Item, SpaceId};

use super::{Subject, run::Wanted};
use crate::{
    clock::now_ms,
    core::Core,
    flow::{fetch::PostMedia, publish::media_of},
    pins::Target,
};

/// Own posts, threads of a space, and posts of a thread that are looked through.
const OWN_POSTS: usize = 1_000;
const THREADS: usize = 500;
const POSTS: usize = 1_000;
/// Blobs in all.
const SUBJECTS: usize = 10_000;

/// Everything with a holder that the round may ask about.
pub(super) async fn subjects(core: &Arc<Core>, wanted: &Wanted) -> Result<Vec<Subject>, NodeError> {
    let (own, about) = (core.identity, wanted.about);
    let mut targets: Vec<Target> = core
        .pins
        .all()
        .into_iter()
        .map(|(target, _)| target)
        .collect();
    let promised = core.asked.promised_blobs(now_ms());
    let mut blobs: BTreeSet<BlobId> = promised.into_iter().map(|(blob, ..)| blob).collect();
    blobs.extend(targets.iter().filter_map(|target| match target {
        Target::Blob(blob) => Some(*blob),
        Target::Thread(_) | Target::Space(_) | Target::Identity(_) => None,
    }));
    if let Some(about) = about {
        // Asked for by name, it need not be pinned.
        targets = vec![Target::Thread(about), Target::Space(SpaceId::from(about))];
    }
    let posts = core.store("read what is audited", move |database| {
        posts_of(&database.read()?, own, &targets, about)
    });
    let posts = posts.await?;
    let mut found: BTreeMap<BlobId, Subject> = BTreeMap::new();
    for post in &posts {
        for medium in &post.media {
            let small = medium.small.iter().map(|blob| (*blob, None));
            let large = (
                medium.blob,
                Some(medium.size_bytes).filter(|size| *size > 0),
            );
            for (blob, size_bytes) in small.chain([large]) {
                let subject = found.entry(blob).or_insert_with(|| Subject {
                    about: post.root.to_string(),
                    space: Some(post.space),
                    blob,
                    size_bytes,
                    holders: BTreeSet::new(),
                });
                let book = Core::lock(&core.holdings);
                subject
                    .holders
                    .extend(book.held_by(Item::Post(post.post), now_ms()));
            }
        }
    }
    if let Some(blob) = wanted.blob {
        blobs = BTreeSet::from([blob]);
        found.retain(|found, _| *found == blob);
    } else if about.is_some() {
        blobs.clear();
    }
    for blob in blobs {
        found.entry(blob).or_insert_with(|| Subject {
            about: blob.to_string(),
            space: None,
            blob,
            size_bytes: None,
            holders: BTreeSet::new(),
        });
    }
    let mut subjects: Vec<_> = found.into_values().take(SUBJECTS).collect();
    for subject in &mut subjects {
        complete(core, subject, wanted).await;
    }
    subjects.retain(|subject| !subject.holders.is_empty());
    Ok(subjects)
}

/// Who holds it, and how large it is for certain.
async fn complete(core: &Core, subject: &mut Subject, wanted: &Wanted) {
    let stated = Core::lock(&core.holdings).held_by(Item::Blob(subject.blob), now_ms());
    subject.holders.extend(stated);
    subject.holders.remove(&core.network.id());
    if let Some(mirror) = wanted.mirror {
        subject.holders.retain(|holder| *holder == mirror);
    }
    if subject.holders.is_empty() {
        return;
    }
    let held = match core.blobs.status(subject.blob).await {
        Ok(BlobStatus::Complete { size_bytes }) => Some(size_bytes),
        Ok(BlobStatus::Partial { total_bytes, .. }) => total_bytes,
        _ => None,
    };
    let proven = held.or_else(|| core.audits.size(&subject.blob));
    subject.size_bytes = proven.or(subject.size_bytes);
}

fn posts_of(
    reader: &Reader<'_>,
    own: IdentityId,
    targets: &[Target],
    about: Option<EntryId>,
) -> Result<Vec<PostMedia>, DatabaseError> {
    let mut posts = Vec::new();
    let mut roots = BTreeSet::new();
    for target in targets {
        match target {
            Target::Thread(root) => {
                let root = reader
                    .entry(root)?
                    .and_then(|entry| entry.header().root)
                    .unwrap_or(*root);
                roots.insert(root);
            }
            Target::Space(space) => {
                let threads = reader.threads(Some(*space), Sort::New, None, THREADS)?;
                roots.extend(threads.items.iter().map(|thread| thread.root));
            }
            Target::Identity(identity) => {
                posts.extend(reader.posts_by(identity, None, OWN_POSTS)?.items);
            }
            Target::Blob(_) => {}
        }
    }
    for root in roots {
        posts.extend(reader.posts(&root, None, None, POSTS)?.items);
    }
    if about.is_none() {
        posts.extend(reader.posts_by(&own, None, OWN_POSTS)?.items);
    }
    posts.retain(|post| !post.media.is_empty());
    Ok(posts.iter().map(media_of).collect())
}
