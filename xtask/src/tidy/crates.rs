//! Who may know whom: the direction of imports between the crates, from `cargo metadata`.

use cargo_metadata::{DependencyKind, Metadata};

use super::Problem;

/// A crate of the workspace and what it asks for.
#[derive(Debug, Clone)]
pub struct Crate {
    /// Package name.
    pub name: String,
    /// Its direct dependencies.
    pub needs: Vec<Need>,
}

/// A direct dependency.
#[derive(Debug, Clone)]
pub struct Need {
    /// Package name.
    pub name: String,
    /// Version requirement as written.
    pub version: String,
    /// Only for tests.
    pub dev: bool,
}

/// What each crate may import from this workspace. What isn't listed may import nothing.
const EDGES: [(&str, &[&str]); 12] = [
    ("datt-model", &[]),
    ("datt-views", &[]),
    ("datt-database", &["datt-model"]),
    ("datt-blocks", &["datt-model"]),
    ("datt-gossip", &["datt-model"]),
    ("datt-torrent", &[]),
    ("datt-spv", &["datt-model"]),
    ("datt-gateway", &["datt-model", "datt-views"]),
    ("datt-sim", &["datt-model", "datt-database", "datt-gossip"]),
    (
        "datt",
        &[
            "datt-model",
            "datt-database",
            "datt-blocks",
            "datt-gossip",
            "datt-torrent",
            "datt-spv",
            "datt-gateway",
            "datt-views",
        ],
    ),
    // measures the crates one by one, so it may see them all
    (
        "datt-benches",
        &[
            "datt",
            "datt-model",
            "datt-database",
            "datt-blocks",
            "datt-gossip",
            "datt-torrent",
            "datt-spv",
            "datt-gateway",
            "datt-views",
        ],
    ),
    // only its miner and its peers, for the chain that nodes are tried on
    ("xtask", &["datt-spv"]),
];

/// What a crate must never depend on, by the beginning of the name.
const BANNED: [(&str, &[&str]); 3] = [
    (
        "datt-model",
        &[
            "tokio",
            "iroh",
            "redb",
            "sled",
            "axum",
            "hyper",
            "n0-",
            "rand",
            "getrandom",
            "tracing",
            "reqwest",
        ],
    ),
    (
        "datt-views",
        &["tokio", "iroh", "redb", "sled", "axum", "hyper", "n0-"],
    ),
    (
        "datt-gateway",
        &[
            "iroh", "librqbit", "bitcoin", "nakamoto", "n0-", "redb", "sled",
        ],
    ),
];

/// Crates that must agree on one version, so they are pinned.
const PINNED: &str = "iroh";

/// The workspace's crates.
pub fn from_metadata(metadata: &Metadata) -> Vec<Crate> {
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| Crate {
            name: package.name.to_string(),
            needs: package
                .dependencies
                .iter()
                .map(|dependency| Need {
                    name: dependency.name.clone(),
                    version: dependency.req.to_string(),
                    dev: dependency.kind == DependencyKind::Development,
                })
                .collect(),
        })
        .collect()
}

/// Applies the rules.
pub fn check(crates: &[Crate]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for one in crates {
        let mut say = |message: String| problems.push(Problem::new("Cargo.toml", 0, message));
        let allowed = EDGES
            .iter()
            .find(|(name, _)| *name == one.name)
            .map(|(_, allowed)| *allowed);
        if allowed.is_none() {
            say(format!(
                "{} has no place in the house: add it to EDGES in xtask/src/tidy/crates.rs",
                one.name
            ));
        }
        let banned = BANNED
            .iter()
            .find(|(name, _)| *name == one.name)
            .map_or(&[][..], |(_, banned)| *banned);
        for need in &one.needs {
            let sibling = crates.iter().any(|other| other.name == need.name);
            if sibling && !allowed.unwrap_or_default().contains(&need.name.as_str()) {
                say(format!(
                    "{} must not import its sibling {}",
                    one.name, need.name
                ));
            }
            if !need.dev && banned.iter().any(|start| need.name.starts_with(start)) {
                say(format!("{} must not depend on {}", one.name, need.name));
            }
            if need.name.starts_with(PINNED) && !need.version.starts_with('=') {
                say(format!(
                    "{} asks for {} {}: pin it with \"=\", the iroh crates must agree on one version",
                    one.name, need.name, need.version
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(name: &str, version: &str) -> Need {
        Need {
            name: name.to_owned(),
            version: version.to_owned(),
            dev: false,
        }
    }

    fn house(name: &str, needs: Vec<Need>) -> Vec<Crate> {
        let empty = |name: &str| Crate {
            name: name.to_owned(),
            needs: Vec::new(),
        };
        let mut crates = vec![
            empty("datt-model"),
            empty("datt-database"),
            empty("datt-views"),
        ];
        crates.retain(|one| one.name != name);
        crates.push(Crate {
            name: name.to_owned(),
            needs,
        });
        crates
    }

    fn only(problems: &[Problem], part: &str) {
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.contains(part), "{problems:?}");
    }

    #[test]
    fn a_sibling_is_refused() {
        only(
            &check(&house(
                "datt-blocks",
                vec![need("datt-database", "^0.1"), need("datt-model", "^0.1")],
            )),
            "must not import its sibling datt-database",
        );
    }

    #[test]
    fn a_crate_without_a_place_is_refused() {
        only(&check(&house("datt-extra", vec![])), "no place");
    }

    #[test]
    fn the_model_does_no_io() {
        only(
            &check(&house("datt-model", vec![need("tokio", "^1")])),
            "must not depend on tokio",
        );
    }

    #[test]
    fn the_gateway_knows_no_iroh() {
        only(
            &check(&house("datt-gateway", vec![need("iroh-blobs", "=0.104.0")])),
            "must not depend on iroh-blobs",
        );
    }

    #[test]
    fn iroh_is_pinned() {
        only(
            &check(&house("datt-blocks", vec![need("iroh", "^1.4.1")])),
            "pin it",
        );
        assert_eq!(
            check(&house("datt-blocks", vec![need("iroh", "=1.4.1")])),
            []
        );
    }
}
