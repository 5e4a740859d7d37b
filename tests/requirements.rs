//! The table of requirements is whole, and the tests that it names exist.

mod support;

use std::fs;
use std::path::Path;

use support::repository;

fn read_all(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, text);
        } else {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_requirement_names_tests_that_exist() {
    let table = fs::read_to_string(repository("docs/requirements.md")).unwrap();
    let mut code = String::new();
    read_all(&repository("tests"), &mut code);
    read_all(&repository("src"), &mut code);
    for (letter, count) in [('B', 14), ('C', 8), ('K', 6), ('P', 6)] {
        for number in 1..=count {
            let row =
                table.lines().find(|line| line.starts_with(&format!("| **{letter}{number}** |")));
            let row = row.unwrap_or_else(|| panic!("no row for {letter}{number}"));
            let shown = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
            let mut tests = shown.split('`').skip(1).step_by(2).peekable();
            assert!(tests.peek().is_some(), "{row}");
            let number_in = |test: &str| {
                test.split('_').any(|part| part.eq_ignore_ascii_case(&format!("{letter}{number}")))
            };
            for test in tests {
                // P2 is shown by what has no number yet: there is no cache.
                assert!(number_in(test) || letter == 'P', "{letter}{number}: {test}");
                assert!(code.contains(&format!("fn {test}(")), "{letter}{number}: {test}");
            }
        }
    }
}
