//! Pages as HTML, from plain data: the same templates natively and in wasm.
//!
//! Nothing here has a clock, a socket or a file: whoever renders a page passes the time and the
//! data. Every page is a struct that implements [`Template`]; `render` gives the HTML.

pub use askama::Template;

pub mod amount;
pub mod board;
pub mod chain;
pub mod chart;
pub mod compose;
pub mod data;
pub mod emblem;
pub mod feed;
pub mod frame;
pub mod front;
pub mod list;
pub mod listing;
pub mod markdown;
pub mod media;
pub mod moderate;
pub mod node;
pub mod operator;
pub mod payments;
pub mod pins;
pub mod problem;
pub mod profile;
pub mod provenance;
pub mod settings;
pub mod signin;
pub mod text;
pub mod thread;
pub mod torrents;
pub mod when;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod pages_test;
#[cfg(test)]
mod payments_fixture;
#[cfg(test)]
mod payments_pages_test;
#[cfg(test)]
mod swarm_fixture;
#[cfg(test)]
mod swarm_pages_test;
