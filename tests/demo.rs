//! `millwright demo --fast` as a process: the same seed gives the same bytes, all pods run, nothing is left, and a run
//! that cannot succeed fails.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what is not there has failed the test")]

use std::process::{Command, Output, Stdio};

fn demo(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_millwright")).args(["demo", "--fast"]).args(args).output().unwrap()
}

/// What stands after the word at the beginning of a line of the summary.
fn figure<'a>(stdout: &'a str, word: &str) -> &'a str {
    let summary = stdout.split("\nin ").last().unwrap();
    summary.lines().find_map(|line| line.trim().strip_prefix(word)).unwrap_or_else(|| panic!("no {word} in {stdout}"))
}

fn numbers(text: &str) -> Vec<f64> {
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    words.filter_map(|word| word.trim_end_matches('.').parse().ok()).collect()
}

/// Runs the shop twice, side by side.
fn runs_alike(seed: &str) -> String {
    let both = std::thread::scope(|scope| {
        [(); 2].map(|()| scope.spawn(|| demo(&["--seed", seed]))).map(|run| run.join().unwrap())
    });
    let texts = both.map(|run| {
        assert!(
            run.status.success(),
            "{}{}",
            String::from_utf8_lossy(&run.stdout),
            String::from_utf8_lossy(&run.stderr)
        );
        String::from_utf8(run.stdout).unwrap()
    });
    let different = texts[0].lines().zip(texts[1].lines()).find(|(a, b)| a != b);
    assert_eq!(different, None, "seed {seed}");
    assert_eq!(texts[0], texts[1], "seed {seed}");
    texts.into_iter().next().unwrap()
}

fn is_a_good_run(stdout: &str) {
    let [ran, ..] = numbers(figure(stdout, "pods"))[..] else { panic!("{stdout}") };
    assert!(ran > 250.0, "{stdout}");
    let [bought, removed, at_once, ..] = numbers(figure(stdout, "nodes"))[..] else { panic!("{stdout}") };
    assert!(bought > 20.0 && at_once > 20.0, "{stdout}");
    assert!((bought - removed).abs() < 0.5, "every node that was bought is gone: {stdout}");
    let [survived, refused, ..] = numbers(figure(stdout, "shortages"))[..] else { panic!("{stdout}") };
    assert!(survived > 0.5 && refused > 0.5, "{stdout}");
    let [spent, bound, ..] = numbers(figure(stdout, "dollars"))[..] else { panic!("{stdout}") };
    assert!(bound > 1.0 && spent >= bound, "no fleet costs less than the bound: {stdout}");
    assert!(figure(stdout, "checks").contains("nothing leaked"));
    assert!(stdout.contains("shortage  "), "{stdout}");
    assert!(stdout.contains("(Empty: nothing but daemons on them)"), "{stdout}");
}

#[test]
fn a_run_of_the_shop_is_the_same_for_the_same_seed() {
    let texts = ["1", "2", "3"].map(runs_alike);
    for text in &texts {
        is_a_good_run(text);
    }
    assert!(texts[0] != texts[1] && texts[1] != texts[2], "a seed has a run of its own");
}

#[test]
fn a_run_that_cannot_succeed_fails_and_says_what_was_missing() {
    let run = demo(&["--scenario", "outage"]);
    let (stdout, stderr) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert_eq!(run.status.code(), Some(1), "{stdout}{stderr}");
    assert!(stderr.contains("not reached within 0:02:00: 0 of 65 pods are ready"), "{stderr}");
    assert!(stderr.contains("OfferingUnavailable"), "{stderr}");
    assert!(stdout.contains("FAILED"), "{stdout}");
    assert!(stdout.contains("pods waited, which costs nothing"), "{stdout}");
}

#[test]
fn a_run_that_nobody_reads_ends_unless_it_is_for_a_report() {
    let report = std::env::temp_dir().join(format!("millwright-demo-unread-{}.html", std::process::id()));
    let unread = |args: &[&str]| {
        let mut run = Command::new(env!("CARGO_BIN_EXE_millwright"));
        let mut run = run.args(["demo", "--fast"]).args(args).stdout(Stdio::piped()).spawn().unwrap();
        drop(run.stdout.take());
        run.wait().unwrap().code()
    };
    assert_eq!(unread(&[]), Some(130));
    assert_eq!(unread(&["--report", report.to_str().unwrap()]), Some(0));
    let page = std::fs::read_to_string(&report).unwrap();
    assert!(page.contains("shop went to its end"));
    std::fs::remove_file(&report).unwrap();
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_anything_is_played() {
    for report in ["-", "/nowhere/run.html", "/"] {
        let run = demo(&["--report", report]);
        let told = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(1), "{told}");
        assert!(run.stdout.is_empty() && told.contains(&format!("--report {report}: ")), "{told}");
        assert!(told.contains("remedy: name a file"), "{told}");
    }
}

#[test]
fn a_shortage_in_two_steps_is_survived() {
    let run = demo(&["--scenario", "shortage"]);
    let stdout = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{stdout}{}", String::from_utf8_lossy(&run.stderr));
    assert!(numbers(figure(&stdout, "shortages"))[0] > 1.5, "{stdout}");
    assert!(stdout.contains("came to nothing and will be planned anew"), "{stdout}");
}

#[cfg(feature = "aws")]
#[test]
fn the_shop_on_ec2_trains_on_a_gpu_and_outlives_a_shortage_and_a_storm() {
    let report = std::env::temp_dir().join(format!("millwright-demo-aws-{}.html", std::process::id()));
    let run = demo(&["--provider", "aws", "--report", report.to_str().unwrap()]);
    let stdout = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{stdout}{}", String::from_utf8_lossy(&run.stderr));
    let [ran, ..] = numbers(figure(&stdout, "pods"))[..] else { panic!("{stdout}") };
    let [bought, removed, ..] = numbers(figure(&stdout, "nodes"))[..] else { panic!("{stdout}") };
    let [survived, refused, ..] = numbers(figure(&stdout, "shortages"))[..] else { panic!("{stdout}") };
    assert!(ran > 250.0 && bought > 10.0 && survived > 0.5 && refused > 0.5, "{stdout}");
    assert!((bought - removed).abs() < 0.5, "every machine that was bought is gone: {stdout}");
    assert!(figure(&stdout, "checks").contains("nothing leaked"), "{stdout}");
    assert!(stdout.contains("g4dn.xlarge on-demand"), "the GPU was planned for: {stdout}");
    let [storms, machines, ..] = numbers(figure(&stdout, "storms"))[..] else { panic!("{stdout}") };
    assert!(storms > 0.5 && machines > 5.0, "{stdout}");
    let calls = figure(&stdout, "calls");
    assert!(calls.contains("CreateFleet") && calls.contains("; 0 refused for coming too fast"), "{calls}");
    let page = std::fs::read_to_string(&report).unwrap();
    assert!(page.contains("Interruption storms survived") && page.contains("CreateFleet"));
    std::fs::remove_file(&report).unwrap();
}

#[cfg(not(feature = "aws"))]
#[test]
fn without_the_sdk_machines_of_ec2_are_refused_with_what_to_do() {
    let run = demo(&["--provider", "aws"]);
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(
        run.status.code() == Some(1) && run.stdout.is_empty() && told.contains("build with --features aws"),
        "{told}"
    );
}
