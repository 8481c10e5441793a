//! Who may depend on whom. The manifests are the walls; this is the drawing they are compared with.

use super::repository::{Dependency, assert_none, dependencies};

/// Each package with the packages of the workspace that it may depend on, in tests too.
const ARROWS: &[(&str, &[&str])] = &[
    ("millwright", &["crds", "cloud", "planner", "sim", "control-plane"]),
    ("sim", &["planner", "cloud", "crds"]),
    ("cloud", &["planner"]),
    ("planner", &["solver"]),
    ("solver", &[]),
    ("crds", &[]),
    ("xtask", &[]),
    ("benches", &["millwright", "planner", "solver", "cloud", "crds", "sim", "control-plane"]),
    ("control-plane", &[]),
];

/// Crates (a trailing `*` stands for any ending) that only these packages may depend on, in tests too.
const WALLED: &[(&str, &[&str])] = &[
    ("good_lp", &["solver"]),
    ("microlp", &["solver"]),
    ("highs", &["solver"]),
    ("kube", &["millwright", "sim"]),
    ("kube-client", &["millwright", "sim"]),
    ("kube-core", &["millwright", "sim"]),
    ("kube-runtime", &["millwright", "sim"]),
    ("k8s-openapi", &["millwright", "sim"]),
    ("aws-*", &["cloud", "sim"]),
    ("tokio*", &["millwright", "cloud", "sim"]),
    ("futures*", &["millwright", "cloud", "sim"]),
    ("anyhow", &["millwright", "benches", "xtask"]),
];

/// The pure rooms take in nothing but these. A crate is added here only if it reads no clock, file, network or
/// random source, and keeps no order of its own.
const PURE: &[(&str, &[&str])] =
    &[("planner", &["solver", "fixedbitset", "serde", "smallvec", "thiserror"]), ("solver", &["good_lp"])];

fn faults(dependencies: &[Dependency]) -> Vec<String> {
    dependencies.iter().flat_map(|d| [off_the_drawing(d), walled(d), impure(d)]).flatten().collect()
}

/// An arrow between two packages of the workspace that the drawing does not have, or a package it does not know.
fn off_the_drawing(Dependency { from, to, .. }: &Dependency) -> Option<String> {
    let Some((_, allowed)) = ARROWS.iter().find(|(package, _)| package == from) else {
        return Some(format!("package {from} is not on the drawing: add it to ARROWS and to ARCHITECTURE.md"));
    };
    let is_ours = ARROWS.iter().any(|(package, _)| package == to);
    (is_ours && !allowed.contains(&to.as_str()))
        .then(|| format!("{from} depends on {to}; it may depend on: {}", or_none(allowed)))
}

fn walled(Dependency { from, to, .. }: &Dependency) -> Option<String> {
    let (_, rooms) = WALLED.iter().find(|(pattern, _)| matches(pattern, to))?;
    (!rooms.contains(&from.as_str())).then(|| format!("{from} depends on {to}, which belongs to: {}", or_none(rooms)))
}

fn impure(Dependency { from, to, dev }: &Dependency) -> Option<String> {
    let (_, allowed) = PURE.iter().find(|(package, _)| package == from)?;
    (!dev && !allowed.contains(&to.as_str()))
        .then(|| format!("{from} is a pure room and depends on {to}; it may depend on: {}", or_none(allowed)))
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

fn or_none(names: &[&str]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

#[test]
fn packages_depend_only_along_the_arrows() {
    assert_none("the manifests differ from the arrows of ARCHITECTURE.md:", &faults(&dependencies()));
}

#[test]
fn every_package_of_the_drawing_exists() {
    let root = super::repository::root();
    let is_there = |package: &str| root.join(package).is_dir() || root.join("tests").join(package).is_dir();
    let missing = ARROWS.iter().filter(|(package, _)| *package != "millwright" && !is_there(package));
    let missing: Vec<_> = missing.map(|(package, _)| (*package).to_owned()).collect();
    assert_none("the drawing shows packages that do not exist:", &missing);
}

mod shown_to_fail {
    use super::super::repository::dependencies_of;
    use super::*;

    /// The faults of one dependency, given as `cargo metadata` prints it.
    fn faults_of(from: &str, to: &str, kind: Option<&str>) -> Vec<String> {
        faults(&dependencies_of(&serde_json::json!({
            "packages": [{ "name": from, "dependencies": [{ "name": to, "kind": kind }] }]
        })))
    }

    #[test]
    fn an_arrow_that_points_up_is_caught() {
        assert_eq!(faults_of("solver", "planner", None).len(), 2);
        assert_eq!(faults_of("crds", "planner", None), ["crds depends on planner; it may depend on: nothing"]);
        assert_eq!(faults_of("planner", "cloud", Some("dev")).len(), 1);
        assert_eq!(faults_of("millwright", "solver", Some("build")).len(), 1);
    }

    #[test]
    fn a_walled_crate_in_another_room_is_caught() {
        assert_eq!(faults_of("cloud", "good_lp", None), ["cloud depends on good_lp, which belongs to: solver"]);
        assert_eq!(faults_of("crds", "aws-sdk-ec2", None).len(), 1);
        assert_eq!(faults_of("cloud", "kube", None).len(), 1);
        assert_eq!(faults_of("crds", "k8s-openapi", None).len(), 1);
    }

    #[test]
    fn an_unlisted_crate_in_a_pure_room_is_caught_but_not_in_its_tests() {
        assert_eq!(faults_of("planner", "rand", None).len(), 1);
        assert_eq!(faults_of("planner", "proptest", Some("dev")), Vec::<String>::new());
    }

    #[test]
    fn a_package_nobody_has_drawn_is_caught() {
        assert_eq!(faults_of("helpers", "serde", None).len(), 1);
    }

    #[test]
    fn the_arrows_themselves_pass() {
        assert_eq!(faults_of("planner", "solver", None), Vec::<String>::new());
        assert_eq!(faults_of("cloud", "aws-config", None), Vec::<String>::new());
    }
}
