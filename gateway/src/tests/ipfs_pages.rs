//! Pages about content, and content that is a page.

use axum::body::Body;
use model::{BlobId, EntryId};

use super::{
    App,
    ipfs_fake::{DAG_CBOR, DAG_JSON, DAG_PB, RAW, Thing, name},
    request,
};

const IMMUTABLE: &str = "public, max-age=29030400, immutable";
const GENERATED: &str = "public, max-age=604800, stale-while-revalidate=2678400";
/// `{"a":1}` in CBOR.
const MAP: &[u8] = b"\xa1\x61a\x01";

#[tokio::test]
async fn a_directory_is_its_index_or_a_list_and_ends_with_a_slash() {
    let app = App::new();
    let world = &app.node.ipfs;
    let file = world.file(b"words");
    let page = world.put(name(RAW, b"page"), Thing::File("<p>hi".into()));
    let site = world.directory(&[("index.html", page)]);
    let odd = world.directory(&[("file <b>\u{202e} źł.txt", file)]);
    let root = world.directory(&[("site", site), ("ą", odd)]);

    let moved = app.get(&format!("/ipfs/{root}/%C4%85?x=1")).await;
    assert_eq!(moved.status, 301);
    assert_eq!(
        moved.header("location"),
        format!("/ipfs/{root}/%C4%85/?x=1")
    );
    assert_eq!(
        app.get(&format!("/ipfs/{root}")).await.header("location"),
        format!("/ipfs/{root}/")
    );

    let index = app.get(&format!("/ipfs/{root}/site/")).await;
    assert_eq!(
        (index.status.as_u16(), index.text().as_str()),
        (200, "<p>hi")
    );
    assert_eq!(index.header("content-type"), "text/html");
    assert_eq!(index.header("etag"), format!("\"{site}\""));
    assert_eq!(index.header("x-ipfs-roots"), format!("{root},{site}"));
    assert_eq!(index.header("cache-control"), IMMUTABLE);

    let list = app.get(&format!("/ipfs/{root}/%C4%85/")).await;
    let html = list.text();
    assert_eq!(list.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(list.header("cache-control"), GENERATED);
    for part in [
        "Index of",
        &format!("/ipfs/<a href=\"/ipfs/{root}\">{root}</a>/<a href=\"/ipfs/{root}/%C4%85\">ą</a>"),
        &format!("<a href=\"/ipfs/{root}/%C4%85/..\">..</a>"),
        &format!("<a href=\"/ipfs/{root}/%C4%85/file%20%3Cb%3E%E2%80%AE%20%C5%BA%C5%82.txt\">"),
        &format!(
            "<a class=\"ipfs-hash\" translate=\"no\" href=\"/ipfs/{file}?filename=\
             file%2520%253Cb%253E%25E2%2580%25AE%2520%25C5%25BA%25C5%2582.txt\">"
        ),
    ] {
        assert!(html.contains(part), "{part}\n{html}");
    }
    assert!(!html.contains("<b>") && !html.contains('\u{202e}') && !html.contains("<script"));
    assert!(
        list.header("content-security-policy")
            .starts_with("default-src 'none'")
    );

    let etag = list.header("etag").to_owned();
    assert!(etag.starts_with("\"DirIndex-") && etag.ends_with(&format!("_CID-{odd}\"")));
    let weak = format!("W/{etag}");
    for known in [etag.as_str(), &weak] {
        let path = format!("/ipfs/{root}/%C4%85/");
        let answer = app.asked(&path, &[("if-none-match", known)]).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (304, 0));
    }
    let top = app.get(&format!("/ipfs/{root}/")).await.text();
    assert!(!top.contains(">..<"), "a root has no parent");
    let head = request("HEAD", &format!("/ipfs/{root}/"), &[], Body::empty());
    let head = app.send(head).await;
    assert_eq!(head.header("content-length"), top.len().to_string());
    let block = app.get(&format!("/ipfs/{root}?format=raw")).await;
    assert_eq!(block.status, 200, "a block needs no slash");
}

