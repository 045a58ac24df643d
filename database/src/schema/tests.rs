#![allow(clippy::unwrap_used)]
use super::*;
use model::{BlobId, EntryId, Ipld, Row};

#[test]
fn built_in_texts_are_canonical_and_frozen() {
    assert_eq!(forum().text(), FORUM);
    assert_eq!(profile().text(), PROFILE);
    assert_eq!(forum().name(), "forum/1");
    // Changing a schema changes its name: spaces made with the old one would no longer be forums.
    assert_eq!(forum().id().to_string(), FORUM_CID);
    assert_eq!(profile().id().to_string(), PROFILE_CID);
}

const FORUM_CID: &str = "bafkr4if735s5fegtynx5s3fgapcoqha5nksigp6fzqzmkg2iqg7j2osawq";
const PROFILE_CID: &str = "bafkr4igsjne6cbhyzbejsuk5zbtgwct5gcqn2z5thddt6ujacigbcwdgxy";

#[test]
fn comments_and_spacing_do_not_change_the_name() {
    let loose = "schema  t/2 # a comment\nroles a>b table x { n : int -3 .. 3 ?, t: text <= 5 } key(t) last\nallow x:b fold f = sum ( x.n ) by t";
    let error = Schema::parse(loose).unwrap_err();
    assert_eq!((error.line, error.column), (3, 16), "{error}");
    let loose = loose.split(" fold").next().unwrap();
    let schema = Schema::parse(loose).unwrap();
    assert_eq!(
        schema.text(),
        "schema t/2\nroles a > b\ntable x {\n  n: int -3..3?\n  t: text<=5\n} key (t) last\nallow x: b\n"
    );
    assert_eq!(Schema::parse(schema.text()).unwrap(), schema);
}

#[test]
fn bad_schemas_say_where_and_why() {
    for (text, line, column, part) in [
        ("", 1, 1, "expected `schema`"),
        ("schema x/0", 1, 10, "from 1"),
        ("schema x/1\nfoo", 2, 1, "no declaration"),
        ("schema x/1\ntable a { b: float }", 2, 14, "neither a type"),
        ("schema x/1\ntable a { b: text }", 2, 19, "expected `<=`"),
        ("schema x/1\ntable a { b: text<=99999 }", 2, 20, "limit"),
        ("schema x/1\ntable a { b: bool b: bool }", 2, 19, "already"),
        ("schema x/1\ntable a { b: ref c }", 2, 18, "one above"),
        ("schema x/1\ntable a { b: int 3..2 }", 2, 21, "empty"),
        (
            "schema x/1\ntable a { b: bool? } key (b) last\nallow a: any",
            2,
            27,
            "always there",
        ),
        ("schema x/1\ntable a { b: bool }", 2, 20, "no `allow`"),
        ("schema x/1\ntable a { }\nallow a: king", 3, 7, "no role"),
        (
            "schema x/1\ntable a { b: bool }\nallow a: author(b)",
            3,
            7,
            "no ref",
        ),
        ("schema x/1\ntable a { b: enum() }", 2, 19, "at least one"),
        ("schema x/1\n  table ä", 2, 9, "no meaning"),
        (
            "schema x/1\ntable a { b: int 99999999999999999999..1 }",
            2,
            18,
            "64 bits",
        ),
        (
            "schema x/1\ntable a { b: list<list<list<list<bool><=1><=1><=1><=1 }",
            2,
            33,
            "deep",
        ),
        ("schema x/1\nroles any", 2, 7, "can't be a role"),
    ] {
        let error = Schema::parse(text).unwrap_err();
        assert!(error.problem.contains(part), "{text:?}: {error}");
        assert_eq!(
            (error.line, error.column),
            (line, column),
            "{text:?}: {error}"
        );
    }
    assert!(Schema::parse(&"#".repeat(SCHEMA_BYTES + 1)).is_err());
}

fn post() -> Row {
    Row::from([
        ("body".to_owned(), Ipld::String("hello".to_owned())),
        ("media".to_owned(), Ipld::List(Vec::new())),
        ("nsfw".to_owned(), Ipld::Bool(false)),
    ])
}

#[test]
fn rows_are_checked() {
    let schema = forum();
    let table = schema.table("post").unwrap();
    let parent = EntryId::of(b"p");
    let mut row = post();
    row.insert("parent".to_owned(), Ipld::Link(parent.to_cid()));
    let refs = schema.check_row(table, &row).unwrap();
    assert_eq!(refs.len(), 1);
    assert_eq!((refs[0].0.name.as_str(), refs[0].1), ("parent", parent));

    type Change = (&'static str, Option<Ipld>);
    let long = "x".repeat(301);
    let changes: [Change; 7] = [
        ("body", None),
        ("title", Some(Ipld::String(long))),
        ("title", Some(Ipld::Integer(1))),
        ("karma", Some(Ipld::Integer(1))),
        ("parent", Some(Ipld::Link(BlobId::of(b"b").to_cid()))),
        ("media", Some(Ipld::List(vec![Ipld::Map(Row::new())]))),
        ("media", Some(Ipld::List(vec![Ipld::Map(Row::new()); 17]))),
    ];
    for (column, value) in changes {
        let mut row = post();
        match value {
            Some(value) => row.insert(column.to_owned(), value),
            None => row.remove(column),
        };
        let error = schema.check_row(table, &row).unwrap_err().to_string();
        assert!(error.contains(column), "{error}");
    }

    let vote = schema.table("vote").unwrap();
    let row = |dir: i128| {
        Row::from([
            ("on".to_owned(), Ipld::Link(parent.to_cid())),
            ("dir".to_owned(), Ipld::Integer(dir)),
        ])
    };
    assert!(schema.check_row(vote, &row(-1)).is_ok());
    assert!(schema.check_row(vote, &row(2)).is_err());
}

#[test]
fn authority_is_what_not_everybody_may_write() {
    let forum = forum();
    assert!(forum.is_authority("board") && forum.is_authority("mark"));
    assert!(forum.is_authority("$genesis"));
    assert!(!forum.is_authority("post") && !forum.is_authority("revise"));
}

#[test]
fn decimals_have_one_form() {
    let schema = Schema::parse("schema d/1\ntable x { n: decimal }\nallow x: any").unwrap();
    let table = schema.table("x").unwrap();
    let check = |text: &str| {
        let row = Row::from([("n".to_owned(), Ipld::String(text.to_owned()))]);
        schema.check_row(table, &row).is_ok()
    };
    for good in ["0", "-1", "12.05", "-0.5"] {
        assert!(check(good), "{good}");
    }
    for bad in ["", "-", "-0", "01", "1.", ".5", "1.50", "1e3", "+1"] {
        assert!(!check(bad), "{bad}");
    }
}
