//! In which format something is wanted: the `format` parameter, else the `Accept` header.
//!
//! Path gateway and trustless gateway specifications; IPIP-412 for CAR parameters, IPIP-523 for
//! the query's precedence over headers.

use axum::http::{HeaderMap, header};
use serde::Deserialize;

use super::types::CarScope;
use crate::{api::types::ErrorCode, failure::Failure};

/// Entries of an `Accept` header that are looked at.
const MAX_ACCEPTED: usize = 32;

/// Parameters of an `/ipfs/` request.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, rename_all = "kebab-case")]
pub struct IpfsQuery {
    /// `raw`, `car`, `dag-json`, `dag-cbor`, `json` or `cbor`; goes before the `Accept` header.
    pub format: Option<String>,
    /// File name for saving.
    pub filename: Option<String>,
    /// `true` saves instead of showing; anything else does so under that name.
    pub download: Option<String>,
    /// Version of the CAR; only 1.
    pub car_version: Option<String>,
    /// Order of the CAR's blocks: `dfs` or `unk`.
    pub car_order: Option<String>,
    /// Whether a block that is met again is sent again: `y` or `n`.
    pub car_dups: Option<String>,
    /// How much a CAR holds: `block`, `entity` or `all` (IPIP-402).
    pub dag_scope: Option<String>,
    /// Range of the file that a CAR holds, as `from:to` with `*` for the end (IPIP-402).
    pub entity_bytes: Option<String>,
}

/// A format with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One block.
    Raw,
    /// Blocks, as a CAR.
    Car,
    /// A dag-json block.
    DagJson,
    /// A dag-cbor block.
    DagCbor,
    /// A JSON block, or a file.
    Json,
    /// A CBOR block, or a file.
    Cbor,
    /// A tar archive.
    Tar,
    /// An IPNS record.
    IpnsRecord,
    /// A page for people; by header only.
    Html,
}

impl Format {
    const ALL: [(Self, &'static str, &'static str); 9] = [
        (Self::Raw, "raw", "application/vnd.ipld.raw"),
        (Self::Car, "car", "application/vnd.ipld.car"),
        (Self::DagJson, "dag-json", "application/vnd.ipld.dag-json"),
        (Self::DagCbor, "dag-cbor", "application/vnd.ipld.dag-cbor"),
        (Self::Json, "json", "application/json"),
        (Self::Cbor, "cbor", "application/cbor"),
        (Self::Tar, "tar", "application/x-tar"),
        (
            Self::IpnsRecord,
            "ipns-record",
            "application/vnd.ipfs.ipns-record",
        ),
        (Self::Html, "", "text/html"),
    ];

    /// The `format` parameter's word.
    pub fn word(self) -> &'static str {
        self.row().1
    }

    /// Media type.
    pub fn media_type(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (Self, &'static str, &'static str) {
        let row = Self::ALL.into_iter().find(|(format, ..)| *format == self);
        row.expect("the table has a row for each format")
    }
}

/// What a request wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The format, where it names one.
    pub format: Option<Format>,
    /// How a CAR is to be made.
    pub car: CarWish,
}

/// Which blocks a CAR holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CarWish {
    /// How much of what the path names.
    pub scope: CarScope,
    /// First and last byte of the file, counted from its end where negative.
    pub bytes: Option<(i64, Option<i64>)>,
    /// A block is sent each time it is met.
    pub duplicates: bool,
}

impl Wish {
    /// Reads query and headers.
    ///
    /// # Errors
    /// When a parameter has a value that means nothing.
    pub fn of(query: &IpfsQuery, headers: &HeaderMap) -> Result<Self, Failure> {
        let format = match &query.format {
            Some(word) => Some(by_word(word)?),
            None => accepted(headers),
        };
        let parameters = car_parameters(headers);
        let car = if format == Some(Format::Car) {
            CarWish::of(query, parameters.as_deref().unwrap_or_default())?
        } else {
            CarWish::default()
        };
        Ok(Self { format, car })
    }
}

