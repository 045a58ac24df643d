//! Every API route with its method, recorded, so that the OpenAPI document can be held against it.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    http::Method,
    routing::{MethodFilter, on},
};

use super::{
    blobs, car, events, input::MAX_JSON_BYTES, mirror, node, payment_events, payments, people,
    pins, retrieve, spaces, threads, torrents,
};
use crate::{
    blob::outboard,
    gate::Gate,
    ipfs::{path, routing},
    swarm::{file, webseed},
};

/// Everything below a root, as the document writes it and as the router does.
const BELOW: [&str; 2] = ["/ipfs/{cid}/{path}", "/ipfs/{cid}/{*path}"];
const PUBLICITY: &str = "/api/v1/blobs/{cid}/publicity";
const ASKED: &str = "/api/v1/mirror/requests";
const PAY: &str = "/api/v1/votes/{cid}/pay";
const PAYMENT: &str = "/api/v1/payments/{cid}";
const PAYMENT_KEY: &str = "/api/v1/payments/key";
/// The same for the files of a torrent.
const IN_TORRENT: [&str; 2] = ["/webseed/{infohash}/{path}", "/webseed/{infohash}/{*path}"];

/// A router under construction that remembers what was mounted.
pub struct Routes {
    router: Router<Gate>,
    mounted: Vec<(Method, &'static str)>,
}

impl Routes {
    fn new() -> Self {
        Self {
            router: Router::new(),
            mounted: Vec::new(),
        }
    }

    fn at<H, T>(mut self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Gate>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("a standard method");
        self.router = self.router.route(path, on(filter, handler));
        self.mounted.push((method, path));
        self
    }

    /// Another spelling of a path that is mounted already.
    fn also<H, T>(mut self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Gate>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method).expect("a standard method");
        self.router = self.router.route(path, on(filter, handler));
        self
    }

