//! Where headers and blocks come from.
