//! What payments say in lists: sums beside posts and threads, prices, and threads by sats.

use std::{collections::BTreeSet, sync::Arc};

use database::{DatabaseError, Reader, forum};
use gateway::node::Viewer;
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

/// What a post owes its board. Nobody but the owner has a role there, so that nobody else is spared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Owed {
    /// It is not paid, as far as this node can tell.
    unpaid: Option<u64>,
    /// Rows claim that it was, and this node keeps no headers to tell.
    claimed: Option<u64>,
}

impl Owed {
    /// `paid` is what was paid for it, without claims and with them.
    fn of(price: u64, paid: impl Fn(bool) -> u64, has_chain: bool) -> Self {
        let is_paid = |claims| paid(claims) >= price;
        match has_chain {
            _ if is_paid(false) => Self::default(),
            // Without headers nothing can be judged: a claim is believed, none at all is not.
            false if is_paid(true) => Self {
                claimed: Some(price),
                ..Self::default()
            },
            _ => Self {
                unpaid: Some(price),
                ..Self::default()
            },
        }
    }
}

fn owed(core: &Core, price: Option<Price>, post: &EntryId, author: &IdentityId) -> Owed {
    let Some((owner, price)) = price.filter(|(owner, _)| owner != author) else {
        return Owed::default();
    };
    let index = core.payments.index();
    let paid = |claims| index.paid_to(post, &owner, claims);
    Owed::of(price, paid, core.payments.network.is_some())
}

/// The price of a post that its author owes, as far as this node can tell.
pub(in crate::service) fn unpaid_price(
    core: &Core,
    price: Option<Price>,
    post: &EntryId,
    author: &IdentityId,
) -> Option<u64> {
    owed(core, price, post, author).unpaid
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
        let owed = owed(core, price, &id, &author);
        if author == core.identity {
            post.own_price = owed.unpaid;
        } else {
            post.unpaid_price = owed.unpaid;
            post.claimed_price = owed.claimed;
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

/// A page of threads: those with verified sats first, then the others by score. Whom the node's
/// person follows weighs for that person alone.
pub(in crate::service) fn page(
    core: &Core,
    reader: &Reader<'_>,
    viewer: Viewer,
    space: Option<SpaceId>,
    after: Option<&str>,
    limit: usize,
) -> Result<forum::Page<forum::ThreadSummary>, DatabaseError> {
    let weights = match viewer {
        Viewer::Owner => core.payments.weights(|| weights(core, reader))?,
        Viewer::Stranger => Arc::default(),
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_claimed_unfolds_a_post_and_is_said() {
        let nothing = Owed::default();
        let unpaid = Owed {
            unpaid: Some(500),
            ..nothing
        };
        let claimed = Owed {
            claimed: Some(500),
            ..nothing
        };
        for (proved, claims, has_chain, expected) in [
            (500, 500, true, nothing),
            (499, 900, true, unpaid),
            (0, 500, false, claimed),
            (0, 499, false, unpaid),
        ] {
            let paid = |with_claims| if with_claims { claims } else { proved };
            assert_eq!(Owed::of(500, paid, has_chain), expected);
        }
    }
}
