//! Rules for single source files: size, names, where tasks start, what a pure core may touch.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Problem;
use super::code::{Source, line_of, word_positions};

/// Lines of a file, without its tests.
const FILE_LINES: usize = 500;
/// Lines of a function.
const FUNCTION_LINES: usize = 70;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["util", "utils", "common", "helper", "helpers", "manager"];

/// Sans-io cores, by folder: no clock, no own randomness, no files, no sockets. The folders after the bar are their drivers, which may.
const CORES: [(&str, &[&str]); 10] = [
    ("model/src/", &[]),
    (
        "torrent/src/",
        &[
            "torrent/src/swarm",
            "torrent/src/leech/driver",
            "torrent/src/leech/fault",
            "torrent/src/leech/peer",
            "torrent/src/leech/shared",
        ],
    ),
    ("blocks/src/dag/", &[]),
    ("blocks/src/fetch/plan/", &[]),
    ("blocks/src/retain/", &[]),
    ("spv/src/proof/", &[]),
    (
        "spv/src/chain/",
        &[
            "spv/src/chain/copy",
            "spv/src/chain/file",
            "spv/src/chain/replay",
            "spv/src/chain/store",
        ],
    ),
    ("web/views/src/", &[]),
    ("database/src/", &["database/src/store"]),
    ("gossip/src/", &["gossip/src/driver", "gossip/src/net"]),
];

/// What a sans-io core may not name.
const IMPURE: [&str; 10] = [
    "Instant::now",
    "SystemTime::now",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "tokio",
    "thread_rng",
    "rand::rng",
    "getrandom",
];

/// Cores that must do the same in every process: no collection with a random order.
const DETERMINISTIC: [&str; 3] = ["model/src/", "database/src/", "gossip/src/"];

/// Collections with a random order.
const UNORDERED: [&str; 2] = ["HashMap", "HashSet"];

/// What starts a task that nobody waits for.
const SPAWNS: [&str; 3] = ["tokio::spawn", "task::spawn", "thread::spawn"];

/// Who may: the node starts the top-level tasks; measurements and tests are their own programs.
const SPAWNERS: [&str; 4] = ["src/node.rs", "benches/", "tests/", "xtask/"];

/// Crates whose types the gateway doesn't know.
const FOREIGN_TO_GATEWAY: [&str; 6] = [
    "iroh",
    "iroh_blobs",
    "iroh_gossip",
    "librqbit",
    "bitcoin",
    "nakamoto",
];

/// Applies all rules to all files; paths are relative to the root.
pub fn check_all(files: &[(PathBuf, String)]) -> Vec<Problem> {
    let parsed: Vec<(&Path, Source)> = files
        .iter()
        .map(|(file, text)| (file.as_path(), Source::parse(text)))
        .collect();
    let tests: BTreeSet<PathBuf> = parsed
        .iter()
        .flat_map(|(file, source)| {
            let folder = module_folder(file);
            source
                .test_modules()
                .iter()
                .map(move |name| folder.join(name))
        })
        .collect();
    parsed
        .iter()
        .flat_map(|(file, source)| {
            let in_tests = file
                .ancestors()
                .any(|part| tests.contains(&part.with_extension("")));
            check(file, source, in_tests || is_test(file))
        })
        .collect()
}

/// Where the modules that a file declares lie.
fn module_folder(file: &Path) -> PathBuf {
    let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
    match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "main" | "mod") | None => folder,
        Some(stem) => folder.join(stem),
    }
}

fn check(file: &Path, source: &Source, in_tests: bool) -> Vec<Problem> {
    let path = file.to_string_lossy().into_owned();
    let mut problems = Vec::new();
    let mut say = |line: usize, message: String| problems.push(Problem::new(file, line, message));
    names(file, &mut say);
    unfinished(source, &mut say);
    if in_tests {
        return problems;
    }
    sizes(source, &mut say);
    if !SPAWNERS.iter().any(|start| path.starts_with(start)) {
        forbid(source, &SPAWNS, &mut say, |what| {
            format!(
                "{what}: only src/node.rs starts top-level tasks; use a JoinSet or give the future to the caller"
            )
        });
    }
    if path.starts_with("gateway/") || path.starts_with("web/views/") {
        forbid(source, &FOREIGN_TO_GATEWAY, &mut say, |what| {
            format!("the gateway names no type of {what}")
        });
    }
    let pure = CORES.iter().any(|(folder, drivers)| {
        path.starts_with(folder) && !drivers.iter().any(|driver| path.starts_with(driver))
    });
    if pure {
        forbid(source, &IMPURE, &mut say, |what| {
            format!("{what} in a sans-io core: pass time, randomness and bytes in")
        });
        if DETERMINISTIC.iter().any(|folder| path.starts_with(folder)) {
            forbid(source, &UNORDERED, &mut say, |what| {
                format!("{what} has another order in every process: use BTreeMap or BTreeSet")
            });
        }
    }
    problems
}

fn is_test(file: &Path) -> bool {
    let path = file.to_string_lossy();
    path.starts_with("tests/")
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
}

fn names(file: &Path, say: &mut impl FnMut(usize, String)) {
    for part in file.iter().filter_map(|part| part.to_str()) {
        let stem = part.strip_suffix(".rs").unwrap_or(part);
        if EMPTY_NAMES.contains(&stem) {
            say(
                0,
                format!("`{stem}` says nothing: name the file after the one noun it holds"),
            );
        }
    }
}

