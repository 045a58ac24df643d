use bytes::Bytes;
use cid::Cid;
use ipld_core::ipld;

use super::{cid, identity};
use crate::dag::{
    Link, LinksFault, MAX_NESTING, MAX_NODE_LINKS, NameFault, Node, PbFault, codec, hash, links,
    name_of,
};

fn links_of(codec: u64, bytes: &[u8]) -> Result<Vec<Cid>, LinksFault> {
    links(&name_of(codec, bytes), &Bytes::copy_from_slice(bytes))
}

#[test]
fn all_links_are_found_in_order_and_repeated_ones_too() {
    let (a, b) = (name_of(codec::RAW, b"a"), identity(b"b"));
    let link = |cid| Link {
        cid,
        name: "name".into(),
        size_bytes: 1,
    };
    let node = Node {
        links: [b, a, b].map(link).to_vec(),
        data: None,
    };
    assert_eq!(links_of(codec::DAG_PB, &node.encode()), Ok(vec![b, a, b]));

    let value = ipld!({
        "1": [b, {"x": a, "y": "bafkqaaa"}],
        "2": {"/": "bafkqaaa"},
        "3": [1, -1, 1.5, true, null, b],
    });
    let cbor = serde_ipld_dagcbor::to_vec(&value).unwrap();
    assert_eq!(links_of(codec::DAG_CBOR, &cbor), Ok(vec![b, a, b]));
    assert_eq!(links_of(codec::CBOR, &cbor), Ok(Vec::new()));
    assert_eq!(links_of(codec::RAW, &cbor), Ok(Vec::new()));

    let json = format!(
        r#"{{"1": [{{"/": "{b}"}}, {{"x": {{"/" : "{a}"}}, "y": "{a}"}}], "/": "not a link",
            "2": {{"/": {{"bytes": "{a}"}}}}, "3": {{"/": "{a}", "more": 1}},
            "4": {{"more": 1, "/": "{a}"}}, "5": [1, -1, 1.5, true, null, {{"/": "{b}"}}]}}"#
    );
    assert_eq!(
        links_of(codec::DAG_JSON, json.as_bytes()),
        Ok(vec![b, a, b])
    );
    assert_eq!(links_of(codec::JSON, json.as_bytes()), Ok(Vec::new()));
    let whole = format!(r#"{{"/":"{a}"}}"#);
    assert_eq!(links_of(codec::DAG_JSON, whole.as_bytes()), Ok(vec![a]));
}

#[test]
fn a_block_that_is_not_what_its_codec_says_has_no_links() {
    let link = |cid_bytes: &[u8]| {
        [
            &[0xd8, 42, 0x58, u8::try_from(cid_bytes.len()).unwrap()],
            cid_bytes,
        ]
        .concat()
    };
    let long: Vec<u8> = [&[0][..], &identity(&[1; 30]).to_bytes(), &[9]].concat();
    let no_prefix = identity(&[1; 30]).to_bytes();
    for (what, bytes) in [
        ("empty", vec![]),
        ("two values", vec![0, 0]),
        ("longer than needed", vec![0x18, 1]),
        ("indefinite", vec![0x9f, 0xff]),
        (
            "keys out of order",
            vec![0xa2, 0x61, b'b', 0, 0x61, b'a', 0],
        ),
        ("a key twice", vec![0xa2, 0x61, b'a', 0, 0x61, b'a', 0]),
        ("a key that is no text", vec![0xa1, 0, 0]),
        ("a short float", vec![0xfa, 0, 0, 0, 0]),
        ("not a number", vec![0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]),
        ("another tag", vec![0xc1, 0]),
        ("undefined", vec![0xf7]),
        ("text that is not UTF-8", vec![0x61, 0xff]),
        (
            "a list of more than there is",
            vec![0x9a, 0xff, 0xff, 0xff, 0xff],
        ),
        ("a link with bytes after its CID", link(&long)),
        ("a link without its zero", link(&no_prefix)),
        ("a link that is text", vec![0xd8, 42, 0x61, b'a']),
    ] {
        let read = links_of(codec::DAG_CBOR, &bytes);
        assert!(
            matches!(read, Err(LinksFault::Cbor { .. })),
            "{what}: {read:?}"
        );
    }
    for json in [
        "",
        "{",
        "1 2",
        r#"{"/": "nothing"}"#,
        r#"{"/": "/ipfs/bafkqaaa"}"#,
        "\u{feff}1",
        "NaN",
    ] {
        let read = links_of(codec::DAG_JSON, json.as_bytes());
        assert!(
            matches!(read, Err(LinksFault::Json { .. })),
            "{json}: {read:?}"
        );
    }
    let name = name_of(codec::DAG_PB, &[0x1a, 0]);
    let source = Box::new(PbFault::UnknownField { field: 3, at: 0 });
    let fault = LinksFault::Pb { cid: name, source };
    assert_eq!(links(&name, &Bytes::from_static(&[0x1a, 0])), Err(fault));
    let key = cid(0x72, hash::SHA2_256, &[0; 32]);
    let fault = NameFault::Codec {
        cid: key,
        codec: 0x72,
    };
    assert_eq!(links(&key, &Bytes::new()), Err(LinksFault::Name(fault)));
}

#[test]
fn values_in_each_other_are_bounded() {
    let cbor = |levels| [vec![0x81; levels], vec![0]].concat();
    let json = |levels| [vec![b'['; levels], vec![b'1'], vec![b']'; levels]].concat();
    assert_eq!(
        links_of(codec::DAG_CBOR, &cbor(MAX_NESTING)),
        Ok(Vec::new())
    );
    assert_eq!(
        links_of(codec::DAG_JSON, &json(MAX_NESTING)),
        Ok(Vec::new())
    );
    for levels in [MAX_NESTING + 1, 1 << 20] {
        for (codec, bytes) in [
            (codec::DAG_CBOR, cbor(levels)),
            (codec::DAG_JSON, json(levels)),
        ] {
            let fault = LinksFault::TooDeep {
                cid: name_of(codec, &bytes),
            };
            assert_eq!(links_of(codec, &bytes), Err(fault));
        }
    }
}

#[test]
fn links_of_a_block_are_bounded() {
    let cbor = |count: usize| {
        let mut bytes = vec![0x9a];
        bytes.extend(u32::try_from(count).unwrap().to_be_bytes());
        bytes.extend(b"\xd8\x2a\x45\0\x01\x55\0\0".repeat(count));
        bytes
    };
    let json = |count: usize| {
        let links = vec![r#"{"/":"bafkqaaa"}"#; count];
        format!("[{}]", links.join(",")).into_bytes()
    };
    let (most, too_many) = (MAX_NODE_LINKS, MAX_NODE_LINKS + 1);
    for (codec, most, too_many) in [
        (codec::DAG_CBOR, cbor(most), cbor(too_many)),
        (codec::DAG_JSON, json(most), json(too_many)),
    ] {
        assert_eq!(links_of(codec, &most).unwrap().len(), MAX_NODE_LINKS);
        let found = links_of(codec, &too_many);
        assert!(
            matches!(found, Err(LinksFault::TooMany { .. })),
            "{:?}",
            found.map(|links| links.len())
        );
    }
}
