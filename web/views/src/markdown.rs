//! Markdown that strangers wrote, as HTML that is safe to show.
//!
//! pulldown-cmark with raw HTML off (it comes out as text), then ammonia with a short list of
//! tags: two independent gates. Links keep only known schemes, pictures only this node's blobs.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};
use askama::FastWritable;
use askama::filters::HtmlSafe;
use pulldown_cmark::{CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, TextMergeStream, html};

use crate::text::{is_safe_link, visible};

/// Tags nested deeper than this are dropped, their text kept (a page is no place for 32 Ki quotes).
const MAX_NESTING: usize = 16;
/// What links to strangers' places carry.
const LINK_REL: &str = "nofollow noopener ugc";
/// Starts of addresses that become links when they stand in plain text.
const BARE_LINKS: [&str; 3] = ["https://", "http://", "magnet:?"];

static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from([
            "a", "blockquote", "br", "code", "del", "em", "h3", "h4", "h5", "h6", "hr", "img", "li", "ol", "p", "pre",
            "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
        ]))
        .clean_content_tags(HashSet::from(["script", "style"]))
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href"])),
            ("img", HashSet::from(["src", "alt"])),
            ("ol", HashSet::from(["start"])),
        ]))
        .set_tag_attribute_value("img", "loading", "lazy")
        .url_schemes(HashSet::from(["http", "https", "mailto", "magnet"]))
        .url_relative(UrlRelative::PassThrough)
        .link_rel(Some(LINK_REL));
    builder
});

/// Rendered markdown: HTML that needs no escaping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markup(String);

impl Markup {
    /// The HTML.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Only [`render`] makes one.
impl HtmlSafe for Markup {}

impl FastWritable for Markup {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        Ok(dest.write_str(&self.0)?)
    }
}

/// Renders `source`, hostile or not.
#[must_use]
pub fn render(source: &str) -> Markup {
    let source = visible(source);
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let parser = TextMergeStream::new(Parser::new_ext(&source, options));
    let mut filter = Filter::default();
    let mut events = Vec::new();
    for event in parser {
        filter.take(event, &mut events);
    }
    let mut out = String::with_capacity(source.len() * 3 / 2);
    html::push_html(&mut out, events.into_iter());
    if filter.inert {
        return Markup(out);
    }
    Markup(CLEANER.clean(&out).to_string())
}

/// Rewrites the parser's events into what a post may contain.
struct Filter {
    depth: usize,
    links: usize,
    code: bool,
    dropped: Vec<bool>,
    /// Nothing but escaped text in tags without attributes came by: there is nothing to clean.
    inert: bool,
}

impl Default for Filter {
    fn default() -> Self {
        Self { depth: 0, links: 0, code: false, dropped: Vec::new(), inert: true }
    }
}