impl CarWish {
    fn of(query: &IpfsQuery, parameters: &str) -> Result<Self, Failure> {
        let of = |own: &Option<String>, name: &str| match own {
            Some(value) => Some(value.clone()),
            None => parameter(parameters, name).map(str::to_owned),
        };
        let expect = |value: Option<String>, name: &str, known: &[&str]| match value {
            Some(value) if !known.contains(&value.as_str()) => Err(Failure::invalid(format!(
                "`{}` is no {name} of a CAR that is made here: {}",
                shown(&value),
                known.join(" or ")
            ))),
            value => Ok(value),
        };
        expect(of(&query.car_version, "version"), "version", &["1"])?;
        expect(of(&query.car_order, "order"), "order", &["dfs", "unk"])?;
        let duplicates = expect(of(&query.car_dups, "dups"), "dups", &["y", "n"])?;
        let bytes = query
            .entity_bytes
            .as_deref()
            .map(entity_bytes)
            .transpose()?;
        let scope = match query.dag_scope.as_deref() {
            None if bytes.is_some() => CarScope::Entity,
            None | Some("all") => CarScope::All,
            Some("entity") => CarScope::Entity,
            Some("block") => CarScope::Block,
            Some(other) => {
                let why = format!("dag-scope `{}` is none of block, entity, all", shown(other));
                return Err(Failure::invalid(why));
            }
        };
        Ok(Self {
            scope,
            bytes: bytes.filter(|_| scope == CarScope::Entity),
            duplicates: duplicates.as_deref() == Some("y"),
        })
    }
}

/// `from:to`, with `*` for the end of the file.
fn entity_bytes(text: &str) -> Result<(i64, Option<i64>), Failure> {
    let refuse = || {
        Failure::invalid(format!(
            "entity-bytes `{}` is no range: expected FROM:TO, whole numbers, or * for the end",
            shown(text)
        ))
    };
    let (from, to) = text.split_once(':').ok_or_else(refuse)?;
    let from: i64 = from.parse().map_err(|_| refuse())?;
    let to: Option<i64> = match to {
        "*" => None,
        to => Some(to.parse().map_err(|_| refuse())?),
    };
    // Of the same sign they are counted from the same end.
    let is_backwards = to.is_some_and(|to| (from < 0) == (to < 0) && to < from);
    if is_backwards {
        return Err(refuse());
    }
    Ok((from, to))
}

fn by_word(word: &str) -> Result<Format, Failure> {
    let mut known = Format::ALL.into_iter();
    match known.find(|(_, known, _)| !known.is_empty() && *known == word) {
        Some((format, ..)) => Ok(format),
        None => Err(Failure::invalid(format!(
            "format `{}` is none of raw, car, dag-json, dag-cbor, json, cbor",
            shown(word)
        ))),
    }
}

/// The format that the `Accept` headers want most; of equals the first.
fn accepted(headers: &HeaderMap) -> Option<Format> {
    let mut best: Option<(Format, u32)> = None;
    for entry in entries(headers) {
        let media_type = entry.split(';').next().unwrap_or_default().trim();
        let mut known = Format::ALL.into_iter();
        let Some((format, ..)) = known.find(|(.., known)| media_type.eq_ignore_ascii_case(known))
        else {
            continue;
        };
        let weight = weight(parameter(entry, "q"));
        if weight > 0 && best.is_none_or(|(_, so_far)| weight > so_far) {
            best = Some((format, weight));
        }
    }
    best.map(|(format, _)| format)
}

/// Parameters of the CAR's media type, also where the query named the format.
fn car_parameters(headers: &HeaderMap) -> Option<String> {
    let name = Format::Car.media_type();
    let mut entries = entries(headers);
    let entry = entries.find(|entry| {
        let media_type = entry.split(';').next().unwrap_or_default();
        media_type.trim().eq_ignore_ascii_case(name)
    })?;
    Some(entry.to_owned())
}

fn entries(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .take(MAX_ACCEPTED)
}

fn parameter<'a>(entry: &'a str, name: &str) -> Option<&'a str> {
    entry.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        let is_it = key.trim().eq_ignore_ascii_case(name);
        is_it.then(|| value.trim().trim_matches('"'))
    })
}

