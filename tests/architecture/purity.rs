//! The planner and the solver are functions: their code names no clock, randomness, unordered map, log, thread or I/O,
//! and the planner counts in integers.

use super::lexer::Kind;
use super::paths::paths;
use super::repository::{SourceFile, assert_none, sources};

const PURE_ROOMS: &[&str] = &["planner", "solver"];

/// What a path may not begin with.
const BEGINNINGS: &[(&str, &str)] = &[
    ("std::time", "a clock; the snapshot's `taken_at` is the only time there is"),
    ("core::time", "a clock; the snapshot's `taken_at` is the only time there is"),
    ("std::env", "the process's environment"),
    ("std::fs", "files"),
    ("std::io", "input and output"),
    ("std::net", "a network"),
    ("std::process", "other processes"),
    ("std::thread", "threads"),
    ("std::sync::atomic", "shared mutable state"),
];

/// Crates that no path of two or more segments may begin with (a trailing `*` stands for any ending).
const CRATES: &[(&str, &str)] = &[
    ("jiff", "a clock"),
    ("chrono", "a clock"),
    ("rand*", "randomness"),
    ("fastrand", "randomness"),
    ("getrandom", "randomness"),
    ("hashbrown", "an unordered map"),
    ("log", "a log"),
    ("tracing*", "a log"),
    ("metrics", "metrics"),
    ("prometheus", "metrics"),
    ("tokio*", "an async runtime"),
    ("futures*", "an async runtime"),
    ("reqwest", "a network"),
    ("hyper*", "a network"),
    ("kube*", "Kubernetes client types"),
    ("k8s_openapi", "Kubernetes client types"),
    ("aws_*", "AWS types"),
];

/// Words that no path may hold, wherever they stand.
const WORDS: &[(&str, &str)] = &[
    ("Instant", "a clock"),
    ("SystemTime", "a clock"),
    ("UNIX_EPOCH", "a clock"),
    ("HashMap", "an unordered map; use BTreeMap, or a Vec by index"),
    ("HashSet", "an unordered set; use BTreeSet, or a bit set"),
    ("RandomState", "randomness"),
    ("DefaultHasher", "a hash whose value may change with the compiler"),
    ("thread_rng", "randomness"),
    ("Mutex", "shared mutable state"),
    ("RwLock", "shared mutable state"),
    ("thread_local!", "shared mutable state"),
    ("print!", "output"),
    ("println!", "output"),
    ("eprint!", "output"),
    ("eprintln!", "output"),
    ("dbg!", "output"),
    ("async", "async code"),
    ("await", "async code"),
];

/// A file and the one path that it may name all the same.
struct Exception {
    file: &'static str,
    beginning: &'static str,
    /// Why the rule's purpose is kept.
    #[expect(dead_code, reason = "for the reader")]
    why: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        file: "solver/src/effort.rs",
        beginning: "std::sync::atomic",
        why: "the flag that ends work early is raised from outside; a solve that it does not end never depends on it",
    },
    Exception {
        file: "solver/src/parallel.rs",
        beginning: "std::thread",
        why: "work is cut the same way and its results are read in the same order, however many threads there are",
    },
];

/// Files of the planner that may count in floats, each with its reason. Money and resources are integers everywhere.
const FLOATS: &[(&str, &str)] = &[];

