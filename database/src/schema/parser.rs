//! Schema text → schema.

use std::collections::BTreeSet;

use super::{
    AUTHOR, Allow, Column, Fold, Kind, Record, Schema, SchemaError, Table,
    lexer::{Placed, Token, tokens},
};

/// Items of a list column at most.
const LIST_ITEMS: i64 = 64;
/// Lists within lists at most.
const NESTING: usize = 3;
/// Declarations of one kind at most.
const DECLARATIONS: usize = 64;
/// Words that name types; records can't.
const TYPES: [&str; 12] = [
    "bool", "int", "decimal", "text", "bytes", "time", "key", "ref", "space", "blob", "enum",
    "list",
];

pub(super) fn parse(text: &str) -> Result<Schema, SchemaError> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
    };
    parser.expect_word("schema")?;
    let name = parser.word("the schema's name")?;
    parser.sign("/")?;
    let version = parser.int("the schema's version")?;
    let version = u32::try_from(version)
        .ok()
        .filter(|version| *version > 0)
        .ok_or_else(|| parser.fail_before("a version is a number from 1".to_owned()))?;
    let mut schema = Schema::empty(name, version);
    let mut allows = Vec::new();
    loop {
        let declaration = match parser.next() {
            Token::End => break,
            Token::Word(word) => word,
            other => {
                return Err(parser.fail_before(format!(
                    "expected a declaration, found {}",
                    other.describe()
                )));
            }
        };
        match declaration.as_str() {
            "roles" => parser.roles(&mut schema)?,
            "record" => parser.record(&mut schema)?,
            "table" => parser.table(&mut schema)?,
            "allow" => allows.push(parser.allow()?),
            "fold" => parser.fold(&mut schema)?,
            word => {
                return Err(parser.fail_before(format!(
                    "`{word}` is no declaration: roles, record, table, allow or fold"
                )));
            }
        }
    }
    parser.apply_allows(&mut schema, allows)?;
    Ok(schema.finish())
}

struct Parser {
    tokens: Vec<Placed>,
    at: usize,
}

