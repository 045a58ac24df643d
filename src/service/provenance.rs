//! "How do I know?": everything this node can show for an entry.

use std::sync::Arc;

use database::{DatabaseError, PayloadState, Source, Verdict, schema};
use gateway::node::{NodeError, Viewer};
use model::{EntryId, IdentityId, SpaceId};
use views::data;

use super::{
    authors::{Authors, may_see, unknown},
    availability,
};
use crate::core::Core;

/// The provenance of an entry.
pub async fn provenance(
    core: &Arc<Core>,
    viewer: Viewer,
    id: EntryId,
) -> Result<data::Provenance, NodeError> {
    let node = Arc::clone(core);
    let found = core.store("read an entry", move |database| {
        let reader = database.read()?;
        let (Some(entry), Some(state)) = (reader.entry(&id)?, reader.state(&id)?) else {
            return Ok::<_, DatabaseError>(None);
        };
        let header = entry.header();
        let space = header.space.unwrap_or_else(|| SpaceId::from(id));
        if !may_see(&node, &reader, viewer, &space)? {
            return Ok(None);
        }
        let author = match header.identity {
            Some(identity) => Authors::new(&reader).of(&identity)?,
            None => Authors::new(&reader).of(&IdentityId::from(id))?,
        };
        let payload_ok = reader
            .payload_block(&header.payload)?
            .is_some_and(|bytes| model::PayloadId::of(&bytes) == header.payload);
        let signature_ok = model::Entry::decode(entry.bytes())
            .and_then(model::Entry::verify)
            .is_ok();
        let (verdict, reason) = verdict_words(&state);
        let root = header
            .root
            .or_else(|| (header.table == "post").then_some(id));
        Ok(Some(data::Provenance {
            id: id.to_string(),
            size_bytes: entry.bytes().len() as u64,
            author,
            device: header.device.to_string(),
            signature: data_encoding::HEXLOWER.encode(entry.signature()),
            signature_ok,
            seq: header.seq,
            backlink: header.backlink.map(|id| id.to_string()),
            parents: header.parents.iter().map(ToString::to_string).collect(),
            depth: header.depth,
            root: root.map(|id| id.to_string()),
            space: header.space.map(|id| id.to_string()),
            grant: header.grant.map(|id| id.to_string()),
            schema: schema_words(&header.schema),
            table: header.table.clone(),
            time_ms: header.time_ms,
            payload: header.payload.to_string(),
            payload_bytes: u64::from(header.payload_size),
            payload_ok,
            verdict,
            verdict_reason: reason,
            source: match state.source {
                Source::Local => "this node".to_owned(),
                Source::Peer(peer) => peer.to_string(),
                Source::File => "an imported file".to_owned(),
            },
            received_ms: state.received_ms,
            held_by: availability::holders(&node, id),
        }))
    });
    found.await?.ok_or_else(|| unknown("entry", id))
}

fn schema_words(id: &model::SchemaId) -> String {
    let name = [schema::forum(), schema::profile()]
        .into_iter()
        .find(|schema| schema.id() == *id);
    match name {
        Some(schema) => format!("{id} ({})", schema.name()),
        None => id.to_string(),
    }
}

fn verdict_words(state: &database::EntryState) -> (data::Verdict, String) {
    match state.verdict {
        Verdict::Valid if state.payload != PayloadState::Held => (
            data::Verdict::Valid,
            "the entry counts; its content is not held here".to_owned(),
        ),
        Verdict::Valid => (
            data::Verdict::Valid,
            "signature, schema, references and authority check out".to_owned(),
        ),
        Verdict::Pending => {
            (data::Verdict::Pending, "something it refers to is not held here yet".to_owned())
        }
        Verdict::Held => (
            data::Verdict::Pending,
            "its time lies ahead of this machine's clock; it counts once that is reached".to_owned(),
        ),
        Verdict::Disputed => (
            data::Verdict::Disputed,
            "its device signed two entries for one place in its feed; from there on nothing counts \
             until the identity settles it"
                .to_owned(),
        ),
        Verdict::Void => (data::Verdict::Void, "it was cut off by a revoke".to_owned()),
        Verdict::Invalid => (
            data::Verdict::Void,
            state.reason.as_ref().map_or_else(|| "it breaks a rule".to_owned(), ToString::to_string),
        ),
    }
}
