//! `/ipfs/{cid}/{path}` on an origin shared with the pages.

use axum::body::Body;
use model::EntryId;

use super::{
    Answer, App,
    ipfs_fake::{CBOR, DAG_CBOR, DAG_JSON, DAG_PB, JSON, RAW, Thing, name},
    request,
};

const IMMUTABLE: &str = "public, max-age=29030400, immutable";
/// `{"a":1}` in CBOR.
const MAP: &[u8] = b"\xa1\x61a\x01";

impl App {
    pub(super) async fn asked(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(request("GET", path, headers, Body::empty()))
            .await
    }
}

#[tokio::test]
async fn a_file_below_a_directory_has_its_path_and_roots_in_the_headers() {
    let app = App::new();
    let file = app.node.ipfs.file(b"hello\n");
    let inner = app.node.ipfs.directory(&[("ę.txt", file)]);
    let root = app.node.ipfs.directory(&[("ą", inner)]);
    for path in ["ą/ę.txt", "%C4%85/%C4%99.txt", "ą//./x/../ę.txt"] {
        let encoded = path.replace('ą', "%C4%85").replace('ę', "%C4%99");
        let answer = app.get(&format!("/ipfs/{root}/{encoded}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body.as_slice()),
            (200, &b"hello\n"[..])
        );
        assert_eq!(
            answer.header("x-ipfs-path"),
            format!("/ipfs/{root}/%C4%85/%C4%99.txt")
        );
        assert_eq!(
            answer.header("x-ipfs-roots"),
            format!("{root},{inner},{file}")
        );
        assert_eq!(answer.header("etag"), format!("\"{file}\""));
        assert_eq!(answer.header("cache-control"), IMMUTABLE);
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.header("content-length"), "6");
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("vary"), "Accept, Sec-Fetch-Dest");
        assert_eq!(
            answer.header("content-disposition"),
            "inline; filename=\"_.txt\"; filename*=UTF-8''%C4%99.txt"
        );
    }
    let exposed = app.get(&format!("/ipfs/{file}")).await;
    let exposed = exposed.header("access-control-expose-headers").to_owned();
    for name in [
        "Content-Range",
        "X-Ipfs-Path",
        "X-Ipfs-Roots",
        "X-Stream-Output",
    ] {
        assert!(exposed.contains(name), "{name}");
    }
    for path in [
        format!("/ipfs/{file}"),
        format!("/ipfs/{file}/"),
        format!("/ipfs/{root}/a/b"),
    ] {
        let answer = app
            .send(request("OPTIONS", &path, &[], Body::empty()))
            .await;
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(
            answer.header("access-control-allow-methods"),
            "GET, HEAD, OPTIONS"
        );
    }
}

