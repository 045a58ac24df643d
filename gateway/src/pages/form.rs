//! Multipart forms: text in bounded fields, files straight to the node without being buffered.

use axum::extract::{
    Multipart,
    multipart::{Field, MultipartError},
};
use model::limits;
use views::{compose::Attached, data::Publicity};

use super::visit::Visit;
use crate::{
    api::types::ErrorCode, auth::Session, failure::Failure, gate::Gate, node::NodeError, upload,
};

/// Longest text of one field, in bytes: a body whose line ends are still CR LF.
const FIELD_BYTES: usize = 2 * limits::TEXT_BYTES;
/// Fields of one form.
const MAX_FIELDS: usize = 128;
/// Forms up to this length hold text only, or so little that the node decides by itself.
const ALWAYS_ROOM_BYTES: u64 = 256 << 10;
/// A refused form up to this length is read to its end, so that the browser shows the answer and
/// nothing typed is lost.
const DRAINED_BYTES: u64 = 64 << 20;
/// Longest file name, as the schema has it.
const MAX_NAME_BYTES: usize = 200;

/// A form that was read: its text fields, its files imported.
#[derive(Debug, Default)]
pub(super) struct Posted {
    fields: Vec<(String, String)>,
    /// Files, with the descriptions that followed them.
    pub media: Vec<Attached>,
    /// What the author should know about the files.
    pub notes: Vec<String>,
    /// Why a file could not be imported; the rest of the form was read all the same.
    pub refused: Option<Failure>,
    csrf_checked: bool,
    /// The newest file came with a form row of its own, whose description is still to come.
    undescribed: usize,
}

impl Posted {
    /// Reads a form. The token stands first, in the field `csrf`: before it, nothing is used.
    pub async fn read(visit: &Visit, mut multipart: Multipart) -> Result<Self, Failure> {
        let (session, gate) = (visit.owner()?, &visit.gate);
        let mut posted = Self::default();
        if visit
            .body_bytes
            .is_some_and(|bytes| bytes > ALWAYS_ROOM_BYTES)
            && let Err(failure) = visit.room().await
        {
            if visit.body_bytes.is_some_and(|bytes| bytes > DRAINED_BYTES) {
                return Err(failure);
            }
            posted.refused = Some(failure);
        }
        let mut fields = 0;
        while let Some(field) = multipart
            .next_field()
            .await
            .map_err(|error| unreadable(&error))?
        {
            fields += 1;
            if fields > MAX_FIELDS {
                return Err(Failure::invalid(format!(
                    "a form has at most {MAX_FIELDS} fields"
                )));
            }
            posted.take(field, session, gate).await?;
        }
        session.check_csrf(posted.text("csrf"))?;
        Ok(posted)
    }

    async fn take(
        &mut self,
        field: Field<'_>,
        session: &Session,
        gate: &Gate,
    ) -> Result<(), Failure> {
        let name = field.name().unwrap_or_default().to_owned();
        if let Some(file_name) = field.file_name() {
            let file_name = file_name.to_owned();
            self.check_csrf(session)?;
            return self.file(field, &name, &file_name, gate).await;
        }
        let text = read_text(field, &name).await?;
        match name.as_str() {
            "media" => self.attach(Attached {
                blob: text,
                ..Attached::default()
            })?,
            "media_name" => {
                if let Some(last) = self.media.last_mut() {
                    last.name = text;
                }
            }
            "publicity" => self.restrict(&text)?,
            "alt" => self.describe(&text),
            _ => self.fields.push((name, text)),
        }
        Ok(())
    }

    fn check_csrf(&mut self, session: &Session) -> Result<(), Failure> {
        if !self.csrf_checked {
            session.check_csrf(self.text("csrf"))?;
            self.csrf_checked = true;
        }
        Ok(())
    }

    async fn file(
        &mut self,
        field: Field<'_>,
        name: &str,
        file_name: &str,
        gate: &Gate,
    ) -> Result<(), Failure> {
        if file_name.is_empty() || self.refused.is_some() {
            return Ok(());
        }
        if self.media.len() >= limits::MEDIA_LINKS {
            self.refused = Some(too_many());
            return Ok(());
        }
        match upload::import_field(gate, plain_name(file_name), field).await {
            Ok(added) => {
                self.notes.extend(
                    added
                        .notes
                        .iter()
                        .map(|note| format!("{}: {note}", added.name)),
                );
                if name == "avatar" {
                    self.fields.push((name.to_owned(), added.blob));
                    return Ok(());
                }
                self.attach(Attached {
                    blob: added.blob,
                    name: added.name,
                    alt: String::new(),
                    publicity: None,
                })
            }
            Err(failure) => {
                self.refused = Some(failure);
                Ok(())
            }
        }
    }

    fn attach(&mut self, file: Attached) -> Result<(), Failure> {
        if self.media.len() >= limits::MEDIA_LINKS {
            return Err(too_many());
        }
        self.media.push(file);
        self.undescribed += 1;
        Ok(())
    }

    /// A description belongs to the files that came since the last one.
    fn describe(&mut self, alt: &str) {
        let from = self.media.len().saturating_sub(self.undescribed);
        for file in &mut self.media[from..] {
            alt.clone_into(&mut file.alt);
        }
        self.undescribed = 0;
    }

    /// How far files may travel: those that came since the last description, which follows.
    fn restrict(&mut self, publicity: &str) -> Result<(), Failure> {
        if publicity.is_empty() {
            return Ok(());
        }
        let chosen = read_publicity(publicity)?;
        let from = self.media.len().saturating_sub(self.undescribed);
        for file in &mut self.media[from..] {
            file.publicity = Some(chosen);
        }
        Ok(())
    }

    /// A field's text, or nothing.
    pub fn text(&self, name: &str) -> &str {
        self.fields
            .iter()
            .find(|(found, _)| found == name)
            .map_or("", |(_, text)| text.as_str())
    }

    /// A field's text without blanks around it, if there is any.
    pub fn filled(&self, name: &str) -> Option<String> {
        Some(self.text(name).trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Whether the form has the field at all.
    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(found, _)| found == name)
    }
}

/// The word of a form for how far a file may travel.
pub(super) fn read_publicity(word: &str) -> Result<Publicity, Failure> {
    word.parse().map_err(|_| {
        let shown: String = word.chars().take(40).collect();
        Failure::invalid(format!(
            "`{shown}` says not how far a file may travel: gateway, peers or swarm"
        ))
    })
}

fn too_many() -> Failure {
    let most = limits::MEDIA_LINKS;
    Failure::new(
        ErrorCode::TooLarge,
        format!("a post has at most {most} files; put the others into a reply"),
    )
}

async fn read_text(mut field: Field<'_>, name: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| unreadable(&error))? {
        if bytes.len() + chunk.len() > FIELD_BYTES {
            return Err(NodeError::TooLarge {
                what: format!("the field `{name}`"),
                size_bytes: (bytes.len() + chunk.len()) as u64,
                limit_bytes: limits::TEXT_BYTES as u64,
            }
            .into());
        }
        bytes.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::invalid(format!("the field `{name}` is not UTF-8 text")))?;
    Ok(text.replace("\r\n", "\n"))
}

/// The file's name without folders, no longer than a post may carry.
pub(super) fn plain_name(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let mut end = name.len().min(MAX_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    if end == 0 {
        "file".to_owned()
    } else {
        name[..end].to_owned()
    }
}

fn unreadable(error: &MultipartError) -> Failure {
    Failure::rejected(error.status(), &error.body_text())
}
