//! The schema language: which rows a space may hold, who may write them, what is summed.
//!
//! A schema is a text in one canonical form; its name is the hash of that text. `#` begins a comment.

mod check;
mod format;
mod lexer;
mod parser;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use model::SchemaId;
use thiserror::Error;

pub(crate) use check::ref_table;
pub use check::{RowError, ValueError};

/// Canonical text of the forum's schema.
pub const FORUM: &str = include_str!("../../schemas/forum.schema");
/// Canonical text of the schema of an identity's own space.
pub const PROFILE: &str = include_str!("../../schemas/profile.schema");

/// Longest schema text, bytes: it has to fit a genesis.
pub const SCHEMA_BYTES: usize = 32 * 1024;
/// The column that every row has: the author's identity.
pub const AUTHOR: &str = "author";

/// The forum's schema.
pub fn forum() -> &'static Arc<Schema> {
    static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| built_in(FORUM));
    &SCHEMA
}

/// The schema of an identity's own space.
pub fn profile() -> &'static Arc<Schema> {
    static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| built_in(PROFILE));
    &SCHEMA
}

/// The built-in schema of that name.
pub fn find_built_in(id: &SchemaId) -> Option<&'static Arc<Schema>> {
    [forum(), profile()]
        .into_iter()
        .find(|schema| schema.id() == *id)
}

fn built_in(text: &str) -> Arc<Schema> {
    Arc::new(Schema::parse(text).expect("built-in schemas parse"))
}

/// Where and why a text is no schema.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("schema, line {line}, column {column}: {problem}")]
pub struct SchemaError {
    /// From 1.
    pub line: usize,
    /// From 1, characters.
    pub column: usize,
    /// What is wrong, and what was expected.
    pub problem: String,
}

/// A parsed schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) roles: Vec<String>,
    pub(crate) records: Vec<Record>,
    pub(crate) tables: Vec<Table>,
    pub(crate) allows: Vec<(Vec<String>, Allow)>,
    pub(crate) folds: Vec<Fold>,
    text: String,
    id: SchemaId,
    by_name: BTreeMap<String, usize>,
}

/// A named group of columns that a column can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<Column>,
}

/// What rows of one kind hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Columns whose values name a row; of several rows with the same, the last counts.
    pub key: Option<Vec<String>>,
    /// Who may write it.
    pub allow: Allow,
}

/// A named value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// May be left out.
    pub optional: bool,
}

/// Type of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Truth value.
    Bool,
    /// Whole number within bounds, both included.
    Int {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// Decimal number, as text: `-12.5`.
    Decimal,
    /// Text of at most so many bytes of UTF-8.
    Text(usize),
    /// At most so many bytes.
    Bytes(usize),
    /// Unix milliseconds.
    Time,
    /// A public key: 32 bytes.
    Key,
    /// A row of a table in the same space, in the causal past.
    Ref(String),
    /// Another space or identity, by its genesis.
    Space,
    /// A blob.
    Blob,
    /// One of these words.
    Enum(Vec<String>),
    /// At most so many values.
    List(Box<Kind>, usize),
    /// A record of the schema.
    Record(String),
}

/// Who may write a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allow {
    /// Everybody.
    Any,
    /// This role and those above; 0 is the highest.
    Role(usize),
    /// The author of the row that this column refers to.
    AuthorOf(String),
}

/// A sum that is kept while rows come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// Its name.
    pub name: String,
    /// Table whose rows count.
    pub table: String,
    /// Column that is summed.
    pub column: String,
    /// Column with the row that the sum belongs to.
    pub by: String,
}

impl Schema {
    /// Reads a schema text, canonical or not.
    ///
    /// # Errors
    /// Says where and why it is none.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        if text.len() > SCHEMA_BYTES {
            return Err(SchemaError {
                line: 1,
                column: 1,
                problem: format!("a schema has at most {SCHEMA_BYTES} bytes"),
            });
        }
        parser::parse(text)
    }

    pub(crate) fn finish(mut self) -> Self {
        self.text = format::canonical(&self);
        self.id = SchemaId::of(self.text.as_bytes());
        self.by_name = self
            .tables
            .iter()
            .enumerate()
            .map(|(at, table)| (table.name.clone(), at))
            .collect();
        self
    }

    pub(crate) fn empty(name: String, version: u32) -> Self {
        Self {
            name,
            version,
            roles: Vec::new(),
            records: Vec::new(),
            tables: Vec::new(),
            allows: Vec::new(),
            folds: Vec::new(),
            text: String::new(),
            id: SchemaId::from_bytes([0; 32]),
            by_name: BTreeMap::new(),
        }
    }

    /// The CID of the canonical text.
    pub fn id(&self) -> SchemaId {
        self.id
    }

    /// The canonical text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Name and version: `forum/1`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.name, self.version)
    }

    /// Roles, the highest first.
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// Its tables.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Its folds.
    pub fn folds(&self) -> &[Fold] {
        &self.folds
    }

    /// A table by name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.by_name.get(name).map(|at| &self.tables[*at])
    }

    pub(crate) fn record(&self, name: &str) -> Option<&Record> {
        self.records.iter().find(|record| record.name == name)
    }

    /// Whether rows of this table belong to the authority log: not everybody may write them.
    pub fn is_authority(&self, table: &str) -> bool {
        table.starts_with('$')
            || self
                .table(table)
                .is_some_and(|table| matches!(table.allow, Allow::Role(_)))
    }
}

impl Table {
    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

#[cfg(test)]
mod tests;
