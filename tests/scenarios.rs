//! Scenarios: a folder asks one question of the built program, `expect.json` says what must come out.
//!
//! `input.yaml` holds the objects, `args` further arguments (one a line). Every plan is also held against rules that are
//! true of all plans, and the same objects in reverse order must give the same bytes. The fields of `expect.json` are
//! those of [`judge::Expect`].
#![expect(clippy::unwrap_used, reason = "a test program; its helpers may panic too")]

#[path = "scenarios/judge.rs"]
mod judge;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use judge::Expect;
use serde_json::Value;

/// The snapshot's clock in every scenario.
const NOW: &str = "2026-05-04T00:00:00Z";

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Runs `plan` in a scenario's folder on its file, or on `stdin`.
fn plan(folder: &Path, stdin: Option<&str>) -> Output {
    let args = std::fs::read_to_string(folder.join("args")).unwrap_or_default();
    let mut child = Command::new(env!("CARGO_BIN_EXE_millwright"))
        .args(["plan", "-o", "json", "--now", NOW, "-f", if stdin.is_some() { "-" } else { "input.yaml" }])
        .args(args.lines())
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that failed before it read everything has closed the pipe.
    let _ = child.stdin.take().unwrap().write_all(stdin.unwrap_or_default().as_bytes());
    child.wait_with_output().unwrap()
}

/// The documents of a file, last first.
fn reversed(text: &str) -> String {
    let mut documents: Vec<&str> = text.split("---\n").collect();
    documents.reverse();
    documents.join("\n---\n")
}

/// Everything that is wrong with a scenario's answer.
fn faults(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("expect.json")).unwrap();
    let expect: Expect = match serde_json::from_str(&text) {
        Ok(expect) => expect,
        Err(error) => return vec![format!("expect.json: {error}")],
    };
    let out = plan(folder, None);
    let stderr = String::from_utf8(out.stderr).unwrap();
    let mut faults = judge::stderr(&expect, &stderr);
    if out.status.code() != Some(expect.exit) {
        faults.push(format!("exit code {:?}, not {}: {stderr}", out.status.code(), expect.exit));
    }
    if out.status.code() == Some(1) {
        if !out.stdout.is_empty() {
            faults.push("an error, and yet something on stdout".into());
        }
        return faults;
    }
    let document: Value = match serde_json::from_slice(&out.stdout) {
        Ok(document) => document,
        Err(error) => return vec![format!("stdout is no JSON: {error}: {stderr}")],
    };
    faults.extend(judge::every_plan(&document, expect.exit));
    faults.extend(judge::this_plan(&expect, &document));
    let input = std::fs::read_to_string(folder.join("input.yaml")).unwrap();
    if plan(folder, Some(&reversed(&input))).stdout != out.stdout {
        faults.push("other bytes when the objects come in reverse order".into());
    }
    faults
}

#[test]
fn every_scenario_is_planned_as_it_says() {
    let folders = folders();
    assert!(folders.len() >= 30, "only {} scenarios found", folders.len());
    let queue = Mutex::new(folders.iter());
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(folder) = queue.lock().unwrap().next() else { return };
                    let found = faults(folder);
                    if !found.is_empty() {
                        let name = folder.file_name().unwrap().to_string_lossy();
                        failed.lock().unwrap().push(format!("{name}:\n  {}", found.join("\n  ")));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    assert!(failed.is_empty(), "{} of {} scenarios failed\n{}", failed.len(), folders.len(), failed.join("\n"));
}
