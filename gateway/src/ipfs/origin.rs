//! On which origin an IPFS root is shown: with the pages, or on one of its own.
//!
//! Subdomain gateway specification. `{cid}.ipfs.{parent}` is an origin by itself: what a root
//! contains may run there, and there are no pages, no API and no cookies.

use cid::{
    Cid, Version,
    multibase::{Base, encode},
};

use super::address::{parse_cid, way};
use crate::failure::Failure;

/// Longest label of a host name (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// Where an answer will live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Below `/ipfs/`, beside pages and other roots.
    Shared,
    /// On the root's own origin.
    Own {
        /// `host[:port]` of the gateway that the origin belongs to.
        parent: String,
    },
}

impl Origin {
    /// What links to names below the root begin with.
    pub fn root(&self, root_text: &str) -> String {
        match self {
            Self::Shared => format!("/ipfs/{root_text}"),
            Self::Own { .. } => String::new(),
        }
    }

    /// What links to other roots, and the crumbs above a listing, begin with.
    pub fn namespace(&self) -> String {
        match self {
            Self::Shared => "/ipfs/".to_owned(),
            Self::Own { parent } => format!("//{parent}/ipfs/"),
        }
    }

    /// Path to these names below the root.
    pub fn path(&self, root_text: &str, segments: &[String]) -> String {
        format!("{}{}", self.root(root_text), way(segments))
    }
}

/// Splits `{label}.ipfs.{parent}`; `host` is in lower case.
pub fn split_host<'a>(host: &'a str, parent: &str) -> Option<&'a str> {
    let label = host.strip_suffix(parent)?.strip_suffix(".ipfs.")?;
    (!label.is_empty() && !label.contains('.')).then_some(label)
}

/// The one label of a root: CIDv1 in base 32, else base 36 where that is too long.
///
/// # Errors
/// When neither fits into a host name.
pub fn label_of(root: &Cid) -> Result<String, Failure> {
    let root = match root.version() {
        Version::V0 => Cid::new_v1(root.codec(), *root.hash()),
        Version::V1 => *root,
    };
    let label = root.to_string();
    if label.len() <= MAX_LABEL {
        return Ok(label);
    }
    let label = encode(Base::Base36Lower, root.to_bytes());
    if label.len() <= MAX_LABEL {
        return Ok(label);
    }
    Err(too_long(&root.to_string()))
}

/// The root of a label.
///
/// # Errors
/// When it is no CID, or too long for any host name.
pub fn root_of(label: &str) -> Result<Cid, Failure> {
    if label.len() > MAX_LABEL {
        return Err(too_long(label));
    }
    parse_cid(label).map_err(|why| {
        let shown: String = label.chars().take(MAX_LABEL).collect();
        Failure::invalid(format!("`{shown}` in the host name is no CID: {why}"))
    })
}

fn too_long(cid: &str) -> Failure {
    let shown: String = cid.chars().take(200).collect();
    Failure::invalid(format!(
        "CID incompatible with DNS label length limit of {MAX_LABEL}: {shown}; ask for it below \
         /ipfs/ on a host without subdomains"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_one_label_before_the_parent_is_a_root() {
        let table = [
            ("bafy.ipfs.localhost:8420", Some("bafy")),
            ("localhost:8420", None),
            (".ipfs.localhost:8420", None),
            ("a.b.ipfs.localhost:8420", None),
            ("bafy.ipfs.evil.localhost:8420", None),
            ("bafy.ipfs.localhost:8421", None),
            ("bafy.ipfslocalhost:8420", None),
            ("bafy.ipns.localhost:8420", None),
        ];
        for (host, expected) in table {
            assert_eq!(split_host(host, "localhost:8420"), expected, "{host}");
        }
    }

    #[test]
    fn a_root_has_one_label_in_the_shortest_base_that_fits() {
        let v0 = Cid::try_from("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKU9oD").unwrap();
        let label = label_of(&v0).unwrap();
        assert_eq!(
            root_of(&label).unwrap(),
            Cid::new_v1(v0.codec(), *v0.hash())
        );
        assert!(label.starts_with("bafybei"), "{label}");
        // An Ed25519 key as an identity hash: 65 characters in base 32, 62 in base 36.
        let key = [vec![1, 0x72, 0, 36, 8, 1, 18, 32], vec![7; 32]].concat();
        let key = Cid::try_from(key.as_slice()).unwrap();
        let label = label_of(&key).unwrap();
        assert!(label.starts_with("k51q") && label.len() == 62, "{label}");
        assert_eq!(root_of(&label).unwrap(), key);
        let long = [vec![1, 0x55, 0x13, 64], vec![7; 64]].concat();
        let long = Cid::try_from(long.as_slice()).unwrap();
        for refused in [
            label_of(&long).unwrap_err(),
            root_of(&long.to_string()).unwrap_err(),
        ] {
            assert_eq!(refused.status(), 400);
            assert!(refused.message.contains("DNS label length limit of 63"));
        }
        assert_eq!(root_of("nonsense").unwrap_err().status(), 400);
    }
}
