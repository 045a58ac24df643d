//! Codecs and builders against what Kubo makes, and against everything that is wrong.

mod parity;
