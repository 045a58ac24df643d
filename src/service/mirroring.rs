//! Mirrors, as the gateway asks for them.

use std::future::ready;

use gateway::{
    api::types::{AuditRequest, MirrorAnswer, MirrorPin, MirrorUnpin},
    node::{Mirrors, NodeError, Reply},
};
use views::data;

use super::Service;
use crate::mirror::status;

fn off<'a, T: Send + 'a>() -> Reply<'a, T> {
    let why = "this node knows no mirrors".to_owned();
    Box::pin(ready(Err(NodeError::Unavailable(why))))
}

impl Mirrors for Service {
    fn mirror(&self) -> Reply<'_, data::MirrorStatus> {
        Box::pin(status::status(&self.core))
    }

    fn audit(&self, _request: AuditRequest) -> Reply<'_, Vec<data::AuditRow>> {
        off()
    }

    fn audits(&self) -> Reply<'_, Vec<data::AuditRow>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn pins_asked(&self) -> Reply<'_, Vec<data::PinAsked>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn ask_mirror(&self, _request: MirrorPin) -> Reply<'_, MirrorAnswer> {
        off()
    }

    fn release_mirror(&self, _request: MirrorUnpin) -> Reply<'_, MirrorAnswer> {
        off()
    }
}