    /// A path below which everything is one parameter, which the document calls `{path}`.
    fn below<H, T>(self, method: Method, paths: [&'static str; 2], handler: H) -> Self
    where
        H: Handler<T, Gate>,
        T: 'static,
    {
        let [listed, mounted] = paths;
        let mut routes = self.also(method.clone(), mounted, handler);
        routes.mounted.push((method, listed));
        routes
    }

    /// The routes for axum.
    pub fn into_router(self) -> Router<Gate> {
        self.router.layer(DefaultBodyLimit::max(MAX_JSON_BYTES))
    }

    /// Methods and paths, in the order they were mounted.
    pub fn mounted(&self) -> &[(Method, &'static str)] {
        &self.mounted
    }
}

/// Answers that are given in one piece, within a deadline.
pub fn answers() -> Routes {
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let options = Method::OPTIONS;
    paid_votes(Routes::new())
        .at(get.clone(), "/healthz", node::healthz)
        .at(get.clone(), "/metrics", node::metrics)
        .at(get.clone(), "/api/v1/openapi.json", node::openapi)
        .at(get.clone(), "/api/v1/status", node::status)
        .at(get.clone(), "/api/v1/ticket", node::ticket)
        .at(post.clone(), "/api/v1/signin", node::sign_in)
        .at(get.clone(), "/api/v1/spaces", spaces::list)
        .at(post.clone(), "/api/v1/spaces", spaces::create)
        .at(get.clone(), "/api/v1/spaces/{cid}", spaces::one)
        .at(post.clone(), "/api/v1/join", spaces::join)
        .at(get.clone(), "/api/v1/threads", threads::list)
        .at(get.clone(), "/api/v1/threads/{cid}", threads::one)
        .at(get.clone(), "/api/v1/posts/{cid}", threads::post)
        .at(get.clone(), "/api/v1/entries/{cid}", threads::entry)
        .at(post.clone(), "/api/v1/posts", threads::publish)
        .at(put.clone(), "/api/v1/posts/{cid}", threads::revise)
        .at(put.clone(), "/api/v1/votes/{cid}", threads::vote)
        .at(put.clone(), "/api/v1/marks/{cid}", threads::mark)
        .at(post.clone(), "/api/v1/reports/{cid}", threads::report)
        .at(get.clone(), "/api/v1/blobs/{cid}", blobs::state)
        .at(
            get.clone(),
            "/api/v1/blobs/{cid}/sources",
            torrents::sources,
        )
        .at(get.clone(), PUBLICITY, torrents::publicity)
        .at(put.clone(), PUBLICITY, torrents::set_publicity)
        .at(get.clone(), "/api/v1/torrents", torrents::list)
        .at(
            delete.clone(),
            "/api/v1/torrents/{infohash}",
            torrents::forget,
        )
        .at(get.clone(), "/torrent/{infohash}", file::file)
        .at(options.clone(), "/torrent/{infohash}", file::preflight)
        .at(get.clone(), "/api/v1/mirror", mirror::status)
        .at(get.clone(), "/api/v1/mirror/audit", mirror::audits)
        .at(get.clone(), ASKED, mirror::asked)
        .at(post.clone(), ASKED, mirror::ask)
        .at(delete.clone(), ASKED, mirror::release)
        .at(get.clone(), "/api/v1/pins", pins::list)
        .at(post.clone(), "/api/v1/pins", pins::create)
        .at(put.clone(), "/api/v1/pins/{cid}", pins::put)
        .at(delete.clone(), "/api/v1/pins/{cid}", pins::delete)
        .at(get.clone(), "/api/v1/denylist", retrieve::denied)
        .at(post, "/api/v1/denylist", retrieve::deny)
        .at(delete, "/api/v1/denylist/{cid}", retrieve::allow)
        .at(get.clone(), "/api/v1/identities/{cid}", people::profile)
        .at(put.clone(), "/api/v1/profile", people::set_profile)
        .at(put, "/api/v1/follows/{cid}", people::follow)
        .at(get, "/routing/v1/providers/{cid}", routing::providers)
        .at(
            options.clone(),
            "/routing/v1/providers/{cid}",
            routing::preflight,
        )
        .at(options.clone(), "/ipfs/{cid}", path::preflight)
        .also(options.clone(), "/ipfs/{cid}/", path::preflight)
        .below(options.clone(), BELOW, path::preflight_below)
        .below(options, IN_TORRENT, webseed::preflight)
}

fn paid_votes(routes: Routes) -> Routes {
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let transaction = payments::transaction.layer(DefaultBodyLimit::max(payments::MAX_BODY_BYTES));
    routes
        .at(get.clone(), PAY, payments::choices)
        .at(put.clone(), PAY, payments::pay)
        .at(
            get.clone(),
            "/api/v1/posts/{cid}/payments",
            payments::of_post,
        )
        .at(get.clone(), "/api/v1/payments", payments::list)
        .at(get.clone(), PAYMENT, payments::one)
        .at(delete, PAYMENT, payments::forget)
        .at(
            put.clone(),
            "/api/v1/payments/{cid}/anyway",
            payments::anyway,
        )
        .at(
            get.clone(),
            "/api/v1/payments/{cid}/proof",
            payments::proofs,
        )
        .at(
            post.clone(),
            "/api/v1/payments/{cid}/prove",
            payments::prove,
        )
        .at(post.clone(), "/api/v1/payments/transactions", transaction)
        .at(post.clone(), "/api/v1/payments/verify", payments::verify)
        .at(post.clone(), "/api/v1/payments/proofs", payments::publish)
        .at(post, "/api/v1/payments/batches", payments::batch)
        .at(get.clone(), PAYMENT_KEY, payments::key)
        .at(put, PAYMENT_KEY, payments::set_key)
        .at(get.clone(), "/api/v1/payments/keys", payments::keys)
        .at(get.clone(), "/api/v1/payments/received", payments::received)
        .at(get, "/api/v1/chain", payments::chain)
}

/// Answers that take as long as they take, with deadlines of their own.
pub fn streams() -> Routes {
    let (get, post) = (Method::GET, Method::POST);
    Routes::new()
        .at(get.clone(), "/ipfs/", path::by_uri)
        .at(get.clone(), "/ipfs/{cid}", path::root)
        .also(get.clone(), "/ipfs/{cid}/", path::root)
        .below(get.clone(), BELOW, path::below)
        .at(get.clone(), "/blob/{cid}/outboard", outboard::outboard)
        .at(get.clone(), "/webseed/{infohash}", webseed::only)
        .also(get.clone(), "/webseed/{infohash}/", webseed::only)
        .below(get.clone(), IN_TORRENT, webseed::below)
        .at(get.clone(), "/api/v1/export", car::export)
        .at(get.clone(), "/api/v1/events", events::subscribe)
        .at(get, "/api/v1/payments/events", payment_events::subscribe)
        .at(post.clone(), "/api/v1/import/path", car::import_path)
        .at(post.clone(), "/api/v1/blobs", blobs::upload)
        .at(post.clone(), "/api/v1/blobs/path", blobs::import_path)
        .at(post.clone(), "/api/v1/blobs/{cid}/fetch", blobs::fetch)
        .at(post.clone(), "/api/v1/ipfs/{cid}/fetch", retrieve::fetch)
        .at(
            post.clone(),
            "/api/v1/torrents",
            torrents::get.layer(DefaultBodyLimit::max(torrents::MAX_BODY_BYTES)),
        )
        .at(post.clone(), "/api/v1/mirror/audit", mirror::audit)
        .at(post, "/api/v1/verify", node::verify)
}
