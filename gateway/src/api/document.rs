//! The OpenAPI document, from the annotations of the handlers.

use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::{
    blobs, car, events, mirror, node, payment_events, payments, people, pins, retrieve, spaces,
    threads, torrents, types,
};
use crate::{
    blob::outboard,
    ipfs::{path, routing},
    swarm::{file, webseed},
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "datt",
        description = "Reading is public; writing needs the token of the file `api-token` in the data folder."
    ),
    paths(
        node::healthz, node::metrics, node::openapi, node::status, node::ticket, node::sign_in,
        node::verify, spaces::list, spaces::create, spaces::one, spaces::join, threads::list,
        threads::one, threads::post, threads::entry, threads::publish, threads::revise,
        threads::vote, threads::mark, threads::report, blobs::upload, blobs::import_path,
        blobs::state, blobs::fetch, car::export, car::import_path, pins::list, pins::create, pins::put, pins::delete,
        people::profile, people::set_profile, people::follow, events::subscribe,
        outboard::outboard, path::root, path::below, path::by_uri, path::preflight,
        path::preflight_below, routing::providers, routing::preflight,
        retrieve::fetch, retrieve::denied, retrieve::deny, retrieve::allow,
        file::file, file::preflight, webseed::only, webseed::below, webseed::preflight,
        torrents::list, torrents::get, torrents::forget, torrents::publicity,
        torrents::set_publicity, torrents::sources, mirror::status, mirror::audit, mirror::audits, mirror::asked,
        mirror::ask, mirror::release, payments::choices, payments::pay, payments::one,
        payments::anyway, payments::of_post, payments::list, payments::forget,
        payments::transaction, payments::verify, payments::publish, payments::prove,
        payments::proofs, payments::keys,
        payments::batch, payments::key, payments::set_key, payments::received, payments::chain,
        payment_events::subscribe,
    ),
    components(schemas(types::ErrorBody, events::Reset, views::data::Sort)),
    modifiers(&Token)
)]
struct Api;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("token", bearer);
    }
}

/// The document.
pub fn document() -> Document {
    Api::openapi()
}