fn unfinished(source: &Source, say: &mut impl FnMut(usize, String)) {
    for marker in ["TODO", "FIXME", "XXX", "HACK"] {
        for at in word_positions(source.comments(), marker) {
            say(
                line_of(source.comments(), at),
                format!("{marker}: finish it or leave it out"),
            );
        }
    }
    forbid(source, &["todo!", "unimplemented!"], say, |what| {
        format!("{what}: finish it or leave it out")
    });
}

fn sizes(source: &Source, say: &mut impl FnMut(usize, String)) {
    let lines = source.lines_without_tests();
    if lines > FILE_LINES {
        say(
            0,
            format!("{lines} lines without tests, at most {FILE_LINES}: one file, one noun"),
        );
    }
    for (name, line, lines) in source.functions() {
        if lines > FUNCTION_LINES {
            say(
                line,
                format!("function {name} has {lines} lines, at most {FUNCTION_LINES}"),
            );
        }
    }
}

fn forbid(
    source: &Source,
    words: &[&str],
    say: &mut impl FnMut(usize, String),
    message: impl Fn(&str) -> String,
) {
    for word in words {
        for at in word_positions(source.code(), word) {
            say(line_of(source.code(), at), message(word));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> Vec<Problem> {
        check_all(&[(PathBuf::from(path), text.to_owned())])
    }

    fn only(path: &str, text: &str, line: usize, part: &str) {
        let found = problems(path, text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].line, line);
        assert!(found[0].message.contains(part), "{found:?}");
    }

    #[test]
    fn a_long_file_is_refused_but_not_for_its_tests() {
        let long = "const A: u8 = 1;\n".repeat(501);
        only("src/a.rs", &long, 0, "501 lines");
        let mut tested = "const A: u8 = 1;\n".repeat(500);
        tested.push_str("#[cfg(test)]\nmod tests {\n");
        tested.push_str(&"const B: u8 = 1;\n".repeat(100));
        tested.push_str("}\n");
        assert_eq!(problems("src/a.rs", &tested), []);
        assert_eq!(problems("tests/a.rs", &long), []);
    }

    #[test]
    fn a_file_that_only_tests_compile_is_a_test() {
        let long = "const A: u8 = 1;\n".repeat(501);
        let with = |declaration: &str| {
            check_all(&[
                (PathBuf::from("src/lib.rs"), declaration.to_owned()),
                (PathBuf::from("src/table.rs"), long.clone()),
                (PathBuf::from("src/table/rows.rs"), long.clone()),
            ])
        };
        assert_eq!(with("#[cfg(test)]\nmod table;"), []);
        assert_eq!(with("mod table;").len(), 2);
    }

    #[test]
    fn a_long_function_is_refused() {
        let long = format!("\nfn f() {{\n{}}}\n", "    g();\n".repeat(69));
        only("src/a.rs", &long, 2, "71 lines");
        let fits = format!("fn f() {{\n{}}}\n", "    g();\n".repeat(68));
        assert_eq!(problems("src/a.rs", &fits), []);
    }

    #[test]
    fn empty_names_are_refused() {
        for path in [
            "src/utils.rs",
            "src/common/mod.rs",
            "gossip/src/manager.rs",
            "tests/helpers.rs",
        ] {
            only(path, "", 0, "says nothing");
        }
    }

    #[test]
    fn unfinished_work_is_refused() {
        only("src/a.rs", "fn f() {}\n// TODO: more\n", 2, "TODO");
        only("tests/a.rs", "// FIXME\n", 1, "FIXME");
        only("src/a.rs", "fn f() { todo!() }\n", 1, "todo!");
        assert_eq!(problems("src/a.rs", "const A: &str = \"TODO\";\n"), []);
    }

    #[test]
    fn tasks_start_in_the_node() {
        let text = "fn f() { tokio::spawn(x); }\n";
        only("src/flow/publish.rs", text, 1, "tokio::spawn");
        only(
            "gossip/src/driver.rs",
            "fn f() { task::spawn(x); }",
            1,
            "task::spawn",
        );
        assert_eq!(problems("src/node.rs", text), []);
        assert_eq!(
            problems(
                "src/a.rs",
                "fn f() { task::spawn_blocking(x); set.spawn(y); }"
            ),
            []
        );
        assert_eq!(
            problems(
                "src/a.rs",
                "#[cfg(test)]\nmod tests { fn f() { tokio::spawn(x); } }"
            ),
            []
        );
    }

    #[test]
    fn cores_are_pure() {
        only(
            "database/src/row.rs",
            "use std::collections::HashMap;",
            1,
            "HashMap",
        );
        only(
            "gossip/src/thread.rs",
            "fn f() { Instant::now(); }",
            1,
            "Instant::now",
        );
        only(
            "model/src/id.rs",
            "fn f() { std::time::SystemTime::now(); }",
            1,
            "SystemTime::now",
        );
        only(
            "model/src/id.rs",
            "fn f() { std::fs::read(x); }",
            1,
            "std::fs",
        );
        assert_eq!(
            problems("web/views/src/a.rs", "use std::collections::HashMap;"),
            []
        );
        assert_eq!(
            problems("gossip/src/driver/mod.rs", "fn f() { Instant::now(); }"),
            []
        );
        assert_eq!(
            problems("blocks/src/store.rs", "use std::collections::HashMap;"),
            []
        );
    }

    #[test]
    fn the_gateway_names_no_iroh_type() {
        only(
            "gateway/src/a.rs",
            "fn f(x: iroh::EndpointId) {}",
            1,
            "iroh",
        );
        assert_eq!(problems("gateway/src/a.rs", "// iroh::EndpointId\n"), []);
    }
}
