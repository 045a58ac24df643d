//! The chain against real headers, a naive model of it, and crashes.

mod branches;
mod copies;
mod files;
mod forge;
mod model;
mod real;
mod rules;
mod simulation;
