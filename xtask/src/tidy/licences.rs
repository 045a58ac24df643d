//! Licences and sources of everything that is compiled in, judged by `deny.toml`.

use anyhow::{Context, Result};
use cargo_metadata::Metadata;
use serde::Deserialize;

use super::Problem;

/// The part of `deny.toml` that is applied here.
#[derive(Debug, Deserialize)]
pub struct Policy {
    licenses: Licences,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
    #[serde(default)]
    allow_git: Vec<String>,
}

impl Policy {
    /// Reads `deny.toml`.
    ///
    /// # Errors
    /// When it isn't TOML or lacks the licence or source rules.
    pub fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("deny.toml")
    }

    fn licence_allowed(&self, package: &str, licence: &str) -> bool {
        let excepted = self
            .licenses
            .exceptions
            .iter()
            .filter(|exception| exception.name == package)
            .flat_map(|exception| &exception.allow);
        self.licenses
            .allow
            .iter()
            .chain(excepted)
            .any(|allowed| allowed == licence)
    }

    fn source_allowed(&self, source: &str) -> bool {
        if let Some(registry) = source.strip_prefix("registry+") {
            return self
                .sources
                .allow_registry
                .iter()
                .any(|allowed| allowed == registry);
        }
        source.strip_prefix("git+").is_some_and(|url| {
            self.sources
                .allow_git
                .iter()
                .any(|allowed| url.starts_with(allowed))
        })
    }
}

/// A package that gets compiled in.
#[derive(Debug, Clone)]
pub struct Foreign {
    /// Name.
    pub name: String,
    /// Licence expression (SPDX).
    pub licence: Option<String>,
    /// Where it comes from; none for this workspace.
    pub source: Option<String>,
}

/// Every package of the dependency graph.
pub fn from_metadata(metadata: &Metadata) -> Vec<Foreign> {
    metadata
        .packages
        .iter()
        .map(|package| Foreign {
            name: package.name.to_string(),
            licence: package.license.clone(),
            source: package.source.as_ref().map(ToString::to_string),
        })
        .collect()
}

/// Applies the policy.
pub fn check(policy: &Policy, packages: &[Foreign]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for package in packages {
        let mut say = |message| problems.push(Problem::new("deny.toml", 0, message));
        match &package.licence {
            None => say(format!("{} names no licence", package.name)),
            Some(expression) => {
                let allowed = |licence: &str| policy.licence_allowed(&package.name, licence);
                if !satisfied(expression, &allowed) {
                    say(format!(
                        "{} is under {expression}, which isn't allowed",
                        package.name
                    ));
                }
            }
        }
        if let Some(source) = &package.source
            && !policy.source_allowed(source)
        {
            say(format!(
                "{} comes from {source}, which isn't allowed",
                package.name
            ));
        }
    }
    problems
}

/// Whether an SPDX expression (or the older `A/B`) can be met with allowed licences.
fn satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    any_of(&tokens, &mut at, allowed).unwrap_or(false) && at == tokens.len()
}

fn any_of(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut result = all_of(tokens, at, allowed)?;
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        result |= all_of(tokens, at, allowed)?;
    }
    Some(result)
}

fn all_of(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut result = one(tokens, at, allowed)?;
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        result &= one(tokens, at, allowed)?;
    }
    Some(result)
}

fn one(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let token = *tokens.get(*at)?;
    *at += 1;
    if token == "(" {
        let result = any_of(tokens, at, allowed)?;
        let closed = tokens.get(*at) == Some(&")");
        *at += 1;
        return closed.then_some(result);
    }
    if tokens.get(*at) == Some(&"WITH") {
        let exception = tokens.get(*at + 1)?;
        *at += 2;
        return Some(allowed(&format!("{token} WITH {exception}")));
    }
    Some(allowed(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
        [licenses]
        allow = ["MIT", "Apache-2.0 WITH LLVM-exception", "ISC"]
        exceptions = [{ crate = "css", allow = ["MPL-2.0"] }]
        [sources]
        allow-registry = ["https://registry.example"]
    "#;

    fn judged(name: &str, licence: Option<&str>, source: &str) -> Vec<String> {
        let package = Foreign {
            name: name.to_owned(),
            licence: licence.map(str::to_owned),
            source: Some(source.to_owned()),
        };
        let policy = Policy::parse(POLICY).unwrap();
        check(&policy, &[package])
            .into_iter()
            .map(|problem| problem.message)
            .collect()
    }

    #[test]
    fn expressions_are_understood() {
        let registry = "registry+https://registry.example";
        for good in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/Apache-2.0",
            "(GPL-3.0 OR MIT) AND ISC",
            "GPL-3.0 OR Apache-2.0 WITH LLVM-exception",
        ] {
            assert_eq!(judged("a", Some(good), registry), [""; 0], "{good}");
        }
        for bad in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "Apache-2.0",
            "(MIT",
            "MIT OR",
            "",
            "MPL-2.0",
        ] {
            assert_eq!(judged("a", Some(bad), registry).len(), 1, "{bad}");
        }
    }

    #[test]
    fn exceptions_are_for_one_crate() {
        let registry = "registry+https://registry.example";
        assert_eq!(judged("css", Some("MPL-2.0"), registry), [""; 0]);
        assert_eq!(judged("other", Some("MPL-2.0"), registry).len(), 1);
    }

    #[test]
    fn a_package_without_licence_or_from_elsewhere_is_refused() {
        assert_eq!(
            judged("a", None, "registry+https://registry.example"),
            ["a names no licence"]
        );
        assert_eq!(
            judged("a", Some("MIT"), "git+https://code.example/a"),
            ["a comes from git+https://code.example/a, which isn't allowed"]
        );
    }
}