/// An `allow` as written: role names are resolved once all declarations are read.
struct RawAllow {
    at: usize,
    tables: Vec<String>,
    who: String,
    column: Option<String>,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)].token
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn fail_at(&self, at: usize, problem: String) -> SchemaError {
        let placed = &self.tokens[at.min(self.tokens.len() - 1)];
        SchemaError {
            line: placed.line,
            column: placed.column,
            problem,
        }
    }

    /// About the token just taken.
    fn fail_before(&self, problem: String) -> SchemaError {
        self.fail_at(self.at.saturating_sub(1), problem)
    }

    fn word(&mut self, what: &str) -> Result<String, SchemaError> {
        match self.next() {
            Token::Word(word) => Ok(word),
            other => Err(self.fail_before(format!("expected {what}, found {}", other.describe()))),
        }
    }

    fn expect_word(&mut self, word: &str) -> Result<(), SchemaError> {
        match self.next() {
            Token::Word(found) if found == word => Ok(()),
            other => {
                Err(self.fail_before(format!("expected `{word}`, found {}", other.describe())))
            }
        }
    }

    fn int(&mut self, what: &str) -> Result<i64, SchemaError> {
        match self.next() {
            Token::Int(number) => Ok(number),
            other => Err(self.fail_before(format!("expected {what}, found {}", other.describe()))),
        }
    }

    fn sign(&mut self, sign: &'static str) -> Result<(), SchemaError> {
        match self.next() {
            Token::Sign(found) if found == sign => Ok(()),
            other => {
                Err(self.fail_before(format!("expected `{sign}`, found {}", other.describe())))
            }
        }
    }

    fn takes(&mut self, sign: &'static str) -> bool {
        let there = *self.peek() == Token::Sign(sign);
        self.at += usize::from(there);
        there
    }

    fn names(&mut self, what: &str, end: &'static str) -> Result<Vec<String>, SchemaError> {
        let mut names = Vec::new();
        if self.takes(end) {
            return Ok(names);
        }
        loop {
            let name = self.word(what)?;
            if names.contains(&name) {
                return Err(self.fail_before(format!("`{name}` is there twice")));
            }
            names.push(name);
            if self.takes(end) {
                return Ok(names);
            }
            self.sign(",")?;
        }
    }

    fn roles(&mut self, schema: &mut Schema) -> Result<(), SchemaError> {
        if !schema.roles.is_empty() {
            return Err(self.fail_before("roles are declared once".to_owned()));
        }
        loop {
            let role = self.word("a role")?;
            if schema.roles.contains(&role) || role == "any" || role == AUTHOR {
                return Err(self.fail_before(format!("`{role}` can't be a role here")));
            }
            schema.roles.push(role);
            if schema.roles.len() > DECLARATIONS {
                return Err(self.fail_before("too many roles".to_owned()));
            }
            if !self.takes(">") {
                return Ok(());
            }
        }
    }

    fn record(&mut self, schema: &mut Schema) -> Result<(), SchemaError> {
        let name = self.word("the record's name")?;
        if schema.record(&name).is_some() || TYPES.contains(&name.as_str()) {
            return Err(self.fail_before(format!("`{name}` is taken")));
        }
        let columns = self.columns(schema, None)?;
        schema.records.push(Record { name, columns });
        self.bounded(schema.records.len())
    }

    fn table(&mut self, schema: &mut Schema) -> Result<(), SchemaError> {
        let name = self.word("the table's name")?;
        if schema.tables.iter().any(|table| table.name == name) {
            return Err(self.fail_before(format!("table `{name}` is there twice")));
        }
        let columns = self.columns(schema, Some(&name))?;
        let mut key = None;
        if *self.peek() == Token::Word("key".to_owned()) {
            self.at += 1;
            self.sign("(")?;
            let begin = self.at;
            let names = self.names("a column", ")")?;
            for column in &names {
                let known = column == AUTHOR
                    || columns
                        .iter()
                        .any(|own| own.name == *column && !own.optional && is_plain(&own.kind));
                if !known {
                    return Err(self.fail_at(
                        begin,
                        format!("key column `{column}` must be a column that is always there, or `author`"),
                    ));
                }
            }
            self.expect_word("last")?;
            key = Some(names);
        }
        schema.tables.push(Table {
            name,
            columns,
            key,
            allow: Allow::Any,
        });
        self.bounded(schema.tables.len())
    }

    fn bounded(&self, count: usize) -> Result<(), SchemaError> {
        if count > DECLARATIONS {
            return Err(self.fail_before(format!("more than {DECLARATIONS} of a kind")));
        }
        Ok(())
    }

    fn columns(
        &mut self,
        schema: &Schema,
        own_table: Option<&str>,
    ) -> Result<Vec<Column>, SchemaError> {
        self.sign("{")?;
        let mut columns: Vec<Column> = Vec::new();
        while !self.takes("}") {
            let name = self.word("a column or `}`")?;
            if name == AUTHOR || columns.iter().any(|column| column.name == name) {
                return Err(self.fail_before(format!("column `{name}` is there already")));
            }
            self.sign(":")?;
            let kind = self.kind(schema, own_table, NESTING)?;
            let optional = self.takes("?");
            // Commas between columns are allowed and not canonical.
            self.takes(",");
            columns.push(Column {
                name,
                kind,
                optional,
            });
            self.bounded(columns.len())?;
        }
        Ok(columns)
    }

    fn kind(
        &mut self,
        schema: &Schema,
        own_table: Option<&str>,
        nesting: usize,
    ) -> Result<Kind, SchemaError> {
        let word = self.word("a type")?;
        let text_bytes = i64::try_from(model::limits::TEXT_BYTES).unwrap_or(i64::MAX);
        Ok(match word.as_str() {
            "bool" => Kind::Bool,
            "decimal" => Kind::Decimal,
            "time" => Kind::Time,
            "key" => Kind::Key,
            "space" => Kind::Space,
            "blob" => Kind::Blob,
            "int" => self.int_kind()?,
            "text" => Kind::Text(self.limit(text_bytes)?),
            "bytes" => Kind::Bytes(self.limit(text_bytes)?),
            "ref" => {
                let table = self.word("a table")?;
                let known = own_table == Some(table.as_str())
                    || schema.tables.iter().any(|known| known.name == table);
                if !known || own_table.is_none() {
                    return Err(self.fail_before(format!(
                        "`ref {table}`: a column of a table may refer to that table or one above"
                    )));
                }
                Kind::Ref(table)
            }
            "enum" => {
                self.sign("(")?;
                let words = self.names("a word", ")")?;
                if words.is_empty() {
                    return Err(self.fail_before("an enum has at least one word".to_owned()));
                }
                Kind::Enum(words)
            }
            "list" => {
                self.sign("<")?;
                let nesting = nesting
                    .checked_sub(1)
                    .ok_or_else(|| self.fail_before("lists are nested too deep".to_owned()))?;
                let item = self.kind(schema, own_table, nesting)?;
                self.sign(">")?;
                Kind::List(Box::new(item), self.limit(LIST_ITEMS)?)
            }
            record if schema.record(record).is_some() => Kind::Record(word),
            other => {
                return Err(self.fail_before(format!(
                    "`{other}` is neither a type nor a record declared above"
                )));
            }
        })
    }

    fn int_kind(&mut self) -> Result<Kind, SchemaError> {
        let (mut min, mut max) = (i64::MIN, i64::MAX);
        if let Token::Int(lower) = *self.peek() {
            self.at += 1;
            self.sign("..")?;
            min = lower;
            max = self.int("the largest value")?;
            if min > max {
                return Err(self.fail_before("the range is empty".to_owned()));
            }
        }
        Ok(Kind::Int { min, max })
    }

    fn limit(&mut self, most: i64) -> Result<usize, SchemaError> {
        self.sign("<=")?;
        let limit = self.int("a limit")?;
        usize::try_from(limit)
            .ok()
            .filter(|_| (1..=most).contains(&limit))
            .ok_or_else(|| self.fail_before(format!("the limit is from 1 to {most}")))
    }

    fn allow(&mut self) -> Result<RawAllow, SchemaError> {
        let at = self.at;
        let tables = self.names("a table", ":")?;
        let who = self.word("a role, `any` or `author(column)`")?;
        let mut column = None;
        if who == AUTHOR {
            self.sign("(")?;
            column = Some(self.word("a column")?);
            self.sign(")")?;
        }
        Ok(RawAllow {
            at,
            tables,
            who,
            column,
        })
    }

    fn fold(&mut self, schema: &mut Schema) -> Result<(), SchemaError> {
        let at = self.at;
        let name = self.word("the fold's name")?;
        self.sign("=")?;
        self.expect_word("sum")?;
        self.sign("(")?;
        let table = self.word("a table")?;
        self.sign(".")?;
        let column = self.word("a column")?;
        self.sign(")")?;
        self.expect_word("by")?;
        let by = self.word("a column")?;
        let fits = schema
            .tables
            .iter()
            .find(|known| known.name == table)
            .is_some_and(|known| {
                let is = |name: &str, want: fn(&Kind) -> bool| {
                    known
                        .column(name)
                        .is_some_and(|column| !column.optional && want(&column.kind))
                };
                is(&column, |kind| matches!(kind, Kind::Int { .. }))
                    && is(&by, |kind| matches!(kind, Kind::Ref(_)))
            });
        if !fits {
            let problem = "a fold sums an int column of a table above by one of its refs";
            return Err(self.fail_at(at, problem.to_owned()));
        }
        if schema.folds.iter().any(|fold| fold.name == name) {
            return Err(self.fail_at(at, format!("fold `{name}` is there twice")));
        }
        schema.folds.push(Fold {
            name,
            table,
            column,
            by,
        });
        self.bounded(schema.folds.len())
    }

    fn apply_allows(&self, schema: &mut Schema, raw: Vec<RawAllow>) -> Result<(), SchemaError> {
        let mut done = BTreeSet::new();
        for RawAllow {
            at,
            tables,
            who,
            column,
        } in raw
        {
            let allow = match column {
                Some(column) => Allow::AuthorOf(column),
                None if who == "any" => Allow::Any,
                None => Allow::Role(
                    schema
                        .roles
                        .iter()
                        .position(|role| *role == who)
                        .ok_or_else(|| self.fail_at(at, format!("there is no role `{who}`")))?,
                ),
            };
            for name in &tables {
                let table = schema
                    .tables
                    .iter_mut()
                    .find(|table| table.name == *name)
                    .ok_or_else(|| self.fail_at(at, format!("there is no table `{name}`")))?;
                if !done.insert(name.clone()) {
                    return Err(self.fail_at(at, format!("table `{name}` is allowed twice")));
                }
                if let Allow::AuthorOf(column) = &allow {
                    let refers = table
                        .column(column)
                        .is_some_and(|own| !own.optional && matches!(own.kind, Kind::Ref(_)));
                    if !refers {
                        let problem = format!("`{column}` is no ref that `{name}` always has");
                        return Err(self.fail_at(at, problem));
                    }
                }
                table.allow = allow.clone();
            }
            schema.allows.push((tables, allow));
        }
        match schema
            .tables
            .iter()
            .find(|table| !done.contains(&table.name))
        {
            Some(table) => Err(self.fail_at(
                self.tokens.len() - 1,
                format!("no `allow` says who may write `{}`", table.name),
            )),
            None => Ok(()),
        }
    }
}

/// Whether values of a type can be part of a key.
fn is_plain(kind: &Kind) -> bool {
    !matches!(kind, Kind::List(..) | Kind::Record(_))
}
