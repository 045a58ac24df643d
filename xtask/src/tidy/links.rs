//! Documents: links that lead nowhere, and pages that must be there.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::Problem;

/// Pages that a newcomer looks for.
const REQUIRED: [&str; 8] = [
    "README.md",
    "CHANGELOG.md",
    "docs/ARCHITECTURE.md",
    "docs/GLOSSARY.md",
    "docs/operating.md",
    "docs/protocol/entry.md",
    "docs/protocol/sync.md",
    "LICENSE-MIT",
];

/// Says which pages are missing.
pub fn required(files: &[PathBuf]) -> Vec<Problem> {
    REQUIRED
        .iter()
        .filter(|page| !files.iter().any(|file| file == Path::new(page)))
        .map(|page| Problem::new(page, 0, "this page must be there"))
        .collect()
}

/// Checks every relative link of every document, with its anchor where it has one.
pub fn check(documents: &[(PathBuf, String)], exists: &dyn Fn(&Path) -> bool) -> Vec<Problem> {
    let anchors: BTreeMap<&Path, Vec<String>> = documents
        .iter()
        .map(|(path, text)| (path.as_path(), headings(text)))
        .collect();
    let mut problems = Vec::new();
    for (path, text) in documents {
        for (line, target) in links(text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let resolved = if file.is_empty() {
                path.clone()
            } else {
                normal(&path.parent().unwrap_or(Path::new("")).join(file))
            };
            if !file.is_empty() && !exists(&resolved) {
                problems.push(Problem::new(path, line, format!("dead link: {target}")));
            } else if !anchor.is_empty()
                && let Some(known) = anchors.get(resolved.as_path())
                && !known.iter().any(|heading| heading == anchor)
            {
                problems.push(Problem::new(
                    path,
                    line,
                    format!("no such heading: {target}"),
                ));
            }
        }
    }
    problems
}

/// Resolves `.` and `..` by name.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

/// Lines outside fenced code, with numbers from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        (!fenced).then_some((index + 1, line))
    })
}

/// Targets of `[text](target)` and `![text](target)`, outside code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        // every second piece between backticks is code
        let plain: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
        let mut rest = plain.as_str();
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let Some(end) = rest.find(')') else { break };
            let target = rest[..end].split(' ').next().unwrap_or_default();
            found.push((number, target.to_owned()));
            rest = &rest[end..];
        }
    }
    found
}

/// Anchors of the headings, as code hosts make them.
fn headings(text: &str) -> Vec<String> {
    prose(text)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(text: &str) -> Vec<String> {
        let documents = [
            (PathBuf::from("docs/a.md"), text.to_owned()),
            (PathBuf::from("docs/b.md"), "# One thing: done\n".to_owned()),
        ];
        check(&documents, &|path| {
            ["docs/a.md", "docs/b.md", "README.md"]
                .iter()
                .any(|known| path == Path::new(known))
        })
        .into_iter()
        .map(|problem| problem.message)
        .collect()
    }

    #[test]
    fn dead_links_are_found() {
        assert_eq!(
            dead("see [this](c.md) and [that](../README.md)"),
            ["dead link: c.md"]
        );
        assert_eq!(
            dead("![picture](../images/none.png)"),
            ["dead link: ../images/none.png"]
        );
        assert_eq!(
            dead("[x](https://example.org/none.md), `[y](z.md)`\n```\n[q](r.md)\n```\n"),
            [""; 0]
        );
    }

    #[test]
    fn dead_anchors_are_found() {
        assert_eq!(
            dead("[x](b.md#one-thing-done) [y](b.md#two)"),
            ["no such heading: b.md#two"]
        );
        assert_eq!(
            dead("# Here\n[x](#here) [y](#there)"),
            ["no such heading: #there"]
        );
    }

    #[test]
    fn missing_pages_are_named() {
        let found = required(&[PathBuf::from("README.md")]);
        assert_eq!(found.len(), REQUIRED.len() - 1);
        assert_eq!(found[0].file, Path::new("CHANGELOG.md"));
    }
}
