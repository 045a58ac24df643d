//! What an IPFS name leads to, for people: directories and data blocks.
//!
//! These pages stand on origins without the gateway's stylesheet and without anybody signed in, so
//! each carries its own style and nothing else.

use askama::Template;

use crate::{amount, text::visible};

/// Sources of the pages: who remembers pages by their version can tell it from this.
pub const TEMPLATES: &str = concat!(
    include_str!("../templates/listing.html"),
    include_str!("../templates/dag.html"),
    include_str!("../templates/bare.html")
);

/// One name on the way to a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crumb {
    /// Name.
    pub name: String,
    /// Where it leads.
    pub path: String,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Name.
    pub name: String,
    /// Where it leads, by name.
    pub path: String,
    /// CID.
    pub cid: String,
    /// Where it leads, by CID.
    pub hash_path: String,
    /// Bytes of it and of what is below it, as the directory says.
    pub size_bytes: u64,
}

/// A directory.
#[derive(Debug, Template)]
#[template(path = "listing.html")]
pub struct ListingPage<'a> {
    /// The root and the names on the way.
    pub crumbs: &'a [Crumb],
    /// CID of the directory.
    pub cid: &'a str,
    /// Where the parent is; none for the root.
    pub up: Option<&'a str>,
    /// Entries.
    pub rows: &'a [Row],
    /// There are more than are shown.
    pub is_cut: bool,
}

impl ListingPage<'_> {
    fn title(&self) -> String {
        let names = self.crumbs.iter().map(Crumb::shown);
        format!("/ipfs/{}", names.collect::<Vec<_>>().join("/"))
    }

    fn count(&self) -> String {
        amount::count(self.rows.len() as u64, "entry", "entries")
    }
}

impl Crumb {
    fn shown(&self) -> String {
        visible(&self.name).into_owned()
    }
}

impl Row {
    fn shown(&self) -> String {
        visible(&self.name).into_owned()
    }
}

/// A piece of a data block's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Text.
    pub text: String,
    /// Where it leads, if it is a link.
    pub path: Option<String>,
}

impl Part {
    /// Plain text.
    #[must_use]
    pub fn text(text: String) -> Self {
        Self { text, path: None }
    }

    /// A link.
    #[must_use]
    pub fn link(path: String, text: String) -> Self {
        Self {
            text,
            path: Some(path),
        }
    }

    fn shown(&self) -> String {
        let lines = self.text.split('\n').map(visible);
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// A block of dag-cbor or dag-json.
#[derive(Debug, Template)]
#[template(path = "dag.html")]
pub struct DagPage<'a> {
    /// CID of the block.
    pub cid: &'a str,
    /// `dag-cbor` or `dag-json`.
    pub codec: &'a str,
    /// Length of the block.
    pub size_bytes: u64,
    /// Path of this page, without a query.
    pub here: &'a str,
    /// Its text.
    pub parts: &'a [Part],
    /// The end was left out.
    pub is_cut: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_shown_as_text_and_lead_where_they_say() {
        let crumbs = [Crumb {
            name: "bafy".to_owned(),
            path: "/ipfs/bafy".to_owned(),
        }];
        let rows = [Row {
            name: "<b>\u{202e}x".to_owned(),
            path: "/ipfs/bafy/%3Cb%3E".to_owned(),
            cid: "bafkreialihlqnf5uwo4byh4n3cmwlntwqzxxs2fg5vanqdi3d7tb2l5xkm".to_owned(),
            hash_path: "/ipfs/bafkreia?filename=x&y".to_owned(),
            size_bytes: 34,
        }];
        let mut page = ListingPage {
            crumbs: &crumbs,
            cid: "bafy",
            up: None,
            rows: &rows,
            is_cut: true,
        };
        let html = page.render().unwrap();
        assert!(html.contains("<a href=\"/ipfs/bafy/%3Cb%3E\">&#60;b&#62;"));
        assert!(html.contains("href=\"/ipfs/bafkreia?filename=x&#38;y\">bafkre…2l5xkm</a>"));
        assert!(html.contains("1 entry, and more") && !html.contains(">..<"));
        assert!(!html.contains("<script") && !html.contains('\u{202e}'));
        page.up = Some("/ipfs/bafy/a/..");
        assert!(
            page.render()
                .unwrap()
                .contains("<a href=\"/ipfs/bafy/a/..\">..</a>")
        );
    }

    #[test]
    fn a_block_is_text_with_links() {
        let parts = [
            Part::text("{\n  \"<i>\": ".to_owned()),
            Part::link("/ipfs/bafy".to_owned(), "bafy".to_owned()),
        ];
        let page = DagPage {
            cid: "bafyreih",
            codec: "dag-cbor",
            size_bytes: 9,
            here: "/ipfs/bafyreih",
            parts: &parts,
            is_cut: false,
        };
        let html = page.render().unwrap();
        let text = "<pre>{\n  &#34;&#60;i&#62;&#34;: <a href=\"/ipfs/bafy\">bafy</a></pre>";
        assert!(html.contains(text), "{html}");
        assert!(html.contains("<a href=\"/ipfs/bafyreih?format=raw\">"));
    }
}
