//! Markdown that strangers wrote, as HTML that is safe to show.
//!
//! pulldown-cmark with raw HTML off (it comes out as text), then ammonia with a short list of
//! tags: two independent gates. Links keep only known schemes, pictures only this node's blobs.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};
use askama::FastWritable;
use askama::filters::HtmlSafe;
use pulldown_cmark::{
    CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, TextMergeStream, html,
};

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
            "a",
            "blockquote",
            "br",
            "code",
            "del",
            "em",
            "h3",
            "h4",
            "h5",
            "h6",
            "hr",
            "img",
            "li",
            "ol",
            "p",
            "pre",
            "strong",
            "table",
            "tbody",
            "td",
            "th",
            "thead",
            "tr",
            "ul",
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
    open: Vec<Open>,
    links: usize,
    code: bool,
    /// Nothing but escaped text in tags without attributes came by: there is nothing to clean.
    inert: bool,
}

/// A tag that was opened: how it ends, if it was kept, and whether it was a link or picture.
struct Open {
    end: Option<TagEnd>,
    link: bool,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            open: Vec::new(),
            links: 0,
            code: false,
            inert: true,
        }
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
        let link = matches!(tag, Tag::Link { .. } | Tag::Image { .. });
        self.links += usize::from(link);
        let tag = if self.open.len() < MAX_NESTING {
            self.allowed(tag)
        } else {
            None
        };
        self.open.push(Open {
            end: tag.as_ref().map(Tag::to_end),
            link,
        });
        if let Some(tag) = tag {
            out.push(Event::Start(tag));
        }
    }

    fn end(&mut self, end: TagEnd, out: &mut Vec<Event<'_>>) {
        if end == TagEnd::CodeBlock {
            self.code = false;
        }
        let Some(open) = self.open.pop() else { return };
        self.links -= usize::from(open.link);
        if let Some(end) = open.end {
            out.push(Event::End(end));
        }
    }

    /// The tag as it may stand in a post; none when only its text may.
    fn allowed<'a>(&mut self, tag: Tag<'a>) -> Option<Tag<'a>> {
        match tag {
            Tag::Heading { level, .. } => Some(Tag::Heading {
                level: lowered(level),
                id: None,
                classes: Vec::new(),
                attrs: Vec::new(),
            }),
            Tag::CodeBlock(_) => {
                self.code = true;
                Some(Tag::CodeBlock(pulldown_cmark::CodeBlockKind::Indented))
            }
            Tag::Link {
                link_type,
                dest_url,
                id,
                ..
            } => {
                self.inert = false;
                let dest_url = if link_type == LinkType::Email {
                    format!("mailto:{dest_url}").into()
                } else {
                    local(dest_url)
                };
                let link_type = if link_type == LinkType::Email {
                    LinkType::Autolink
                } else {
                    link_type
                };
                is_safe_link(&dest_url).then_some(Tag::Link {
                    link_type,
                    dest_url,
                    title: CowStr::Borrowed(""),
                    id,
                })
            }
            Tag::Image { dest_url, id, .. } => {
                self.inert = false;
                let dest_url = local(dest_url);
                let title = CowStr::Borrowed("");
                if dest_url.starts_with("/ipfs/") {
                    Some(Tag::Image {
                        link_type: LinkType::Inline,
                        dest_url,
                        title,
                        id,
                    })
                } else {
                    is_safe_link(&dest_url).then_some(Tag::Link {
                        link_type: LinkType::Inline,
                        dest_url,
                        title,
                        id,
                    })
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
    let start = BARE_LINKS
        .iter()
        .filter_map(|scheme| text.find(scheme))
        .min()?;
    let tail = &text[start..];
    let end = tail
        .find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '⟨'))
        .unwrap_or(tail.len());
    let mut url = tail[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_']);
    if url.ends_with(')') && !url.contains('(') {
        url = url.trim_end_matches(')');
    }
    (url.len() > "https://".len()).then_some((start, url.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_reads_well() {
        let table = [
            ("plain words", "<p>plain words</p>\n"),
            (
                "**b** *e* ~~d~~ `c`",
                "<p><strong>b</strong> <em>e</em> <del>d</del> <code>c</code></p>\n",
            ),
            ("# Big", "<h3>Big</h3>\n"),
            ("###### Small", "<h6>Small</h6>\n"),
            ("1 < 2 & 3", "<p>1 &lt; 2 &amp; 3</p>\n"),
            (
                "```rust\nfn x() {}\n```",
                "<pre><code>fn x() {}\n</code></pre>\n",
            ),
            (
                "see https://example.org/a_b_c.",
                "<p>see <a href=\"https://example.org/a_b_c\" rel=\"nofollow noopener ugc\">https://example.org/a_b_c</a>.</p>\n",
            ),
            (
                "(http://example.org)",
                "<p>(<a href=\"http://example.org\" rel=\"nofollow noopener ugc\">http://example.org</a>)</p>\n",
            ),
            (
                "[m](magnet:?xt=x)",
                "<p><a href=\"magnet:?xt=x\" rel=\"nofollow noopener ugc\">m</a></p>\n",
            ),
            (
                "<me@example.org>",
                "<p><a href=\"mailto:me@example.org\" rel=\"nofollow noopener ugc\">me@example.org</a></p>\n",
            ),
            (
                "[t](/t/bafy)",
                "<p><a href=\"/t/bafy\" rel=\"nofollow noopener ugc\">t</a></p>\n",
            ),
            (
                "[i](ipfs://bafk)",
                "<p><a href=\"/ipfs/bafk\" rel=\"nofollow noopener ugc\">i</a></p>\n",
            ),
        ];
        for (source, expected) in table {
            assert_eq!(render(source).as_str(), expected, "{source}");
        }
        let picture = render("![alt](/ipfs/bafk)").to_string();
        assert!(
            picture.contains("src=\"/ipfs/bafk\"") && picture.contains("loading=\"lazy\""),
            "{picture}"
        );
        assert!(
            render("|a|b|\n|-|-|\n|1|2|")
                .as_str()
                .contains("<td>1</td>")
        );
    }

    /// Whatever comes in, none of these may come out as markup.
    #[test]
    fn hostile_markdown_stays_text() {
        let sources = [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "text <b onclick=x>bold</b>",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](java\nscript:alert(1))",
            "[x](&#106;avascript:alert(1))",
            "[x](data:text/html;base64,PHNjcmlwdD4=)",
            "[x](vbscript:msgbox)",
            "<javascript:alert(1)>",
            "![x](javascript:alert(1))",
            "![x\" onerror=\"alert(1)](/ipfs/a)",
            "![x](/ipfs/a\"onerror=\"alert\\(1\\))",
            "![x](https://tracker.example/pixel.gif)",
            "![x](//tracker.example/pixel.gif)",
            "[x](//evil.example)",
            "[x](/signout)",
            "[x](/t/../signout)",
            "[x](https://a \"onmouseover=alert(1)\")",
            "[a]: javascript:alert(1)\n\n[a]",
            "```\"><script>alert(1)</script>\n</code></pre><script>\n```",
            "`<script>`",
            "<style>body{display:none}</style>",
            "<iframe src=/settings></iframe>",
            "<form action=/post><input name=csrf></form>",
            "<svg onload=alert(1)>",
            "<math><mtext></p><style><img src onerror=alert(1)>",
            "<!--><script>alert(1)</script>-->",
            "<a href=\"https://x\" style=\"position:fixed\">",
            "https://x.example/\"onmouseover=alert(1)",
            "| a |\n|-|\n| <script>alert(1)</script> |",
        ];
        for source in sources {
            let html = render(source).to_string();
            let lower = html.to_ascii_lowercase();
            for tag in [
                "<script", "<style", "<iframe", "<form", "<svg", "<math", "<input", "<b ",
            ] {
                assert!(!lower.contains(tag), "{source} gave {html}");
            }
            let in_tags: String = lower
                .split('<')
                .skip(1)
                .filter_map(|t| t.split_once('>'))
                .map(|(t, _)| format!("<{t}>"))
                .collect();
            for part in [
                "javascript:",
                "vbscript:",
                "data:",
                "style=",
                "=\"//",
                "/signout",
                "src=\"http",
            ] {
                assert!(!in_tags.contains(part), "{source} gave {html}");
            }
            for tag in in_tags.split('<').filter(|t| !t.is_empty()) {
                let outside: String = tag.split('"').step_by(2).collect();
                assert!(!outside.contains(" on"), "{source} gave {html}");
            }
        }
    }

    #[test]
    fn what_must_be_seen_is_seen() {
        assert!(render("pay\u{202E}lapyap").as_str().contains("⟨U+202E⟩"));
        assert!(
            render("<b>x</b>").as_str().contains("&lt;b&gt;"),
            "raw HTML is shown as it was written"
        );
    }

    #[test]
    fn deep_nesting_is_flattened() {
        let html = render(&format!("{} deep", ">".repeat(4_000))).to_string();
        assert_eq!(
            html.matches("<blockquote>").count(),
            html.matches("</blockquote>").count()
        );
        assert!(html.matches("<blockquote>").count() <= MAX_NESTING);
        assert!(html.contains("deep"));
        let brackets = render(&"[".repeat(30_000)).to_string();
        assert!(brackets.contains("[[["));
    }
}