#[tokio::test]
async fn a_directory_is_listed_when_no_path_leads_to_its_index() {
    let app = App::new();
    let world = &app.node.ipfs;
    let tangled = world.put(name(RAW, b"tangled"), Thing::Tangled);
    let odd = world.data(DAG_PB, b"odd", &[]);
    let broken = world.put(name(RAW, b"broken"), Thing::Broken);
    for (index, status) in [(tangled, 200), (odd, 200), (broken, 502)] {
        let site = world.directory(&[("index.html", index)]);
        let list = app.get(&format!("/ipfs/{site}/")).await;
        assert_eq!(list.status, status, "{}", list.text());
        assert_eq!(list.text().contains("Index of"), status == 200);
    }
}

#[tokio::test]
async fn a_data_block_is_shown_to_people() {
    let app = App::new();
    let world = &app.node.ipfs;
    let html = "text/html,application/xhtml+xml,*/*;q=0.8";
    let link = "bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
    let linked = format!("{{\"link\":{{\"/\":\"{link}\"}},\"x\":\"<script>\"}}");
    let linked: &'static [u8] = linked.leak().as_bytes();
    let dag_json = world.data(DAG_JSON, linked, &[]);
    let dag_cbor = world.data(DAG_CBOR, MAP, &[]);
    let nonsense = world.data(DAG_CBOR, b"\xff\xff", &[]);
    app.node.hold_block(MAP);
    let table = [
        (dag_json, format!("<a href=\"/ipfs/{link}\">{link}</a>")),
        (dag_cbor, "a&#34;: 1".to_owned()),
        (EntryId::of(MAP).to_cid(), "a&#34;: 1".to_owned()),
        (nonsense, "can&#39;t be read as dag-cbor".to_owned()),
    ];
    for (cid, part) in table {
        let answer = app
            .asked(&format!("/ipfs/{cid}"), &[("accept", html)])
            .await;
        assert_eq!(answer.status, 200);
        let text = answer.text();
        assert!(text.contains(&part) && text.contains("</html>"), "{text}");
        assert!(!text.contains("<script>"));
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.header("content-disposition"), "");
        assert_eq!(answer.header("cache-control"), GENERATED);
        assert!(answer.header("etag").starts_with("\"DagIndex-"));
        let plain = app
            .asked(&format!("/ipfs/{cid}?format=raw"), &[("accept", html)])
            .await;
        assert_eq!(plain.header("content-type"), "application/vnd.ipld.raw");
    }
}

#[tokio::test]
async fn nothing_runs_on_an_origin_shared_with_the_pages() {
    let app = App::new();
    let world = &app.node.ipfs;
    let page = world.file(b"<html><script>alert(1)</script>");
    let other = world.file(b"alert(1)");
    let root = world.directory(&[
        ("a.html", page),
        ("a.js", other),
        ("a.css", other),
        ("a.wasm", other),
        ("a.svg", other),
    ]);
    let (text, sandbox) = ("text/plain; charset=utf-8", "sandbox; default-src 'none'");
    let table = [
        (format!("{page}"), "text/html", "sandbox", "inline"),
        (format!("{root}/a.html"), "text/html", "sandbox", "inline"),
        (
            format!("{root}/a.svg"),
            "image/svg+xml",
            "sandbox",
            "inline",
        ),
        (format!("{root}/a.js"), text, sandbox, "inline"),
        (format!("{root}/a.css"), text, sandbox, "inline"),
        (
            format!("{root}/a.wasm"),
            "application/octet-stream",
            sandbox,
            "attachment",
        ),
        (format!("{other}?filename=b.js"), text, sandbox, "inline"),
    ];
    for (path, media_type, policy, disposition) in table {
        let answer = app.get(&format!("/ipfs/{path}")).await;
        assert_eq!(answer.header("content-type"), media_type, "{path}");
        assert_eq!(answer.header("content-security-policy"), policy, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(
            answer
                .header("content-disposition")
                .starts_with(disposition),
            "{path}"
        );
    }
    // A blob of datt is no page, under whichever name it is reached.
    let blob = app.node.hold_bytes(b"<html><script>alert(1)</script>");
    world.put(blob.to_cid(), Thing::File("<html>".into()));
    let root = world.directory(&[("a.html", BlobId::to_cid(&blob))]);
    let answer = app.get(&format!("/ipfs/{root}/a.html")).await;
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    let script = [("service-worker", "script")];
    let answer = app.asked(&format!("/ipfs/{root}/a.js"), &script).await;
    assert_eq!(answer.status, 400);
}
