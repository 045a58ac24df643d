//! Entries that break a rule: each says which, and changes nothing.

use model::{EntryId, Ipld, Row};

use super::world::{NOW, Parcel, Person, World, empty, give, link, post_row, row, text, vote_row};
use crate::{Outcome, Reason};

struct Scene {
    world: World,
    owner: Person,
    other: Person,
    space: model::SpaceId,
    root: EntryId,
    second_root: EntryId,
    reply: Parcel,
    vote: Parcel,
}

fn scene() -> Scene {
    let mut world = World::new();
    let owner = world.person(1);
    let other = world.person(2);
    let space = world.board(&owner);
    let root = world.thread(&owner, space, "first");
    let second_root = world.thread(&owner, space, "elsewhere");
    let id = world.reply(&other, space, root, root, "reply");
    let reply = world.parcels.last().unwrap().clone();
    assert_eq!(reply.id(), id);
    world.vote(&other, space, root, id, 1);
    let vote = world.parcels.last().unwrap().clone();
    Scene {
        world,
        owner,
        other,
        space,
        root,
        second_root,
        reply,
        vote,
    }
}

fn reason(scene: &Scene, parcel: &Parcel) -> Reason {
    let node = empty();
    let all = scene.world.parcels.iter().map(Parcel::incoming).collect();
    give(&node, all, scene.world.now_ms);
    let report = give(&node, vec![parcel.incoming()], scene.world.now_ms);
    // The forks that these variants make are not what is asked here.
    match report.outcomes.into_iter().next().unwrap().1 {
        Outcome::Invalid(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn headers_are_judged_against_what_they_lean_on() {
    let mut scene = scene();
    let key = scene.other.device.clone();
    let reply = scene.reply.clone();
    let second = scene.second_root;
    let parcel = scene.world.altered(&reply, &key, |header| header.depth = 9);
    assert_eq!(
        reason(&scene, &parcel),
        Reason::Depth {
            expected: 1,
            found: 9
        }
    );
    let parcel = scene
        .world
        .altered(&reply, &key, |header| header.time_ms = NOW);
    assert_eq!(reason(&scene, &parcel), Reason::Time);
    let parcel = scene
        .world
        .altered(&reply, &key, |header| header.root = Some(second));
    assert_eq!(reason(&scene, &parcel), Reason::Parent);
    let id = reply.id();
    let parcel = scene
        .world
        .altered(&reply, &key, |header| header.root = Some(id));
    assert_eq!(reason(&scene, &parcel), Reason::Root);
    let parcel = scene
        .world
        .altered(&reply, &key, |header| header.root = None);
    assert_eq!(reason(&scene, &parcel), Reason::Parent);
    let parcel = scene.world.altered(&reply, &key, |header| {
        header.parents.clear();
        header.depth = 0;
    });
    assert_eq!(reason(&scene, &parcel), Reason::Place("post".to_owned()));
    let parcel = scene
        .world
        .altered(&reply, &key, |header| header.table = "karma".to_owned());
    assert_eq!(reason(&scene, &parcel), Reason::Table("karma".to_owned()));
    let parcel = scene.world.altered(&reply, &key, |header| {
        header.schema = crate::schema::profile().id()
    });
    assert_eq!(reason(&scene, &parcel), Reason::Schema);
    let parcel = scene
        .world
        .altered(&reply, &key, |header| header.grant = Some(id));
    assert_eq!(reason(&scene, &parcel), Reason::Grant);
    let other_space = scene.owner.identity.space();
    let parcel = scene
        .world
        .altered(&reply, &key, |header| header.space = Some(other_space));
    assert_eq!(reason(&scene, &parcel), Reason::Schema);
}

#[test]
fn rows_are_judged_against_schema_and_parents() {
    let mut scene = scene();
    let key = scene.other.device.clone();
    let (reply, vote) = (scene.reply.clone(), scene.vote.clone());
    let on_vote = vote.id();
    let parcel = scene
        .world
        .other_row(&vote, &key, &vote_row(&reply.id(), 7), |_| {});
    assert!(matches!(reason(&scene, &parcel), Reason::Row(_)));
    let parcel = scene
        .world
        .other_row(&vote, &key, &vote_row(&scene.second_root, 1), |_| {});
    assert_eq!(reason(&scene, &parcel), Reason::NotParent("on".to_owned()));
    let parcel = scene
        .world
        .other_row(&vote, &key, &vote_row(&on_vote, 1), |header| {
            header.seq += 1;
            header.backlink = Some(on_vote);
            header.parents = vec![on_vote];
            header.depth += 1;
        });
    assert_eq!(reason(&scene, &parcel), Reason::WrongTable("on".to_owned()));
    let edit = row(&[("of", link(&scene.root)), ("body", text("mine now"))]);
    let root = scene.root;
    let parcel = scene.world.other_row(&vote, &key, &edit, |header| {
        header.table = "revise".to_owned();
        header.parents = vec![root];
        header.depth = 1;
    });
    assert_eq!(reason(&scene, &parcel), Reason::NotAuthor("of".to_owned()));
    let hide = row(&[
        ("on", link(&reply.id())),
        ("act", text("hide")),
        ("off", Ipld::Bool(false)),
    ]);
    let parcel = scene.world.other_row(&vote, &key, &hide, |header| {
        header.table = "mark".to_owned()
    });
    assert_eq!(reason(&scene, &parcel), Reason::Role("mark".to_owned()));
}

#[test]
fn only_a_root_key_names_devices() {
    let mut scene = scene();
    let key = scene.other.device.clone();
    let space = scene.other.identity.space();
    let named = scene
        .world
        .parcels
        .iter()
        .find(|p| p.entry.header().space == Some(space))
        .unwrap()
        .clone();
    let parcel = scene.world.altered(&named, &key, |header| {
        header.device = key.public();
        header.seq = 0;
        header.backlink = None;
    });
    assert_eq!(
        reason(&scene, &parcel),
        Reason::RootKey("$device".to_owned())
    );
    let root = scene.other.root.clone();
    let parcel = scene.world.other_row(&named, &root, &Row::new(), |_| {});
    assert!(matches!(reason(&scene, &parcel), Reason::Payload(_)));
}

#[test]
fn a_genesis_is_judged() {
    let mut scene = scene();
    let genesis = scene
        .world
        .parcels
        .iter()
        .find(|p| p.id() == scene.space.entry())
        .unwrap()
        .clone();
    let key = scene.owner.device.clone();
    let other_schema = Ipld::Link(crate::schema::profile().id().to_cid());
    for bad in [
        Row::new(),
        row(&[("schema", other_schema)]),
        row(&[("schema", text("forum"))]),
    ] {
        let parcel = scene.world.other_row(&genesis, &key, &bad, |_| {});
        assert!(matches!(reason(&scene, &parcel), Reason::Genesis(_)));
    }
    // What stands on a genesis that is none is invalid too.
    let parcel = scene.world.other_row(&genesis, &key, &Row::new(), |_| {});
    let space = model::SpaceId::from(parcel.id());
    let first = scene
        .world
        .parcels
        .iter()
        .find(|p| p.id() == scene.root)
        .unwrap()
        .clone();
    scene.world.parcels.push(parcel);
    let post = scene
        .world
        .other_row(&first, &key, &post_row("x", None), |header| {
            header.space = Some(space)
        });
    assert_eq!(reason(&scene, &post), Reason::Space);
}

#[test]
fn a_board_with_a_schema_of_its_own() {
    let mut scene = scene();
    let key = scene.owner.device.clone();
    let schema = crate::schema::Schema::parse(
        "schema wall/1 table note { on: ref note?, text: text<=10 } allow note: any",
    )
    .unwrap();
    let salt = scene.world.salt();
    let (header, payload) = crate::authoring::space_genesis(
        key.public(),
        scene.owner.identity,
        &schema,
        true,
        salt,
        scene.world.now_ms,
    )
    .unwrap();
    let genesis = scene.world.sign(header, payload, &key);
    // Rows that come before the genesis wait for it, and for their schema.
    let node = empty();
    let people = scene
        .world
        .parcels
        .iter()
        .filter(|p| p.id() != genesis.id())
        .map(Parcel::incoming);
    give(&node, people.collect(), scene.world.now_ms);
    assert_eq!(scene.world.accept(&genesis), Outcome::Valid);
    let space = model::SpaceId::from(genesis.id());
    let other = scene.other.clone();
    let note = scene
        .world
        .write(&other, space, None, "note", &row(&[("text", text("hi"))]));
    let report = give(&node, vec![note.incoming()], scene.world.now_ms);
    assert!(matches!(report.outcomes[0].1, Outcome::Pending { .. }));
    give(&node, vec![genesis.incoming()], scene.world.now_ms);
    let read = node.read().unwrap();
    let state = read.state(&note.id()).unwrap().unwrap();
    assert_eq!(
        (state.verdict, state.root),
        (crate::Verdict::Valid, Some(note.id()))
    );
    assert_eq!(read.digests(&space, 5).unwrap().len(), 1);
    let info = read.space(&space).unwrap().unwrap();
    assert!(info.unlisted && info.schema.name() == "wall/1");
    assert!(read.board(&space).unwrap().is_none());
}