fn impure(file: &SourceFile) -> Vec<String> {
    if !PURE_ROOMS.iter().any(|room| file.in_room(room)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for path in paths(&file.tokens) {
        let beginning = BEGINNINGS.iter().find(|(start, _)| path.starts_with(start));
        let foreign = CRATES.iter().find(|(name, _)| path.segments.len() > 1 && matches(name, &path.segments[0]));
        let word = WORDS.iter().find(|(word, _)| path.segments.iter().any(|segment| segment == word));
        let is_excepted = EXCEPTIONS.iter().any(|e| e.file == file.path && path.starts_with(e.beginning));
        if let Some((_, what)) = beginning.or(foreign).or(word)
            && !is_excepted
        {
            found.push(format!("{}:{}: `{}` is {what}", file.path, path.line, path.text()));
        }
    }
    for pair in file.tokens.windows(2) {
        if pair[0].is_word("static") && pair[1].is_word("mut") {
            found.push(format!("{}:{}: `static mut` is shared mutable state", file.path, pair[0].line));
        }
    }
    found
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

fn floats(file: &SourceFile) -> Vec<String> {
    if !file.in_room("planner") || FLOATS.iter().any(|(path, _)| *path == file.path) {
        return Vec::new();
    }
    let is_float = |kind: &Kind| match kind {
        Kind::Float => true,
        Kind::Word(word) => word == "f64" || word == "f32",
        _ => false,
    };
    let found = file.tokens.iter().filter(|token| is_float(&token.kind));
    found.map(|token| format!("{}:{}: a float; FLOATS lists the files that may", file.path, token.line)).collect()
}

#[test]
fn planner_and_solver_name_nothing_impure() {
    let faults: Vec<_> = sources().iter().flat_map(impure).collect();
    assert_none("the same snapshot must give the same plan, so these have no place in a pure room:", &faults);
}

#[test]
fn the_planner_counts_in_integers() {
    let faults: Vec<_> = sources().iter().flat_map(floats).collect();
    assert_none("money and resources are integers in the planner:", &faults);
}

#[test]
fn every_file_that_may_count_in_floats_exists_and_does() {
    let sources = sources();
    let is_idle = |path: &str| {
        let file = sources.iter().find(|file| file.path == path);
        !file.is_some_and(|file| {
            file.tokens.iter().any(|t| t.kind == Kind::Float || t.is_word("f64") || t.is_word("f32"))
        })
    };
    let idle: Vec<_> = FLOATS.iter().filter(|(path, _)| is_idle(path)).map(|(path, _)| (*path).to_owned()).collect();
    assert_none("FLOATS lists files that are gone or hold no float:", &idle);
}

mod shown_to_fail {
    use super::*;

    fn faults_of(path: &str, code: &str) -> usize {
        impure(&SourceFile::new(path, code)).len()
    }

    #[test]
    fn each_forbidden_name_is_caught_in_both_rooms() {
        let bad = [
            "use std::time::Duration;",
            "use std::{fmt, time::{self, Instant}};",
            "fn f() { let _ = std::time::SystemTime::now(); }",
            "use std::collections::HashMap as Map;",
            "use std::collections::{BTreeMap, HashSet};",
            "fn f() { println!(\"x\"); }",
            "fn f() { log::info!(\"x\"); }",
            "use tracing::info;",
            "use tracing_subscriber::fmt;",
            "fn f() { dbg!(1); }",
            "async fn f() {}",
            "use tokio::time;",
            "use kube::Api;",
            "use k8s_openapi::api::core::v1::Pod;",
            "use aws_sdk_ec2::Client;",
            "use rand::Rng;",
            "fn f() { let x: u8 = rand::random(); }",
            "use jiff::Timestamp;",
            "use std::sync::Mutex;",
            "static mut N: u32 = 0;",
            "fn f() { std::env::var(\"X\"); }",
        ];
        for code in bad {
            assert!(faults_of("planner/src/place/pack.rs", code) > 0, "not caught in the planner: {code}");
            assert!(faults_of("solver/src/greedy.rs", code) > 0, "not caught in the solver: {code}");
        }
    }

    #[test]
    fn words_in_comments_strings_and_tests_are_no_breach() {
        let code = "//! No HashMap and no println! here.\nconst X: &str = \"std::time\";\n\
                    #[cfg(test)]\nmod tests { use std::collections::HashMap; }\n";
        assert_eq!(faults_of("planner/src/lib.rs", code), 0);
    }

    #[test]
    fn an_exception_holds_for_its_file_and_its_path_only() {
        assert_eq!(faults_of("solver/src/effort.rs", "use std::sync::atomic::AtomicBool;"), 0);
        assert_eq!(faults_of("solver/src/effort.rs", "use std::time::Instant;"), 1);
        assert_eq!(faults_of("solver/src/bound.rs", "use std::sync::atomic::AtomicBool;"), 1);
    }

    #[test]
    fn other_rooms_and_innocent_names_are_let_be() {
        assert_eq!(faults_of("src/decide.rs", "use std::time::Instant;"), 0);
        assert_eq!(faults_of("planner/src/lib.rs", "use std::collections::BTreeMap; fn log(x: u64) -> u64 { x }"), 0);
    }

    #[test]
    fn floats_in_the_planner_are_caught() {
        for code in ["fn f(x: f64) {}", "const X: u8 = (1.5) as u8;", "fn f() { let x = 1e3; }"] {
            assert!(!floats(&SourceFile::new("planner/src/provision.rs", code)).is_empty(), "not caught: {code}");
        }
        assert!(floats(&SourceFile::new("solver/src/exact.rs", "fn f(x: f64) {}")).is_empty());
    }
}
