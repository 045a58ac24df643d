//! "How do I know?": what this node can show for an entry, in sentences and as values to copy.

use askama::Template;

use crate::amount;
use crate::data::{Provenance, Verdict};
use crate::frame::Frame;
use crate::text::visible;

/// Everything known about one entry.
#[derive(Debug, Template)]
#[template(path = "provenance.html")]
pub struct ProvenancePage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// The entry.
    pub entry: &'a Provenance,
    /// What is known, one after the other.
    pub facts: Vec<Fact>,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Checked, and right.
    Good,
    /// Checked, and wrong.
    Bad,
    /// Can't be checked (yet).
    Open,
    /// Nothing to check: it is just so.
    Note,
}

impl Outcome {
    /// Word for the stylesheet.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Open => "open",
            Self::Note => "note",
        }
    }

    /// Word for people who don't see colours and signs.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Good => "Checked",
            Self::Bad => "Failed",
            Self::Open => "Open",
            Self::Note => "Note",
        }
    }

    fn of(good: bool) -> Self {
        if good { Self::Good } else { Self::Bad }
    }
}

/// One thing that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// How the check came out.
    pub outcome: Outcome,
    /// The claim, in a few words.
    pub claim: String,
    /// What it means, for somebody who has never heard of signatures.
    pub meaning: String,
    /// Values to copy: name, value, and a page about it.
    pub values: Vec<Value>,
}

/// A value to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Name.
    pub name: &'static str,
    /// Value.
    pub value: String,
    /// Page about it.
    pub path: Option<String>,
}

impl Fact {
    fn new(outcome: Outcome, claim: impl Into<String>, meaning: impl Into<String>) -> Self {
        Self {
            outcome,
            claim: claim.into(),
            meaning: meaning.into(),
            values: Vec::new(),
        }
    }

    fn value(mut self, name: &'static str, value: &str, path: Option<String>) -> Self {
        self.values.push(Value {
            name,
            value: visible(value).into_owned(),
            path,
        });
        self
    }
}

impl<'a> ProvenancePage<'a> {
    /// Puts what is known into sentences.
    #[must_use]
    pub fn new(frame: &'a Frame, entry: &'a Provenance) -> Self {
        let facts = vec![
            verdict(entry),
            name(entry),
            signature(entry),
            content(entry),
            place(entry),
            time(entry),
            arrival(entry),
            copies(entry),
        ];
        Self {
            frame,
            entry,
            facts,
        }
    }

    fn is_post(&self) -> bool {
        self.entry.table == "post"
    }
}

fn verdict(entry: &Provenance) -> Fact {
    let (outcome, claim) = match entry.verdict {
        Verdict::Valid => (Outcome::Good, "This node vouches for it"),
        Verdict::Pending => (Outcome::Open, "Not everything could be checked yet"),
        Verdict::Disputed => (Outcome::Bad, "It is disputed"),
        Verdict::Void => (Outcome::Bad, "It is void"),
    };
    Fact::new(outcome, claim, visible(&entry.verdict_reason))
}

fn name(entry: &Provenance) -> Fact {
    Fact::new(
        Outcome::Good,
        "Its name is its content",
        format!(
            "The id below is computed from the {} of the entry itself. If one letter of it were changed, by anybody, \
             it would have another id: so this link can only ever mean these words.",
            amount::bytes(entry.size_bytes)
        ),
    )
    .value("Entry", &entry.id, Some(format!("/ipfs/{}", entry.id)))
}

fn signature(entry: &Provenance) -> Fact {
    let meaning = if entry.signature_ok {
        format!(
            "It carries the signature of a device key that belongs to {}. The signature was checked again just now, on \
             this node. Without that key, nobody can sign in this name.",
            entry.author.shown()
        )
    } else {
        "The signature does not fit the entry and the key: somebody changed it, or pretended to be its author. Don't \
         believe it."
            .to_owned()
    };
    let claim = if entry.signature_ok {
        "Its author signed it"
    } else {
        "The signature is wrong"
    };
    Fact::new(Outcome::of(entry.signature_ok), claim, meaning)
        .value(
            "Author",
            &entry.author.identity,
            Some(format!("/@{}", entry.author.identity)),
        )
        .value("Device key", &entry.device, None)
        .value("Signature", &entry.signature, None)
}

fn content(entry: &Provenance) -> Fact {
    let fact = if entry.payload_ok {
        Fact::new(
            Outcome::Good,
            "What it says is complete",
            "The text is kept beside the signed entry, which names it by its hash. What is held here has exactly that \
             hash.",
        )
    } else {
        Fact::new(
            Outcome::Open,
            "What it says is not held here",
            "Only the signed envelope is held: the content was erased, has expired, or did not arrive. What it said \
             can't be shown or checked here.",
        )
    };
    fact.value(
        "Content",
        &entry.payload,
        entry.payload_ok.then(|| format!("/ipfs/{}", entry.payload)),
    )
    .value("Kind", &entry.table, None)
    .value(
        "Schema",
        &entry.schema,
        Some(format!("/ipfs/{}", entry.schema)),
    )
}

fn place(entry: &Provenance) -> Fact {
    let mut fact = Fact::new(
        Outcome::Note,
        format!("It has its place: entry {} of its device here", entry.seq),
        "Each entry names the one its device wrote before, and those it answers. So nothing can be slipped in between, \
         left out or put in another order without a trace.",
    );
    if let Some(backlink) = &entry.backlink {
        fact = fact.value("Entry before", backlink, Some(format!("/e/{backlink}")));
    }
    for parent in &entry.parents {
        fact = fact.value("Answers or builds on", parent, Some(format!("/e/{parent}")));
    }
    if let Some(root) = &entry.root {
        fact = fact.value("Thread", root, Some(format!("/t/{root}")));
    }
    if let Some(space) = &entry.space {
        fact = fact.value("Board", space, Some(format!("/s/{space}")));
    }
    if let Some(grant) = &entry.grant {
        fact = fact.value(
            "Right it was written under",
            grant,
            Some(format!("/e/{grant}")),
        );
    }
    fact
}

fn time(entry: &Provenance) -> Fact {
    Fact::new(
        Outcome::Note,
        format!("Its author's clock said {}", crate::when::absolute(entry.time_ms)),
        "A clock can be wrong, or set wrong: the time is what the author claims. The order of entries doesn't rest on \
         it.",
    )
    .value("Causal depth", &entry.depth.to_string(), None)
}

fn arrival(entry: &Provenance) -> Fact {
    let at = crate::when::absolute(entry.received_ms);
    if entry.source == "this node" {
        return Fact::new(
            Outcome::Note,
            format!("Written on this node, {at}"),
            "It was signed here and sent out from here.",
        );
    }
    Fact::new(
        Outcome::Note,
        format!("It arrived {at}"),
        "This is the peer that delivered it. It need not be the author, and it could not have changed anything.",
    )
    .value("Delivered by", &entry.source, None)
}

fn copies(entry: &Provenance) -> Fact {
    if entry.held_by.is_empty() {
        return Fact::new(
            Outcome::Open,
            "No other node has said that it holds this",
            "As far as is known, this is the only copy. Keep this node running, or pin the thread on another one.",
        );
    }
    let fact = Fact::new(
        Outcome::Good,
        format!(
            "Held in full by {}",
            amount::count(entry.held_by.len() as u64, "other node", "other nodes")
        ),
        "These nodes signed a statement that they hold the whole thread. If this node goes away, they still have it.",
    );
    entry
        .held_by
        .iter()
        .fold(fact, |fact, node| fact.value("Node", node, None))
}