#[tokio::test]
async fn what_a_path_may_lead_to_besides_has_its_own_status() {
    let app = App::new();
    let world = &app.node.ipfs;
    let file = world.file(b"a file");
    let gone = name(RAW, b"not held");
    let denied = world.put(name(RAW, b"denied"), Thing::Denied);
    let broken = world.put(name(RAW, b"broken"), Thing::Broken);
    let data = world.data(DAG_CBOR, MAP, &[("a", None)]);
    let root = world.directory(&[
        ("file", file),
        ("gone", gone),
        ("denied", denied),
        ("broken", broken),
        ("data", data),
    ]);
    let table = [
        ("nothing", 404, "not_found"),
        ("file/below", 404, "not_found"),
        ("gone", 404, "not_found"),
        ("denied", 410, "denied"),
        ("broken", 502, "not_verified"),
        ("data/a", 501, "not_implemented"),
        ("data/a?format=raw", 501, "not_implemented"),
        ("data/b", 404, "not_found"),
        ("file?format=tar", 501, "not_implemented"),
        ("file?format=ipns-record", 406, "not_acceptable"),
        ("file?format=nonsense", 400, "invalid"),
        ("file?format=car&entity-bytes=x", 400, "invalid"),
        ("../..", 400, "invalid"),
        ("%ff", 400, "invalid"),
    ];
    for (path, status, code) in table {
        let answer = app.get(&format!("/ipfs/{root}/{path}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (status, code),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
}

#[tokio::test]
async fn only_if_cached_never_waits_for_others() {
    let app = App::new();
    let held = app.node.ipfs.file(b"held");
    let blob = app.node.hold_partly(b"at a peer");
    let gone = name(DAG_PB, b"gone");
    let only = ("cache-control", "max-age=0, Only-If-Cached");
    for (cid, status) in [(held, 200), (gone, 412), (blob.to_cid(), 412)] {
        for method in ["GET", "HEAD"] {
            let asked = request(method, &format!("/ipfs/{cid}"), &[only], Body::empty());
            assert_eq!(app.send(asked).await.status, status, "{method} {cid}");
        }
    }
}

#[tokio::test]
async fn the_first_range_is_sent_even_if_other_blocks_are_missing() {
    let app = App::new();
    let bytes: Vec<u8> = (0..2000_u32).map(|at| (at % 251) as u8).collect();
    let remote = Thing::Remote(bytes.clone().into(), 1000);
    let cid = app.node.ipfs.put(name(DAG_PB, b"remote"), remote);
    let answer = app
        .asked(&format!("/ipfs/{cid}"), &[("range", "bytes=1500-1509,0-4")])
        .await;
    assert_eq!(answer.status, 206);
    assert_eq!(answer.header("content-range"), "bytes 1500-1509/2000");
    assert_eq!(answer.body, bytes[1500..1510]);
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    let answer = app
        .asked(&format!("/ipfs/{cid}"), &[("range", "bytes=0-9")])
        .await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn each_format_has_its_type_name_and_etag() {
    let app = App::new();
    let world = &app.node.ipfs;
    let file = world.file(b"{\"json\": true}\n");
    let dag_json = world.data(DAG_JSON, b"{\"a\":1}", &[]);
    let dag_cbor = world.data(DAG_CBOR, MAP, &[]);
    let json = world.data(JSON, b"{\"b\": 1}", &[]);
    let cbor = world.data(CBOR, b"\xa1\x61b\x01", &[]);
    let entry = EntryId::of(MAP).to_cid();
    app.node.hold_block(MAP);
    let (raw, car) = ("application/vnd.ipld.raw", "application/vnd.ipld.car");
    let (own_json, own_cbor) = (
        "application/vnd.ipld.dag-json",
        "application/vnd.ipld.dag-cbor",
    );
    let (plain_json, plain_cbor) = ("application/json", "application/cbor");
    let (save, show) = ("attachment", "inline");
    let table = [
        (file, "", plain_json, show, "", ""),
        (file, "json", plain_json, show, "", ""),
        (file, "raw", raw, save, ".bin", ".raw"),
        (dag_json, "", own_json, show, ".json", ""),
        (dag_json, "dag-json", own_json, show, ".json", ".dag-json"),
        (dag_json, "json", plain_json, show, ".json", ".json"),
        (dag_cbor, "", own_cbor, save, ".cbor", ""),
        (dag_cbor, "dag-cbor", own_cbor, save, ".cbor", ".dag-cbor"),
        (dag_cbor, "cbor", plain_cbor, save, ".cbor", ".cbor"),
        (dag_cbor, "raw", raw, save, ".bin", ".raw"),
        (json, "", plain_json, show, ".json", ""),
        (json, "json", plain_json, show, ".json", ".json"),
        (cbor, "", plain_cbor, save, ".cbor", ""),
        (cbor, "cbor", plain_cbor, save, ".cbor", ".cbor"),
        (entry, "", own_cbor, save, ".cbor", ""),
        (entry, "cbor", plain_cbor, save, ".cbor", ".cbor"),
    ];
    let types = [
        ("raw", raw),
        ("car", car),
        ("dag-json", own_json),
        ("dag-cbor", own_cbor),
        ("json", plain_json),
        ("cbor", plain_cbor),
    ];
    for (cid, format, media_type, disposition, extension, tag) in table {
        let accept = types.iter().find(|(word, _)| *word == format);
        let accept = accept.map_or("*/*", |(_, media_type)| *media_type);
        let mut ways = vec![
            app.asked(&format!("/ipfs/{cid}"), &[("accept", accept)])
                .await,
        ];
        if !format.is_empty() {
            let path = format!("/ipfs/{cid}?format={format}");
            ways.push(app.asked(&path, &[("accept", car)]).await);
        }
        for answer in ways {
            assert_eq!(answer.status, 200, "{cid} {format}");
            assert_eq!(answer.header("content-type"), media_type, "{cid} {format}");
            assert_eq!(answer.header("etag"), format!("\"{cid}{tag}\""));
            let shown = answer.header("content-disposition");
            let expected = match extension {
                "" => disposition.to_owned(),
                _ => format!("{disposition}; filename=\"{cid}{extension}\""),
            };
            assert!(shown.starts_with(&expected), "{shown}");
        }
    }
}

#[tokio::test]
async fn codecs_are_not_converted() {
    let app = App::new();
    let world = &app.node.ipfs;
    let file = world.put(name(DAG_PB, b"unixfs"), Thing::File("words".into()));
    let dag_json = world.data(DAG_JSON, b"{}", &[]);
    let dag_cbor = world.data(DAG_CBOR, b"\xa0", &[]);
    let directory = world.directory(&[]);
    let table = [
        (file, "dag-json"),
        (file, "dag-cbor"),
        (dag_json, "dag-cbor"),
        (dag_json, "cbor"),
        (dag_cbor, "dag-json"),
        (dag_cbor, "json"),
        (directory, "json"),
        (directory, "dag-cbor"),
    ];
    for (cid, format) in table {
        let answer = app.get(&format!("/ipfs/{cid}/?format={format}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (406, "not_acceptable")
        );
    }
}

#[tokio::test]
async fn a_block_that_should_have_been_of_unixfs_can_be_had_as_a_block() {
    let app = App::new();
    let odd = app.node.ipfs.data(DAG_PB, b"odd", &[]);
    let root = app.node.ipfs.directory(&[("odd", odd)]);
    for path in [format!("/ipfs/{odd}"), format!("/ipfs/{root}/odd")] {
        let raw = app.get(&format!("{path}?format=raw")).await;
        assert_eq!(
            (raw.status.as_u16(), raw.body.as_slice()),
            (200, &b"odd"[..])
        );
        let car = app.get(&format!("{path}?format=car&dag-scope=block")).await;
        assert_eq!(car.status, 200);
        for query in ["", "?format=dag-json", "?format=json"] {
            let answer = app.get(&format!("{path}{query}")).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (400, "invalid")
            );
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(body.contains("not a node of UnixFS"), "{body}");
        }
    }
}

#[tokio::test]
async fn blocks_have_ranges_and_conditions_of_their_own() {
    let app = App::new();
    let cid = app.node.ipfs.file(b"0123456789");
    let path = format!("/ipfs/{cid}?format=raw");
    let answer = app.asked(&path, &[("range", "bytes=2-4,0-1")]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_slice()),
        (206, &b"234"[..])
    );
    assert_eq!(answer.header("content-type"), "application/vnd.ipld.raw");
    let etag = format!("\"{cid}.raw\"");
    for known in [etag.clone(), format!("\"x\", W/{etag}"), "*".to_owned()] {
        let answer = app.asked(&path, &[("if-none-match", &known)]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("etag")),
            (304, etag.as_str())
        );
        assert_eq!(answer.header("x-ipfs-roots"), cid.to_string());
    }
    let of_the_file = format!("\"{cid}\"");
    assert_eq!(
        app.asked(&path, &[("if-none-match", &of_the_file)])
            .await
            .status,
        200
    );
    let range = ("range", "bytes=0-0");
    assert_eq!(
        app.asked(&path, &[range, ("if-range", &etag)]).await.status,
        206
    );
    assert_eq!(
        app.asked(&path, &[range, ("if-range", &of_the_file)])
            .await
            .status,
        200
    );
    let head = app.send(request("HEAD", &path, &[], Body::empty())).await;
    assert_eq!((head.header("content-length"), head.body.len()), ("10", 0));
    let named = app.get(&format!("{path}&filename=foobar.bin")).await;
    assert!(
        named
            .header("content-disposition")
            .starts_with("attachment; filename=\"foobar.bin\"")
    );
}

#[tokio::test]
async fn a_symlink_is_its_target_and_names_may_hold_percent_signs() {
    let app = App::new();
    let world = &app.node.ipfs;
    let link = world.put(name(DAG_PB, b"link"), Thing::Symlink("foo".into()));
    let file = world.file(b"odd");
    let root = world.directory(&[("bar", link), ("a%2C+b=c d", file)]);
    let answer = app.get(&format!("/ipfs/{root}/bar")).await;
    assert_eq!(
        (answer.header("content-type"), answer.text().as_str()),
        ("inode/symlink", "foo")
    );
    let answer = app.get(&format!("/ipfs/{root}/a%252C+b=c%20d")).await;
    assert_eq!(answer.text(), "odd");
}

#[tokio::test]
async fn an_identity_name_is_its_own_bytes() {
    let app = App::new();
    let empty = app.get("/ipfs/bafkqaaa").await;
    assert_eq!((empty.status.as_u16(), empty.body.len()), (200, 0));
    let probe = request("HEAD", "/ipfs/bafkqaaa?format=raw", &[], Body::empty());
    assert_eq!(app.send(probe).await.status, 200);
    let hello = app.get("/ipfs/bafkqabtimvwgy3yk/").await;
    assert_eq!(
        (hello.status.as_u16(), hello.text().as_str()),
        (200, "hello\n")
    );
}

#[tokio::test]
async fn an_ipfs_address_is_redirected_to_its_path() {
    let app = App::new();
    let cid = "QmXoypizjW3WknFiJnKLwHCnL72vedxjQkDDP1mXWo6uco";
    let answer = app
        .get(&format!(
            "/ipfs/?uri=ipfs%3A%2F%2F{cid}%2Fwiki%2FA%20b.html"
        ))
        .await;
    assert_eq!(answer.status, 301);
    assert_eq!(
        answer.header("location"),
        format!("/ipfs/{cid}/wiki/A%20b.html")
    );
    for bad in [
        "",
        "?uri=",
        "?uri=https://evil.example/",
        "?uri=ipfs://evil.example/x",
    ] {
        assert_eq!(app.get(&format!("/ipfs/{bad}")).await.status, 400, "{bad}");
    }
}
