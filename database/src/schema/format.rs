//! The one canonical form of a schema.

use std::fmt::Write;

use super::{Allow, Column, Kind, Schema};

pub(super) fn canonical(schema: &Schema) -> String {
    let mut text = format!("schema {}\n", schema.name());
    // Writing to a string doesn't fail.
    let _written = write_schema(&mut text, schema);
    text
}

fn write_schema(text: &mut String, schema: &Schema) -> std::fmt::Result {
    if !schema.roles.is_empty() {
        writeln!(text, "roles {}", schema.roles.join(" > "))?;
    }
    for record in &schema.records {
        writeln!(text, "record {} {{", record.name)?;
        write_columns(text, &record.columns)?;
        writeln!(text, "}}")?;
    }
    for table in &schema.tables {
        writeln!(text, "table {} {{", table.name)?;
        write_columns(text, &table.columns)?;
        match &table.key {
            Some(key) => writeln!(text, "}} key ({}) last", key.join(", "))?,
            None => writeln!(text, "}}")?,
        }
    }
    for (tables, allow) in &schema.allows {
        let who = match allow {
            Allow::Any => "any".to_owned(),
            Allow::Role(rank) => schema.roles[*rank].clone(),
            Allow::AuthorOf(column) => format!("author({column})"),
        };
        writeln!(text, "allow {}: {who}", tables.join(", "))?;
    }
    for fold in &schema.folds {
        let (name, table, column, by) = (&fold.name, &fold.table, &fold.column, &fold.by);
        writeln!(text, "fold {name} = sum({table}.{column}) by {by}")?;
    }
    Ok(())
}

fn write_columns(text: &mut String, columns: &[Column]) -> std::fmt::Result {
    for column in columns {
        let option = if column.optional { "?" } else { "" };
        writeln!(text, "  {}: {}{option}", column.name, kind(&column.kind))?;
    }
    Ok(())
}

fn kind(kind_of: &Kind) -> String {
    match kind_of {
        Kind::Bool => "bool".to_owned(),
        Kind::Int { min, max } if (*min, *max) == (i64::MIN, i64::MAX) => "int".to_owned(),
        Kind::Int { min, max } => format!("int {min}..{max}"),
        Kind::Decimal => "decimal".to_owned(),
        Kind::Text(max) => format!("text<={max}"),
        Kind::Bytes(max) => format!("bytes<={max}"),
        Kind::Time => "time".to_owned(),
        Kind::Key => "key".to_owned(),
        Kind::Ref(table) => format!("ref {table}"),
        Kind::Space => "space".to_owned(),
        Kind::Blob => "blob".to_owned(),
        Kind::Enum(words) => format!("enum({})", words.join(", ")),
        Kind::List(item, max) => format!("list<{}><={max}", kind(item)),
        Kind::Record(name) => name.clone(),
    }
}
