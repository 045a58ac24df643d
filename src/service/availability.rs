//! "Sent to N, held in full by N": from what peers state, and from what was sent to them.

use std::{collections::BTreeSet, sync::Arc};

use model::{BlobId, EndpointKey, EntryId, Item};
use views::data::Availability;

use crate::{clock::now_ms, core::Core};

/// Of a blob.
pub fn of_blob(core: &Core, blob: BlobId, held_bytes: u64, total_bytes: u64) -> Availability {
    let held_by = others(core, Item::Blob(blob));
    let sent = core.provider.sent_to(blob);
    let sent = sent
        .iter()
        .map(|peer| EndpointKey::from_bytes(*peer.as_bytes()));
    let reached: BTreeSet<EndpointKey> = held_by.iter().copied().chain(sent).collect();
    Availability {
        sent_to: count(reached.len()),
        held_by: count(held_by.len()),
        held_bytes,
        total_bytes,
    }
}

/// Of a post with its media.
pub fn of_post(core: &Core, post: EntryId) -> Availability {
    let held_by = count(others(core, Item::Post(post)).len());
    let sent = Core::lock(&core.sent_posts)
        .get(&post)
        .copied()
        .unwrap_or(0);
    Availability {
        sent_to: sent.max(held_by),
        held_by,
        ..Availability::default()
    }
}

/// Of several posts together: who holds all of them.
pub fn of_posts(core: &Arc<Core>, posts: &[EntryId]) -> Availability {
    let mut all: Option<BTreeSet<EndpointKey>> = None;
    for post in posts {
        let held_by = others(core, Item::Post(*post));
        all = Some(match all {
            None => held_by,
            Some(all) => all.intersection(&held_by).copied().collect(),
        });
        if all.as_ref().is_some_and(BTreeSet::is_empty) {
            break;
        }
    }
    let held_by = count(all.map_or(0, |all| all.len()));
    let sent = Core::lock(&core.sent_posts);
    let sent_to = posts
        .iter()
        .filter_map(|post| sent.get(post))
        .copied()
        .max()
        .unwrap_or(0);
    Availability {
        sent_to: sent_to.max(held_by),
        held_by,
        ..Availability::default()
    }
}

/// Endpoints, as text, that hold a post in full.
pub fn holders(core: &Core, post: EntryId) -> Vec<String> {
    others(core, Item::Post(post))
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn others(core: &Core, item: Item) -> BTreeSet<EndpointKey> {
    let mut held_by = Core::lock(&core.holdings).held_by(item, now_ms());
    held_by.remove(&core.network.id());
    // Who says so and doesn't deliver isn't counted until he does.
    let failing = core.audits.failing();
    held_by.retain(|holder| !failing.contains(holder));
    held_by
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
