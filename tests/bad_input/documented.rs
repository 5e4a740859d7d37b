//! The reasons of errors are those of the documentation.

use std::collections::BTreeSet;
use std::fs;

use super::support::repository;

/// Every `"UPPER_SNAKE"` between these quotes.
fn reasons(text: &str, quote: char) -> BTreeSet<String> {
    let is_reason = |word: &&str| {
        word.len() > 4
            && word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    };
    text.split(quote).filter(is_reason).map(str::to_owned).collect()
}

#[test]
fn every_reason_is_in_the_documentation_and_no_other() {
    let code = fs::read_to_string(repository("src/grpc/status.rs")).unwrap();
    let table = fs::read_to_string(repository("docs/errors.md")).unwrap();
    let first_cells: String =
        table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next()).collect();
    let documented = reasons(&first_cells, '`');
    let sent = reasons(&code, '"');
    assert!(sent.len() > 20, "{sent:?}");
    assert_eq!(documented, sent);
}
