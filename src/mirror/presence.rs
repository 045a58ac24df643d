//! How mirrors of one space see each other.
//!
//! A holding statement that names the space's first entry says "I mirror this space": what the
//! signer's rules or pins ask for of it is held there or on its way. What it holds by now, its
//! other statements say. No further message is needed, and who doesn't know of mirrors reads
//! nothing wrong into it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use model::{EndpointKey, Holding, Item, SpaceId};

use crate::{clock::now_ms, core::Core, holdings::Holdings, pins::Target};

/// Said again this often, so that who came later hears it too, milliseconds.
const REPEAT_MS: u64 = 5 * 60 * 1_000;

/// Spaces that this node mirrors: rules ask for something of them, or a person pinned them.
pub fn spaces(core: &Core) -> BTreeSet<SpaceId> {
    let mut spaces = core.mirror.spaces();
    for (target, _) in core.pins.all() {
        match target {
            Target::Space(space) => {
                spaces.insert(space);
            }
            Target::Identity(identity) => {
                spaces.insert(identity.space());
            }
            Target::Thread(_) | Target::Blob(_) => {}
        }
    }
    spaces
}

/// Other mirrors of these spaces.
pub fn mirrors_of(
    core: &Core,
    spaces: &BTreeSet<SpaceId>,
    time_ms: u64,
) -> BTreeMap<SpaceId, BTreeSet<EndpointKey>> {
    let own = core.network.id();
    let book = Core::lock(&core.holdings);
    let of = |space: &SpaceId| {
        let mut mirrors = book.held_by(Item::Post(space.entry()), time_ms);
        mirrors.remove(&own);
        (*space, mirrors)
    };
    spaces.iter().map(of).collect()
}

/// How many nodes say that they mirror a space, this one included.
pub fn count(core: &Core, space: SpaceId) -> u32 {
    let others =
        Core::lock(&core.holdings).count(Item::Post(space.entry()), core.network.id(), now_ms());
    others.saturating_add(u32::from(spaces(core).contains(&space)))
}

/// Says which spaces this node mirrors, where that wasn't said lately.
pub async fn announce(core: &Arc<Core>) {
    let time_ms = now_ms();
    let until_ms = Holdings::until_ms(time_ms);
    for space in spaces(core) {
        if !core.mirror.is_due(space, time_ms, REPEAT_MS) {
            continue;
        }
        let items = vec![Item::Post(space.entry())];
        let signed = Holding::sign(&core.endpoint_secret, items, time_ms, until_ms);
        let statement = match signed {
            Ok(statement) => statement.bytes().to_vec(),
            Err(error) => {
                tracing::warn!(%space, %error, "cannot say that a space is mirrored");
                continue;
            }
        };
        let sent = core
            .gossip
            .announce_holdings(space, vec![(None, statement)]);
        if let Err(error) = sent.await {
            tracing::debug!(%error, "mirroring not announced");
        }
    }
}
