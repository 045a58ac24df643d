//! The forum's views.

use model::{EntryId, Ipld};

use super::world::{NOW, Person, World, link, media, post_row, row, text};
use crate::{DatabaseError, forum::Sort};

fn scene() -> (World, Person, Person, model::SpaceId) {
    let mut world = World::new();
    let owner = world.person(1);
    let other = world.person(2);
    let space = world.board(&owner);
    (world, owner, other, space)
}

fn mark(
    world: &mut World,
    owner: &Person,
    space: model::SpaceId,
    on: EntryId,
    act: &str,
    off: bool,
) {
    let row = row(&[
        ("on", link(&on)),
        ("act", text(act)),
        ("off", Ipld::Bool(off)),
        ("why", text("because")),
    ]);
    world.write(owner, space, Some(on), "mark", &row);
}

#[test]
fn a_board_describes_itself() {
    let (mut world, owner, _, space) = scene();
    assert_eq!(
        world
            .node
            .read()
            .unwrap()
            .board(&space)
            .unwrap()
            .unwrap()
            .title,
        None
    );
    for title in ["Old", "New"] {
        let row = row(&[
            ("title", text(title)),
            ("about", text("about")),
            ("rules", text("be kind")),
            ("lang", text("en")),
            ("homes", Ipld::List(vec![text("https://a.invalid")])),
            ("policy", text("open")),
        ]);
        world.write(&owner, space, None, "board", &row);
    }
    world.thread(&owner, space, "x");
    let boards = world.node.read().unwrap().boards().unwrap();
    assert_eq!(boards.len(), 1);
    assert_eq!(boards[0].title.as_deref(), Some("New"));
    assert_eq!(
        (boards[0].threads, boards[0].last_ms),
        (1, Some(world.now_ms))
    );
    assert_eq!(boards[0].homes, ["https://a.invalid"]);
    assert_eq!(boards[0].owner, owner.identity);
}

#[test]
fn lists_are_ordered_paged_and_follow_votes_and_marks() {
    let (mut world, owner, other, space) = scene();
    let ids: Vec<EntryId> = (0..5)
        .map(|at| world.thread(&owner, space, &format!("thread {at}")))
        .collect();
    let list = |world: &World, sort| -> Vec<usize> {
        let read = world.node.read().unwrap();
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = read
                .threads(Some(space), sort, after.as_deref(), 2)
                .unwrap();
            found.extend(
                page.items
                    .iter()
                    .map(|thread| ids.iter().position(|id| *id == thread.root).unwrap()),
            );
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    };
    assert_eq!(list(&world, Sort::New), [4, 3, 2, 1, 0]);
    world.vote(&other, space, ids[1], ids[1], 1);
    world.vote(&owner, space, ids[1], ids[1], 1);
    world.vote(&other, space, ids[3], ids[3], -1);
    assert_eq!(list(&world, Sort::Top), [1, 4, 2, 0, 3]);
    // Two votes outweigh the seconds between these threads; one up or down weighs nothing.
    assert_eq!(list(&world, Sort::Hot), [1, 4, 3, 2, 0]);
    mark(&mut world, &owner, space, ids[0], "pin", false);
    mark(&mut world, &owner, space, ids[4], "hide", false);
    assert_eq!(list(&world, Sort::New), [0, 3, 2, 1]);
    let read = world.node.read().unwrap();
    let all = read.threads(None, Sort::New, None, 10).unwrap();
    assert_eq!(
        all.items.first().unwrap().root,
        ids[3],
        "pins count on their board only"
    );
    assert!(read.thread(&ids[4]).unwrap().unwrap().hidden);
    assert_eq!(
        read.post(&ids[4], None)
            .unwrap()
            .unwrap()
            .hidden_why
            .as_deref(),
        Some("because")
    );
    assert_eq!(read.board(&space).unwrap().unwrap().threads, 4);
    drop(read);
    mark(&mut world, &owner, space, ids[4], "hide", true);
    mark(&mut world, &owner, space, ids[4], "lock", false);
    assert_eq!(list(&world, Sort::New), [0, 4, 3, 2, 1]);
    let read = world.node.read().unwrap();
    assert!(read.thread(&ids[4]).unwrap().unwrap().locked);
    let bad = read
        .threads(None, Sort::Hot, Some("no cursor"), 2)
        .unwrap_err();
    assert!(matches!(bad, DatabaseError::Cursor));
}

