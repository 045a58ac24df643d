//! What payments say in lists: sums beside posts and threads, prices, and threads by sats.

use std::collections::BTreeSet;

use database::{DatabaseError, Reader, forum};
use model::{EntryId, IdentityId, SpaceId};
use views::data;

use crate::{
    core::Core,
    payments::ranking::{Place, Weights},
};

/// Identities of a follow graph that are looked at, in each of its two circles.
const CIRCLE: usize = 10_000;

/// What the posts of a thread were paid.
pub(in crate::service) fn paid_in(core: &Core, root: &EntryId) -> Option<data::Paid> {
    core.payments.index().paid_in(root)
}

/// A board's owner, and what posting costs others.
pub(in crate::service) type Price = (IdentityId, u64);

/// What posting on a board costs, if anything.
pub(in crate::service) fn price_of(
    reader: &Reader<'_>,
    space: &SpaceId,
) -> Result<Option<Price>, DatabaseError> {
    let board = reader.board(space)?;
    let price = board.and_then(|board| Some((board.owner, u64::try_from(board.price_sats?).ok()?)));
    Ok(price.filter(|(_, sats)| *sats > 0))
}

/// The price of a post that its author owes, as far as this node can tell.
pub(in crate::service) fn unpaid_price(
    core: &Core,
    price: Option<Price>,
    post: &EntryId,
    author: &IdentityId,
) -> Option<u64> {
    let (owner, price) = price.filter(|(owner, _)| owner != author)?;
    // Without headers nothing can be judged: a claim is believed, none at all is not.
    let claims = core.payments.network.is_none();
    let paid = core.payments.index().paid_to(post, &owner, claims);
    (paid < price).then_some(price)
}

/// Completes posts of one board by what was paid for them, and by its price.
pub(in crate::service) fn fill_posts(
    core: &Core,
    reader: &Reader<'_>,
    space: &SpaceId,
    posts: &mut [data::Post],
) -> Result<(), DatabaseError> {
    let price = price_of(reader, space)?;
    for post in posts {
        let (Ok(id), Ok(author)) = (post.id.parse(), post.author.identity.parse::<IdentityId>())
        else {
            continue;
        };
        post.paid = core.payments.index().paid_on(&id);
        let asked = unpaid_price(core, price, &id, &author);
        if author == core.identity {
            post.own_price = asked;
        } else {
            post.unpaid_price = asked;
        }
    }
    Ok(())
}

/// The follow graph of the node's person.
fn weights(core: &Core, reader: &Reader<'_>) -> Result<Weights, DatabaseError> {
    let me = core.identity;
    let identity = |space: SpaceId| IdentityId::from(space.entry());
    let mut followed = BTreeSet::new();
    for space in reader.follows(&me)?.into_iter().take(CIRCLE) {
        followed.insert(identity(space));
    }
    let mut second = BTreeSet::new();
    for friend in &followed {
        for space in reader.follows(friend)? {
            if second.len() < CIRCLE {
                second.insert(identity(space));
            }
        }
    }
    Ok(Weights {
        me: Some(me),
        followed,
        second,
    })
}

/// A page of threads: those with verified sats first, then the others by score.
pub(in crate::service) fn page(
    core: &Core,
    reader: &Reader<'_>,
    space: Option<SpaceId>,
    after: Option<&str>,
    limit: usize,
) -> Result<forum::Page<forum::ThreadSummary>, DatabaseError> {
    let weights = core.payments.weights(|| weights(core, reader))?;
    let ranking = core.payments.ranking(&weights);
    let place = match after {
        Some(after) => Place::read(after).map_err(|_| DatabaseError::Cursor)?,
        None => None,
    };
    let mut items = Vec::new();
    if after.is_none() || place.is_some() {
        for (root, place) in ranking.after(place) {
            let Some(thread) = reader
                .thread(&root)?
                .filter(|thread| is_listed(thread, space))
            else {
                continue;
            };
            if space.is_none()
                && reader
                    .space(&thread.space)?
                    .is_none_or(|info| info.unlisted)
            {
                continue;
            }
            items.push(thread);
            if items.len() == limit {
                let next = Some(place.cursor());
                return Ok(forum::Page { items, next });
            }
        }
    }
    let mut after = after.filter(|_| place.is_none()).map(str::to_owned);
    loop {
        let wanted = limit - items.len();
        let page = reader.threads(space, forum::Sort::Top, after.as_deref(), wanted)?;
        let rest = page.items.into_iter();
        items.extend(rest.filter(|thread| !ranking.contains(&thread.root)));
        after = page.next;
        if after.is_none() || items.len() >= limit {
            return Ok(forum::Page { items, next: after });
        }
    }
}

fn is_listed(thread: &forum::ThreadSummary, space: Option<SpaceId>) -> bool {
    !thread.hidden && !thread.withheld && space.is_none_or(|space| space == thread.space)
}
