//! The repository as the rules see it: its Rust files and what cargo reads from its manifests.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::lexer::{self, Token};

/// Folder of the workspace's manifest.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A Rust file, read once.
pub struct SourceFile {
    /// From the root, with `/` between folders: `planner/src/lib.rs`.
    pub path: String,
    pub text: String,
    /// Its code without comments; test modules are left out.
    pub tokens: Vec<Token>,
    /// Comments with their line numbers, those of test modules too.
    pub comments: Vec<(usize, String)>,
    /// Lines inside `#[cfg(test)]` modules.
    pub n_test_lines: usize,
}

impl SourceFile {
    /// A file from its text, on disk or made up by a test.
    pub fn new(path: &str, text: &str) -> Self {
        let lexed = lexer::lex(text);
        let (tokens, n_test_lines) = lexer::without_test_modules(&lexed.tokens);
        Self { path: path.to_owned(), text: text.to_owned(), tokens, comments: lexed.comments, n_test_lines }
    }

    /// Whether the whole file is a test: in a `tests` folder, or a module file that `#[cfg(test)]` guards by name.
    pub fn is_test(&self) -> bool {
        let mut parts = self.path.rsplit('/');
        let file = parts.next().unwrap_or_default();
        file == "tests.rs" || file.ends_with("_tests.rs") || parts.any(|folder| folder == "tests")
    }

    /// Whether the file belongs to the non-test sources of a room: `in_room("planner")` means `planner/src/…`.
    pub fn in_room(&self, room: &str) -> bool {
        self.path.strip_prefix(room).is_some_and(|rest| rest.starts_with("/src/")) && !self.is_test()
    }
}

/// Every Rust file of the workspace, sorted by path.
pub fn sources() -> Vec<SourceFile> {
    let mut paths = Vec::new();
    collect(&root(), &mut paths);
    paths.sort();
    let files: Vec<_> = paths
        .iter()
        .map(|path| {
            let relative = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            SourceFile::new(&relative, &std::fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(
        files.len() > 20,
        "found only {} Rust files: the rules would pass for want of anything to read",
        files.len()
    );
    files
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// One line of a manifest's dependency tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The package that has the manifest.
    pub from: String,
    /// The package depended on, under its registry name.
    pub to: String,
    /// Only tests, examples and benches see it.
    pub dev: bool,
}

/// All dependencies that the workspace's manifests state, those of optional features and other platforms too.
pub fn dependencies() -> Vec<Dependency> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("start cargo metadata");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let found = dependencies_of(&serde_json::from_slice(&output.stdout).unwrap());
    assert!(found.len() > 10, "read only {} dependencies from the manifests", found.len());
    found
}

/// Reads the answer of `cargo metadata`.
pub fn dependencies_of(metadata: &serde_json::Value) -> Vec<Dependency> {
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        for dependency in package["dependencies"].as_array().unwrap() {
            found.push(Dependency {
                from: package["name"].as_str().unwrap().to_owned(),
                to: dependency["name"].as_str().unwrap().to_owned(),
                dev: dependency["kind"].as_str() == Some("dev"),
            });
        }
    }
    found
}

/// Fails the test with every fault on a line of its own.
pub fn assert_none(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}\n  {}\n", faults.join("\n  "));
}