impl Filter {
    fn take<'a>(&mut self, event: Event<'a>, out: &mut Vec<Event<'a>>) {
        match event {
            Event::Start(tag) => self.start(tag, out),
            Event::End(end) => self.end(end, out),
            Event::Html(text) | Event::InlineHtml(text) => out.push(Event::Text(text)),
            Event::Text(text) if self.links == 0 && !self.code => self.text(text, out),
            other => out.push(other),
        }
    }

    fn start<'a>(&mut self, tag: Tag<'a>, out: &mut Vec<Event<'a>>) {
        self.depth += 1;
        let tag = if self.depth > MAX_NESTING { None } else { self.allowed(tag) };
        self.dropped.push(tag.is_none());
        if let Some(tag) = tag {
            out.push(Event::Start(tag));
        }
    }

    fn end<'a>(&mut self, end: TagEnd, out: &mut Vec<Event<'a>>) {
        self.depth = self.depth.saturating_sub(1);
        let dropped = self.dropped.pop().unwrap_or(true);
        match end {
            TagEnd::Link | TagEnd::Image => self.links = self.links.saturating_sub(1),
            TagEnd::CodeBlock => self.code = false,
            _ => {}
        }
        if dropped {
            return;
        }
        out.push(Event::End(match end {
            TagEnd::Heading(level) => TagEnd::Heading(lowered(level)),
            // A picture from elsewhere was opened as a link.
            TagEnd::Image if out.iter().rev().find_map(opened).is_some_and(|image| !image) => TagEnd::Link,
            other => other,
        }));
    }

    /// The tag as it may stand in a post; none when only its text may.
    fn allowed<'a>(&mut self, tag: Tag<'a>) -> Option<Tag<'a>> {
        match tag {
            Tag::Heading { level, .. } => {
                Some(Tag::Heading { level: lowered(level), id: None, classes: Vec::new(), attrs: Vec::new() })
            }
            Tag::CodeBlock(_) => {
                self.code = true;
                Some(Tag::CodeBlock(pulldown_cmark::CodeBlockKind::Indented))
            }
            Tag::Link { link_type, dest_url, id, .. } => {
                self.links += 1;
                self.inert = false;
                let dest_url = if link_type == LinkType::Email {
                    format!("mailto:{dest_url}").into()
                } else {
                    local(dest_url)
                };
                let link_type = if link_type == LinkType::Email { LinkType::Autolink } else { link_type };
                is_safe_link(&dest_url).then_some(Tag::Link { link_type, dest_url, title: CowStr::Borrowed(""), id })
            }
            Tag::Image { dest_url, id, .. } => {
                self.links += 1;
                self.inert = false;
                let dest_url = local(dest_url);
                let title = CowStr::Borrowed("");
                if dest_url.starts_with("/ipfs/") {
                    Some(Tag::Image { link_type: LinkType::Inline, dest_url, title, id })
                } else {
                    is_safe_link(&dest_url).then_some(Tag::Link { link_type: LinkType::Inline, dest_url, title, id })
                }
            }
            Tag::Paragraph
            | Tag::BlockQuote(_)
            | Tag::List(_)
            | Tag::Item
            | Tag::Emphasis
            | Tag::Strong
            | Tag::Strikethrough => Some(tag),
            Tag::Table(_) | Tag::TableHead | Tag::TableRow | Tag::TableCell => {
                self.inert = false;
                Some(tag)
            }
            _ => None,
        }
    }

    /// Text, with the addresses in it as links.
    fn text<'a>(&mut self, text: CowStr<'a>, out: &mut Vec<Event<'a>>) {
        if !text.contains("://") && !text.contains("magnet:") {
            out.push(Event::Text(text));
            return;
        }
        let mut rest: &str = &text;
        while let Some((start, length)) = next_link(rest) {
            let (before, from) = rest.split_at(start);
            let (url, after) = from.split_at(length);
            self.inert = false;
            out.push(Event::Text(before.to_owned().into()));
            out.push(Event::Start(Tag::Link {
                link_type: LinkType::Autolink,
                dest_url: url.to_owned().into(),
                title: CowStr::Borrowed(""),
                id: CowStr::Borrowed(""),
            }));
            out.push(Event::Text(url.to_owned().into()));
            out.push(Event::End(TagEnd::Link));
            rest = after;
        }
        out.push(Event::Text(rest.to_owned().into()));
    }
}

/// Whether the event opened a picture (true) or a link (false).
fn opened(event: &Event<'_>) -> Option<bool> {
    match event {
        Event::Start(Tag::Image { .. }) => Some(true),
        Event::Start(Tag::Link { .. }) => Some(false),
        _ => None,
    }
}

/// Headings in posts stand below the page's own two levels.
fn lowered(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H3,
        HeadingLevel::H2 => HeadingLevel::H4,
        HeadingLevel::H3 => HeadingLevel::H5,
        _ => HeadingLevel::H6,
    }
}

/// `ipfs://CID` as this gateway's path to it.
fn local(url: CowStr<'_>) -> CowStr<'_> {
    match url.strip_prefix("ipfs://") {
        Some(rest) => format!("/ipfs/{rest}").into(),
        None => url,
    }
}

/// Position and length of the first address in `text`, without the punctuation that ends a sentence.
fn next_link(text: &str) -> Option<(usize, usize)> {
    let start = BARE_LINKS.iter().filter_map(|scheme| text.find(scheme)).min()?;
    let tail = &text[start..];
    let end = tail.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '⟨')).unwrap_or(tail.len());
    let mut url = tail[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_']);
    if url.ends_with(')') && !url.contains('(') {
        url = url.trim_end_matches(')');
    }
    (url.len() > "https://".len()).then_some((start, url.len()))
}

/// A body's text for readers of feeds that take no HTML.
#[must_use]
pub fn plain(source: &str) -> Cow<'_, str> {
    visible(source)
}
