//! What every Rust file looks like: it says what it is for, it is short, and it is finished.

use super::paths::paths;
use super::repository::{SourceFile, assert_none, sources};

/// The most lines a file may have, its test modules not counted.
const MAX_LINES: usize = 500;

/// Files that may be longer, each with its reason.
const LONG: &[(&str, &str)] = &[];

/// Words that put work off, looked for in comments.
const LATER: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];

/// Macros that put work off.
const UNFINISHED: &[&str] = &["todo!", "unimplemented!"];

fn without_purpose(file: &SourceFile) -> Option<String> {
    let first = file.text.lines().next().unwrap_or_default();
    let says = first.strip_prefix("//!").is_some_and(|rest| !rest.trim().is_empty());
    (!says).then(|| format!("{}: the first line is no `//! …` that says what the file is for", file.path))
}

fn too_long(file: &SourceFile) -> Option<String> {
    let n_lines = file.text.lines().count() - file.n_test_lines;
    let is_free = file.is_test() || LONG.iter().any(|(path, _)| *path == file.path);
    (n_lines > MAX_LINES && !is_free)
        .then(|| format!("{}: {n_lines} lines without its test modules, at most {MAX_LINES} are allowed", file.path))
}

fn unfinished(file: &SourceFile) -> Vec<String> {
    let mut found = Vec::new();
    for (line, comment) in &file.comments {
        let words = comment.split(|c: char| !c.is_alphanumeric() && c != '_');
        found.extend(
            words
                .filter(|word| LATER.contains(word))
                .map(|word| format!("{}:{line}: `{word}` in a comment", file.path)),
        );
    }
    for path in paths(&file.tokens) {
        if path.segments.last().is_some_and(|last| UNFINISHED.contains(&last.as_str())) {
            found.push(format!("{}:{}: `{}`", file.path, path.line, path.text()));
        }
    }
    found
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let faults: Vec<_> = sources().iter().filter_map(without_purpose).collect();
    assert_none("a reader should know from the first line whether this is the file to read:", &faults);
}

#[test]
fn no_file_is_longer_than_five_hundred_lines() {
    let faults: Vec<_> = sources().iter().filter_map(too_long).collect();
    assert_none("one idea per file:", &faults);
}

#[test]
fn nothing_is_left_for_later() {
    let faults: Vec<_> = sources().iter().flat_map(unfinished).collect();
    assert_none("work that is not done is not in the code:", &faults);
}

mod shown_to_fail {
    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile::new("planner/src/place/pack.rs", text)
    }

    #[test]
    fn a_file_that_does_not_say_its_purpose_is_caught() {
        assert!(without_purpose(&file("use std::fmt;\n//! Too late.\n")).is_some());
        assert!(without_purpose(&file("//!\nfn f() {}\n")).is_some());
        assert!(without_purpose(&file("")).is_some());
        assert!(without_purpose(&file("//! Packs.\n")).is_none());
    }

    #[test]
    fn a_long_file_is_caught_but_its_tests_do_not_count() {
        let lines = |n: usize| "fn f() {}\n".repeat(n);
        assert!(too_long(&file(&lines(501))).is_some());
        assert!(too_long(&file(&lines(500))).is_none());
        let with_tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", lines(490), lines(100));
        assert!(too_long(&file(&with_tests)).is_none());
        assert!(too_long(&SourceFile::new("planner/tests/plan.rs", &lines(501))).is_none());
    }

    #[test]
    fn work_put_off_is_caught() {
        assert_eq!(unfinished(&file("// TODO: later\n/* FIXME */ fn f() { todo!() }")).len(), 3);
        assert_eq!(unfinished(&file("fn f() { std::unimplemented!(\"x\") }")).len(), 1);
        assert_eq!(unfinished(&file("const TODO: &str = \"TODO\"; // a todo list\n")).len(), 0);
    }
}
