//! Files of a room take names from each other in one direction: who reads one begins with those that need no other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::imports::{Edges, Package};
use super::repository::{SourceFile, assert_none, sources};

/// Rooms that still have circles, with how many of their files are in one. Numbers here only go down.
const CIRCLES: &[(&str, usize)] = &[
    ("cloud/src/aws", 9),
    ("cloud/src/catalog", 2),
    ("cloud/src/generate", 2),
    ("crds/src/ec2_node_class", 3),
    ("crds/src/schema", 3),
    ("planner/src/plan", 2),
    ("solver/src", 8),
    ("solver/src/engine", 2),
    ("src/act", 2),
    ("src/app", 2),
    ("src/aws", 16),
    ("src/cli", 24),
    ("src/client", 2),
    ("src/controllers", 3),
    ("src/events", 3),
    ("src/observe", 12),
    ("src/telemetry", 7),
];

/// A room's files in circles, and a shortest circle in words.
struct Found {
    n_files: usize,
    example: String,
}

/// Every room that has circles.
fn circles(files: &[SourceFile]) -> BTreeMap<String, Found> {
    let root = |file: &SourceFile| {
        let (package, _) = file.path.split_once("src/")?;
        Some(format!("{package}src"))
    };
    let roots: BTreeSet<String> = files.iter().filter(|file| !file.is_test()).filter_map(root).collect();
    let mut found = BTreeMap::new();
    for root in roots {
        let package = Package::read(&root, files);
        let edges = package.edges();
        for (folder, files) in package.rooms() {
            let room = if folder.is_empty() { root.clone() } else { format!("{root}/{folder}") };
            if let Some(circles) = in_room(&room, &files.into_iter().collect(), &edges) {
                found.insert(room, circles);
            }
        }
    }
    found
}

fn in_room(room: &str, files: &BTreeSet<String>, edges: &Edges) -> Option<Found> {
    let ways: Vec<Vec<&str>> = files.iter().filter_map(|file| way_back(file, files, edges)).collect();
    let shortest = ways.iter().min_by_key(|way| way.len())?;
    let folder = format!("{room}/");
    let short = |file: &str| file.strip_prefix(&folder).unwrap_or(file).to_owned();
    let steps = shortest.windows(2).map(|step| {
        let names = edges.get(&(step[0].to_owned(), step[1].to_owned()));
        let names: Vec<&str> = names.into_iter().flatten().map(String::as_str).collect();
        format!("takes {} from {}", names.join(", "), short(step[1]))
    });
    let steps: Vec<String> = steps.collect();
    Some(Found { n_files: ways.len(), example: format!("{} {}", short(shortest[0]), steps.join(", which ")) })
}

/// The shortest way from a file back to itself inside its room.
fn way_back<'a>(file: &'a str, room: &BTreeSet<String>, edges: &'a Edges) -> Option<Vec<&'a str>> {
    let mut from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([file]);
    while let Some(at) = queue.pop_front() {
        for (_, to) in edges.keys().filter(|(of, to)| of == at && room.contains(to)) {
            if from.contains_key(to.as_str()) {
                continue;
            }
            from.insert(to, at);
            if to == file {
                let mut way = vec![file];
                while way.len() == 1 || way.last() != Some(&file) {
                    way.push(from[way[way.len() - 1]]);
                }
                way.reverse();
                return Some(way);
            }
            queue.push_back(to);
        }
    }
    None
}

/// Where what is found differs from what is listed.
fn faults(found: &BTreeMap<String, Found>, listed: &[(&str, usize)]) -> Vec<String> {
    let mut faults = Vec::new();
    for (room, Found { n_files, example }) in found {
        let allowed = listed.iter().find(|(of, _)| of == room).map_or(0, |(_, n)| *n);
        if *n_files > allowed {
            faults.push(format!("{room}: {n_files} files are in circles, {allowed} are listed: {example}"));
        } else if *n_files < allowed {
            faults.push(format!("{room}: only {n_files} files are in circles: write so in CIRCLES"));
        }
    }
    let is_free = |room: &str| !found.contains_key(room);
    let free = listed.iter().filter(|(room, _)| is_free(room));
    faults.extend(free.map(|(room, _)| format!("{room}: no circle is left: take it out of CIRCLES")));
    faults
}

