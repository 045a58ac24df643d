//! Multipart forms: text in bounded fields, files straight to the node without being buffered.

use axum::extract::{
    Multipart,
    multipart::{Field, MultipartError},
};
use bytes::Bytes;
use futures_lite::{StreamExt, future, stream};
use model::limits;
use tokio::sync::mpsc;
use views::compose::Attached;

use super::visit::Visit;
use crate::{
    api::types::{BlobAdded, ErrorCode},
    auth::Session,
    failure::Failure,
    node::{Node, NodeError},
};

/// Longest text of one field, in bytes: a body whose line ends are still CR LF.
const FIELD_BYTES: usize = 2 * limits::TEXT_BYTES;
/// Fields of one form.
const MAX_FIELDS: usize = 96;
/// Forms up to this length hold text only, or so little that the node decides by itself.
const ALWAYS_ROOM_BYTES: u64 = 256 << 10;
/// A refused form up to this length is read to its end, so that the browser shows the answer and
/// nothing typed is lost.
const DRAINED_BYTES: u64 = 64 << 20;
/// Chunks of an upload that wait for the importer.
const CHUNKS_AHEAD: usize = 4;

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
        let (session, node) = (visit.owner()?, visit.node());
        let mut posted = Self::default();
        if visit.body_bytes.is_some_and(|bytes| bytes > ALWAYS_ROOM_BYTES)
            && let Err(failure) = visit.room().await
        {
            if visit.body_bytes.is_some_and(|bytes| bytes > DRAINED_BYTES) {
                return Err(failure);
            }
            posted.refused = Some(failure);
        }
        let mut fields = 0;
        while let Some(field) = multipart.next_field().await.map_err(|error| unreadable(&error))? {
            fields += 1;
            if fields > MAX_FIELDS {
                return Err(Failure::invalid(format!("a form has at most {MAX_FIELDS} fields")));
            }
            posted.take(field, session, node).await?;
        }
        session.check_csrf(posted.text("csrf"))?;
        Ok(posted)
    }

    async fn take(&mut self, field: Field<'_>, session: &Session, node: &dyn Node) -> Result<(), Failure> {
        let name = field.name().unwrap_or_default().to_owned();
        if let Some(file_name) = field.file_name() {
            let file_name = file_name.to_owned();
            self.check_csrf(session)?;
            return self.file(field, &name, &file_name, node).await;
        }
        let text = read_text(field, &name).await?;
        match name.as_str() {
            "media" => self.attach(Attached { blob: text, ..Attached::default() })?,
            "media_name" => {
                if let Some(last) = self.media.last_mut() {
                    last.name = text;
                }
            }
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

    async fn file(&mut self, field: Field<'_>, name: &str, file_name: &str, node: &dyn Node) -> Result<(), Failure> {
        if file_name.is_empty() || self.refused.is_some() {
            return drain(field).await;
        }
        if self.media.len() >= limits::MEDIA_LINKS {
            self.refused = Some(too_many());
            return drain(field).await;
        }
        match import(field, file_name, node).await {
            Ok(added) => {
                self.notes.extend(added.notes.iter().map(|note| format!("{}: {note}", added.name)));
                if name == "avatar" {
                    self.fields.push((name.to_owned(), added.blob));
                    return Ok(());
                }
                self.attach(Attached { blob: added.blob, name: added.name, alt: String::new() })
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

    /// A field's text, or nothing.
    pub fn text(&self, name: &str) -> &str {
        self.fields.iter().find(|(found, _)| found == name).map_or("", |(_, text)| text.as_str())
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

fn too_many() -> Failure {
    let most = limits::MEDIA_LINKS;
    Failure::new(ErrorCode::TooLarge, format!("a post has at most {most} files; put the others into a reply"))
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
    let text = String::from_utf8(bytes).map_err(|_| Failure::invalid(format!("the field `{name}` is not UTF-8 text")))?;
    Ok(text.replace("\r\n", "\n"))
}

async fn drain(mut field: Field<'_>) -> Result<(), Failure> {
    while field.chunk().await.map_err(|error| unreadable(&error))?.is_some() {}
    Ok(())
}

/// Hands a file to the node while it arrives; at most [`CHUNKS_AHEAD`] chunks wait in memory.
async fn import(field: Field<'_>, file_name: &str, node: &dyn Node) -> Result<BlobAdded, Failure> {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    let adding = node.add_blob(file_name.to_owned(), None, received(receiver));
    let (added, sent) = future::zip(adding, forward(field, sender)).await;
    let added = added?;
    sent?;
    Ok(added)
}

async fn forward(mut field: Field<'_>, sender: mpsc::Sender<Result<Bytes, NodeError>>) -> Result<(), Failure> {
    loop {
        match field.chunk().await {
            Ok(None) => return Ok(()),
            // The importer may have given up; what remains is read and dropped, so that the
            // browser gets to see the answer.
            Ok(Some(chunk)) => drop(sender.send(Ok(chunk)).await),
            Err(error) => {
                let failure = unreadable(&error);
                drop(sender.send(Err(NodeError::Invalid(failure.message.clone()))).await);
                return Err(failure);
            }
        }
    }
}

fn received(receiver: mpsc::Receiver<Result<Bytes, NodeError>>) -> stream::Boxed<Result<Bytes, NodeError>> {
    stream::unfold(receiver, |mut receiver| async move {
        let item = receiver.recv().await?;
        Some((item, receiver))
    })
    .boxed()
}

fn unreadable(error: &MultipartError) -> Failure {
    Failure::rejected(error.status(), &error.body_text())
}
