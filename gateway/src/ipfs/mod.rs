//! The IPFS side of HTTP: path, trustless and subdomain gateway, and delegated routing.

pub mod types;