#[test]
fn a_thread_shows_edits_votes_media_and_replies() {
    let (mut world, owner, other, space) = scene();
    let mut first = post_row("a  body\nthat is long", None);
    first.insert(
        "media".to_owned(),
        Ipld::List(vec![media("clip.webm"), media("b.webm")]),
    );
    let root = world.write(&owner, space, None, "post", &first).id();
    let reply = world.reply(&other, space, root, root, "reply");
    let nested = world.reply(&owner, space, root, reply, "nested");
    world.vote(&other, space, root, reply, 1);
    world.vote(&owner, space, root, reply, 1);
    let edit = row(&[("of", link(&reply)), ("body", text("edited"))]);
    world.write(&other, space, Some(root), "revise", &edit);

    let read = world.node.read().unwrap();
    let summary = read.thread(&root).unwrap().unwrap();
    assert_eq!(summary.title, "a body that is long");
    assert_eq!(summary.media.unwrap().name, "clip.webm");
    assert_eq!(
        (summary.replies, summary.last_ms > summary.time_ms),
        (2, true)
    );
    let page = read.posts(&root, Some(other.identity), None, 10).unwrap();
    let ids: Vec<EntryId> = page.items.iter().map(|post| post.id).collect();
    assert_eq!(ids, [root, reply, nested]);
    let post = &page.items[1];
    assert_eq!(
        (post.body.as_str(), post.score, post.vote),
        ("edited", 2, 1)
    );
    assert!(post.edited_ms.is_some() && post.parent == Some(root));
    assert_eq!(page.items[2].parent, Some(reply));
    assert_eq!(page.items[0].media.len(), 2);
    assert_eq!(
        read.post(&reply, Some(other.identity)).unwrap().as_ref(),
        Some(post)
    );
    assert_eq!(read.post(&reply, None).unwrap().unwrap().vote, 0);
    let first = read.posts(&root, None, None, 2).unwrap();
    let rest = read.posts(&root, None, first.next.as_deref(), 2).unwrap();
    assert_eq!(
        (rest.items.len(), rest.items[0].id, rest.next),
        (1, nested, None)
    );
    let by = read.posts_by(&owner.identity, None, 10).unwrap();
    assert_eq!(
        by.items.iter().map(|post| post.id).collect::<Vec<_>>(),
        [nested, root]
    );
    let authors = read.authors(&root).unwrap();
    assert_eq!(authors.len(), 2);
}

#[test]
fn a_profile_names_follows_and_devices() {
    let (mut world, owner, other, space) = scene();
    let own = owner.identity.space();
    let profile = row(&[
        ("name", text("Ann")),
        ("about", text("hello")),
        ("homes", Ipld::List(Vec::new())),
    ]);
    world.write(&owner, own, None, "profile", &profile);
    for (who, on) in [
        (other.identity.space(), true),
        (space, true),
        (other.identity.space(), false),
    ] {
        let follow = row(&[("who", link(&who.entry())), ("on", Ipld::Bool(on))]);
        world.write(&owner, own, None, "follow", &follow);
    }
    let second = model::SecretKey::from_bytes(&[77; 32]).public();
    world.name_device(&owner, &second);
    let read = world.node.read().unwrap();
    let profile = read.profile(&owner.identity).unwrap().unwrap();
    assert_eq!(
        (profile.name.as_deref(), profile.about.as_str()),
        (Some("Ann"), "hello")
    );
    assert_eq!(read.follows(&owner.identity).unwrap(), [space]);
    assert!(read.blocks(&owner.identity).unwrap().is_empty());
    let mut devices: Vec<_> = read
        .devices(&owner.identity)
        .unwrap()
        .into_iter()
        .map(|d| d.key)
        .collect();
    devices.sort_unstable();
    let mut expected = vec![owner.device.public(), second];
    expected.sort_unstable();
    assert_eq!(devices, expected);
    assert!(
        read.profile(&model::IdentityId::from(space.entry()))
            .unwrap()
            .is_none()
    );
    assert_eq!(read.profile(&other.identity).unwrap().unwrap().name, None);
    assert!(NOW < world.now_ms);
}

#[test]
fn rows_are_found_by_table_and_a_vote_leads_to_the_one_that_counts() {
    let (mut world, owner, other, space) = scene();
    let root = world.thread(&owner, space, "x");
    let first = world.vote(&other, space, root, root, 1);
    let elsewhere = world.vote(&owner, space, root, root, 1);
    let second = world.vote(&other, space, root, root, -1);
    let read = world.node.read().unwrap();
    assert_eq!(
        read.rows_anywhere("vote", 9).unwrap(),
        [second, elsewhere, first]
    );
    assert_eq!(read.rows_anywhere("vote", 1).unwrap(), [second]);
    assert!(read.rows_anywhere("payment", 9).unwrap().is_empty());
    let ever = |limit| {
        let rows = read.rows_ever(&space, "vote", limit).unwrap();
        rows.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    let mut all = ever(9);
    assert!(all.iter().position(|id| *id == second) < all.iter().position(|id| *id == first));
    all.sort_unstable();
    let mut votes = [first, second, elsewhere];
    votes.sort_unstable();
    assert_eq!(all, votes, "those whose place was taken, too");
    assert_eq!(ever(2).len(), 2);
    assert_eq!(read.current(&first).unwrap(), Some(second));
    assert_eq!(read.current(&second).unwrap(), Some(second));
    assert_eq!(read.current(&elsewhere).unwrap(), Some(elsewhere));
    assert_eq!(read.current(&root).unwrap(), None);
    let counting = |on: &EntryId, of: &Person| {
        let row = row(&[("on", link(on)), ("dir", Ipld::Integer(0))]);
        let found = read.counting(&space, "vote", &of.identity, &row);
        found.unwrap()
    };
    assert_eq!(counting(&root, &other), Some(second));
    assert_eq!(counting(&root, &owner), Some(elsewhere));
    assert_eq!(counting(&first, &owner), None);
}
