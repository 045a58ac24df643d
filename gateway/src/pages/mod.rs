//! The pages and their forms: everything works without JavaScript.
//!
//! A form answers with 303 to the page it changed. A failed request is a page that says what
//! failed, why, and what to do.

mod assets;
mod compose;
mod entry;
mod feeds;
mod flash;
mod form;
mod lists;
mod moderation;
mod node_page;
mod operator;
mod payments;
mod people;
mod pins;
mod problem;
mod settings_page;
mod swarm;
mod thread;
mod upload;
mod visit;
mod votes;

#[cfg(test)]
mod fake_node;
#[cfg(test)]
mod fake_payments;
#[cfg(test)]
mod fake_swarm;
#[cfg(test)]
mod payment_tests;
#[cfg(test)]
mod swarm_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::DefaultBodyLimit,
    middleware,
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use views::Template;

use crate::{api::payments::MAX_BODY_BYTES, failure::Failure, gate::Gate, node::NodeError};

pub use problem::failure;

/// Every page and form, except `/signin/{once}` and `/signout`.
pub fn routes() -> Router<Gate> {
    let uploads = Router::new()
        .route("/post", post(compose::publish))
        .route("/edit", post(compose::revise))
        .route("/upload", post(upload::receive))
        .route(
            "/settings",
            get(settings_page::show).post(settings_page::save_profile),
        )
        .route("/space/new", post(settings_page::create_board))
        .layer(DefaultBodyLimit::disable());
    Router::new()
        .route("/", get(lists::front))
        .route("/feed.xml", get(feeds::front))
        .route("/s/{space}", get(lists::board))
        .route("/s/{space}/feed.xml", get(feeds::board))
        .route("/t/{cid}", get(thread::show))
        .route("/p/{cid}", get(thread::permalink))
        .route("/e/{cid}", get(entry::show))
        .route("/{person}", get(people::show))
        .route("/compose", get(compose::show))
        .route("/node", get(node_page::show))
        .route("/operator", get(operator::show))
        .route("/operator/audit", post(operator::audit))
        .route("/pins", get(pins::show))
        .route("/pins/ask", post(pins::ask))
        .route("/pins/release", post(pins::release))
        .merge(paid_votes())
        .route("/torrents", get(swarm::torrents))
        .route("/sources/{cid}", get(swarm::sources))
        .route("/publicity", post(swarm::publicity))
        .route("/signin", get(people::sign_in))
        .route("/vote", post(votes::vote))
        .route("/pin", post(votes::pin))
        .route("/follow", post(votes::follow))
        .route("/mark", get(moderation::mark_form).post(moderation::mark))
        .route(
            "/report",
            get(moderation::report_form).post(moderation::report),
        )
        .route("/join", post(settings_page::join))
        .route("/theme", post(settings_page::theme))
        .merge(uploads)
        .layer(middleware::from_fn(problem::show_failures))
        .layer(Extension(Arc::new(visit::Known::default())))
        .route("/assets/{name}", get(assets::serve))
}

fn paid_votes() -> Router<Gate> {
    let transaction = post(payments::transaction);
    let transaction = transaction.layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    Router::new()
        .route("/pay/{post}", get(payments::ask).post(payments::pay))
        .route("/payment/{vote}", get(payments::show))
        .route("/payment/{vote}/anyway", post(payments::anyway))
        .route("/payment/{vote}/forget", post(payments::forget))
        .route("/payment/{vote}/transaction", transaction)
        .route("/payments", get(payments::list))
        .route("/payments/batch", post(payments::batch))
        .route("/payments/{post}", get(payments::of_post))
        .route("/settings/payment-key", post(payments::set_key))
        .route("/chain", get(payments::chain))
}

/// Renders a page.
fn page(template: &impl Template) -> Result<Response, Failure> {
    match template.render() {
        Ok(html) => Ok(Html(html).into_response()),
        Err(error) => Err(NodeError::local("render the page", error).into()),
    }
}