/// `q` of RFC 9110 §12.4.2 in thousandths; what can't be read is the most.
fn weight(q: Option<&str>) -> u32 {
    let Some((whole, digits)) = q.map(|q| q.split_once('.').unwrap_or((q, ""))) else {
        return 1000;
    };
    if whole != "0" {
        return 1000;
    }
    let digits: String = digits.chars().chain("000".chars()).take(3).collect();
    digits.parse().unwrap_or(1000)
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// What is named can't be had in this format.
pub fn not_acceptable(what: &str, format: Format) -> Failure {
    Failure::new(
        ErrorCode::NotAcceptable,
        format!(
            "{what} can't be given as {}: codecs are not converted; ask for it without a format, \
             or for raw or car",
            format.word()
        ),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::{extract::Query, http::Uri};

    use super::*;

    fn wish(query: &str, accept: &[&str]) -> Result<Wish, Failure> {
        let uri: Uri = format!("/ipfs/x?{query}").parse().unwrap();
        let Query(query) = Query::<IpfsQuery>::try_from_uri(&uri).unwrap();
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        Wish::of(&query, &headers)
    }

    #[test]
    fn the_query_goes_before_the_header_and_the_heavier_type_before_the_lighter() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        let table: [(&str, &[&str], Option<Format>); 13] = [
            ("", &[], None),
            ("", &["*/*"], None),
            ("", &["image/png, application/xml"], None),
            ("", &[browser], Some(Format::Html)),
            ("", &["application/vnd.ipld.raw"], Some(Format::Raw)),
            (
                "",
                &["Application/Vnd.Ipld.Car; version=1"],
                Some(Format::Car),
            ),
            (
                "",
                &["application/json;q=0.5, text/html"],
                Some(Format::Html),
            ),
            (
                "",
                &["text/html;q=0.5", "application/cbor;q=0.51"],
                Some(Format::Cbor),
            ),
            ("", &["application/json;q=0"], None),
            (
                "format=raw",
                &["application/vnd.ipld.car"],
                Some(Format::Raw),
            ),
            (
                "format=car",
                &["application/vnd.ipld.raw"],
                Some(Format::Car),
            ),
            ("format=dag-json", &[browser], Some(Format::DagJson)),
            ("format=tar", &[], Some(Format::Tar)),
        ];
        for (query, accept, expected) in table {
            assert_eq!(
                wish(query, accept).unwrap().format,
                expected,
                "{query} {accept:?}"
            );
        }
        for unknown in ["format=xyz", "format="] {
            assert_eq!(wish(unknown, &[]).unwrap_err().status(), 400);
        }
    }

    #[test]
    fn parameters_of_a_car_come_from_the_query_then_from_its_media_type() {
        use CarScope::{All, Block, Entity};
        let car = "application/vnd.ipld.car";
        let table = [
            ("format=car", String::new(), (All, None, false)),
            (
                "",
                format!("{car}; version=1; order=dfs; dups=y"),
                (All, None, true),
            ),
            ("", format!("{car};order=unk;dups=n"), (All, None, false)),
            ("format=car", format!("{car}; dups=y"), (All, None, true)),
            (
                "format=car&car-dups=y",
                format!("{car}; dups=n"),
                (All, None, true),
            ),
            (
                "format=car&car-order=dfs",
                format!("{car}; order=sideways"),
                (All, None, false),
            ),
            (
                "format=car&dag-scope=block",
                String::new(),
                (Block, None, false),
            ),
            (
                "format=car&dag-scope=entity",
                String::new(),
                (Entity, None, false),
            ),
            (
                "format=car&entity-bytes=0:*",
                String::new(),
                (Entity, Some((0, None)), false),
            ),
            (
                "format=car&entity-bytes=-5:-1",
                String::new(),
                (Entity, Some((-5, Some(-1))), false),
            ),
            (
                "format=car&entity-bytes=5:-1",
                String::new(),
                (Entity, Some((5, Some(-1))), false),
            ),
            (
                "format=car&entity-bytes=0:0&dag-scope=all",
                String::new(),
                (All, None, false),
            ),
        ];
        for (query, accept, expected) in table {
            let car = wish(query, &[&accept]).unwrap().car;
            assert_eq!(
                (car.scope, car.bytes, car.duplicates),
                expected,
                "{query} {accept}"
            );
        }
        let bad = [
            "car-version=2",
            "car-order=bfs",
            "car-dups=maybe",
            "dag-scope=some",
            "entity-bytes=5",
            "entity-bytes=a:b",
            "entity-bytes=5:4",
            "entity-bytes=-1:-5",
            "entity-bytes=*:5",
            "entity-bytes=99999999999999999999:*",
        ];
        for query in bad {
            let refused = wish(&format!("format=car&{query}"), &[]).unwrap_err();
            assert_eq!(refused.status(), 400, "{query}");
        }
    }
}
