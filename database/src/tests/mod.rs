//! The gate from outside: histories in any order, forks, budgets, views.
#![allow(clippy::unwrap_used)]

mod bad_entries;
mod budgets;
mod crash;
mod flow;
mod forum;
mod orders;
mod world;
