//! The datt node.
