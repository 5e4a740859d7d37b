//! The arrows of the house: which module may know which.

mod support;

use std::path::{Path, PathBuf};

use support::repository;

/// Each module, and the modules of this crate that it may name. Everything else is wiring, and may
/// name anybody.
const ARROWS: [(&str, &[&str]); 5] = [
    ("domain", &[]),
    ("store", &["domain"]),
    ("manage", &["domain", "store", "clock"]),
    ("authorize", &["domain", "store", "clock"]),
    ("grpc", &["domain", "store", "clock", "manage", "authorize", "proto"]),
];

/// Crates that only some modules may name.
const CRATES: [(&str, &[&str]); 5] = [
    ("sea_orm", &["store"]),
    ("sea_orm_migration", &["store"]),
    ("tonic", &["grpc", "server", "cli", "proto.rs"]),
    ("prost", &["grpc"]),
    ("prost_types", &["grpc"]),
];

/// Crates that the pure part must not name: they do I/O, wait, or tell the time.
const IMPURE: [&str; 4] = ["tokio", "tokio_stream", "tracing", "getrandom"];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What stands before `::` after this prefix, wherever it stands: in `use` lines and in full
/// paths alike.
fn roots<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(prefix).filter_map(move |(at, _)| {
        let rest = &line[at + prefix.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        (end > 0).then(|| &rest[..end])
    })
}

fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(&format!("{name}::")).any(|(at, _)| {
        // The whole word, and not the end of a longer path.
        !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

/// The lines of a file that are compiled into the program: no comments, no unit tests.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().take_while(|line| line.trim() != "mod tests {");
    lines.enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Every arrow that runs the wrong way, as `file:line: what`.
fn wrong_arrows(files: &[(String, String)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in files {
        let module = path.split('/').next().unwrap();
        for (index, line) in code(text) {
            let mut complain = |what: String| wrong.push(format!("{path}:{}: {what}", index + 1));
            if let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) {
                if line.contains("crate::{") {
                    complain("name each import of this crate by itself, so that it is seen".into());
                }
                for root in roots(line, "crate::") {
                    if root != module && !allowed.contains(&root) {
                        complain(format!("{module} must not know {root}"));
                    }
                }
            }
            for (name, allowed) in CRATES {
                if names_crate(line, name) && !allowed.contains(&module) {
                    complain(format!("{module} must not know {name}"));
                }
            }
            for name in IMPURE {
                if module == "domain" && names_crate(line, name) {
                    complain(format!("domain must not know {name}"));
                }
            }
        }
    }
    wrong
}

#[test]
fn no_arrow_runs_the_wrong_way() {
    let root = repository("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let files: Vec<(String, String)> = paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), text)
        })
        .collect();
    for (module, _) in ARROWS {
        assert!(files.iter().any(|(path, _)| path.starts_with(&format!("{module}/"))), "{module}");
    }
    assert_eq!(wrong_arrows(&files), [""; 0]);
}

#[test]
fn a_wrong_arrow_is_seen() {
    for (path, line) in [
        ("domain/key.rs", "use crate::store::Store;"),
        ("domain/key.rs", "    let now = tokio::time::Instant::now();"),
        ("store/keys.rs", "use crate::{domain, manage::Keys};"),
        ("store/keys.rs", "fn f(key: crate::proto::Key) {}"),
        ("grpc/keys.rs", "use sea_orm::DbErr;"),
        ("manage/keys/create.rs", "use tonic::Status;"),
        ("authorize/engine.rs", "use crate::manage;"),
    ] {
        let files = [(path.to_owned(), line.to_owned())];
        assert_ne!(wrong_arrows(&files), [""; 0], "{path}: {line}");
    }
}
