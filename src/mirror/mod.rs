//! What this node keeps for others: rules, their evaluation, and how it stands by its promises.

pub mod rules;