#[test]
fn no_circle_of_imports_is_in_a_room() {
    let found = circles(&sources());
    assert_none("files of one room import each other in circles:", &faults(&found, CIRCLES));
}

mod shown_to_fail {
    use super::*;

    fn circle_of(files: &[(&str, &str)]) -> Option<String> {
        let files: Vec<_> = files.iter().map(|(path, code)| SourceFile::new(path, code)).collect();
        let mut found = circles(&files);
        assert!(found.len() <= 1, "one room has circles in these tests");
        found.pop_first().map(|(room, circles)| format!("{room}, {}: {}", circles.n_files, circles.example))
    }

    #[test]
    fn a_circle_is_caught_whichever_way_its_names_are_written() {
        let wanted = "sim/src/ec2, 2: a.rs takes B from b.rs, which takes A from a.rs";
        let facade = ("sim/src/ec2/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;");
        let a = "pub struct A; use super::b::B;";
        for (a, b) in [
            (a, "pub struct B; use super::a::{self, A};"),
            (a, "pub struct B; fn f() -> super::a::A {}"),
            (a, "pub struct B; use super::a; fn f() -> a::A {}"),
            (a, "pub struct B; use super::A as Other;"),
            (a, "pub struct B; use crate::ec2::A;"),
            ("pub struct A; use super::B;", "pub struct B; use super::A;"),
        ] {
            let files = [("sim/src/lib.rs", "mod ec2;"), facade, ("sim/src/ec2/a.rs", a), ("sim/src/ec2/b.rs", b)];
            assert_eq!(circle_of(&files).as_deref(), Some(wanted), "{a} {b}");
        }
    }

    #[test]
    fn a_longer_circle_and_one_with_the_top_of_a_room_are_caught() {
        let long = [
            ("planner/src/plan.rs", "pub mod a; pub mod b; pub mod c;"),
            ("planner/src/plan/a.rs", "use super::b::B; pub fn a() {}"),
            ("planner/src/plan/b.rs", "use super::c::C; pub enum B {}"),
            ("planner/src/plan/c.rs", "pub type C = u8; fn f() { super::a::a(); }"),
        ];
        let caught = circle_of(&long).unwrap();
        assert!(caught.starts_with("planner/src/plan, 3: a.rs takes B from b.rs, which takes C from c.rs"), "{caught}");
        let top = [
            ("src/cli/mod.rs", "mod plan; pub const DONE: u8 = 0; fn f() { plan::run() }"),
            ("src/cli/plan.rs", "use super::DONE; pub fn run() {}"),
        ];
        assert_eq!(
            circle_of(&top).as_deref(),
            Some("src/cli, 2: mod.rs takes run from plan.rs, which takes DONE from mod.rs")
        );
    }

    #[test]
    fn what_is_only_handed_on_or_is_in_tests_makes_no_circle() {
        let files = [
            ("sim/src/kube/mod.rs", "mod a; mod b; pub use a::{A, a}; pub struct Top; fn f() { Top.a(); }"),
            ("sim/src/kube/a.rs", "use super::Top; use super::b::B; pub struct A; pub fn a() {}"),
            ("sim/src/kube/b.rs", "pub struct B; #[cfg(test)] mod tests { use super::super::a::A; }"),
            ("sim/src/kube/b_tests.rs", "use super::super::a::A; use super::B;"),
        ];
        assert_eq!(circle_of(&files), None);
    }

    #[test]
    fn the_list_may_only_shrink() {
        let found = |n_files| BTreeMap::from([("src/act".to_owned(), Found { n_files, example: String::new() })]);
        assert_eq!(faults(&found(2), &[("src/act", 2)]), Vec::<String>::new());
        assert_eq!(faults(&found(3), &[("src/act", 2)]).len(), 1);
        assert_eq!(faults(&found(2), &[("src/act", 3)]).len(), 1);
        assert_eq!(faults(&BTreeMap::new(), &[("src/act", 2)]).len(), 1);
    }
}
