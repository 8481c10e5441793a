//! Names that belong to one place: the LP library, AWS and Kubernetes types, `anyhow`, the simulator, and the two
//! halves of the planner that must not know each other.

use super::paths::{NamedPath, paths};
use super::repository::{SourceFile, assert_none, sources};

/// A name at the beginning of a path (a trailing `*` stands for any ending), and the files that may say it: a file, or
/// a folder with `/` at its end.
struct Owned {
    name: &'static str,
    by: &'static [&'static str],
    why: &'static str,
}

const OWNED: &[Owned] = &[
    Owned { name: "good_lp", by: &["solver/src/exact.rs"], why: "the LP library can be exchanged in one file" },
    Owned { name: "microlp", by: &["solver/src/exact.rs"], why: "the LP library can be exchanged in one file" },
    Owned { name: "highs", by: &["solver/src/exact.rs"], why: "the LP library can be exchanged in one file" },
    Owned { name: "aws_*", by: &["cloud/src/aws/", "sim/src/ec2/"], why: "the cloud can be exchanged in one folder" },
    Owned { name: "kube", by: &["src/", "sim/tests/", "tests/"], why: "only the shell knows Kubernetes clients" },
    Owned {
        name: "k8s_openapi",
        by: &["src/", "sim/tests/", "tests/"],
        why: "only the shell knows Kubernetes clients",
    },
    Owned {
        name: "sim",
        by: &["src/cli/demo/", "src/cli/simulation/", "sim/", "benches/", "tests/"],
        why: "the product does not run on the simulator; only the demo does, and the command that serves it",
    },
    Owned {
        name: "anyhow",
        by: &["src/main.rs", "src/cli/", "xtask/", "benches/"],
        why: "a room's errors are its own enum; text is for the command line",
    },
];

fn misplaced(file: &SourceFile) -> Vec<String> {
    let mut found = Vec::new();
    for path in paths(&file.tokens).iter().filter(|path| path.segments.len() > 1) {
        let owner = OWNED.iter().find(|owned| matches(owned.name, &path.segments[0]));
        if let Some(owned) = owner
            && !owned.by.iter().any(|place| file.path == *place || place.ends_with('/') && file.path.starts_with(place))
        {
            let places = owned.by.join(", ");
            found.push(format!("{}:{}: `{}` belongs to {places}: {}", file.path, path.line, path.text(), owned.why));
        }
    }
    found
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

/// The cloud speaks in the planner's model and knows nothing of how it decides.
fn cloud_beyond_the_model(file: &SourceFile) -> Vec<String> {
    if !file.in_room("cloud") {
        return Vec::new();
    }
    let is_beyond =
        |path: &&NamedPath| path.segments[0] == "planner" && path.segments.len() > 1 && path.segments[1] != "model";
    let paths = paths(&file.tokens);
    let beyond = paths.iter().filter(is_beyond);
    beyond.map(|path| format!("{}:{}: `{}` is not of planner::model", file.path, path.line, path.text())).collect()
}

/// `check` judges what `place` did, so neither may use the other, by its path or by a name re-exported from it.
fn place_and_check(file: &SourceFile, reexported: &[Reexport]) -> Vec<String> {
    let is_in = |module: &str| {
        file.path == format!("planner/src/{module}.rs") || file.path.starts_with(&format!("planner/src/{module}/"))
    };
    let other = match (is_in("place"), is_in("check")) {
        (true, _) => "check",
        (_, true) => "place",
        _ => return Vec::new(),
    };
    let names_other = |path: &&NamedPath| {
        let inside = path.inside_crate();
        let is_reexport = |name: &str| reexported.iter().any(|r| r.module == other && r.name == name);
        inside.first().is_some_and(|first| first == other || inside.len() == 1 && is_reexport(first))
    };
    let paths = paths(&file.tokens);
    let found = paths.iter().filter(names_other);
    found.map(|path| format!("{}:{}: `{}` is of {other}", file.path, path.line, path.text())).collect()
}

/// Rooms of the shell, and those that use them: they are not used in turn.
const USERS: &[(&str, &str)] = &[("act", "controllers"), ("app", "cli"), ("telemetry", "cli"), ("telemetry", "app")];

/// A room of the shell that names one of its users.
fn uses_its_user(file: &SourceFile) -> Vec<String> {
    let paths = paths(&file.tokens);
    let is_of = |room: &str| file.path == format!("src/{room}.rs") || file.path.starts_with(&format!("src/{room}/"));
    let users = USERS.iter().filter(|(room, _)| is_of(room));
    let named = users.flat_map(|(_, user)| {
        let is_named = move |path: &&NamedPath| {
            path.segments[0] == "crate" && path.inside_crate().first().is_some_and(|first| first == user)
        };
        paths.iter().filter(is_named)
    });
    named.map(|path| format!("{}:{}: `{}` is of a user of this room", file.path, path.line, path.text())).collect()
}

/// A name that the planner's `lib.rs` makes available from one of its modules.
struct Reexport {
    module: String,
    name: String,
}

fn reexports(lib: &SourceFile) -> Vec<Reexport> {
    let paths = paths(&lib.tokens).into_iter().filter_map(|path| {
        let inside = if path.inside_crate().is_empty() { &path.segments[..] } else { path.inside_crate() };
        let (module, name) = (inside.first()?, inside.last()?);
        (inside.len() > 1).then(|| Reexport { module: module.clone(), name: name.clone() })
    });
    paths.collect()
}

#[test]
fn each_library_is_named_only_where_it_belongs() {
    let faults: Vec<_> = sources().iter().flat_map(misplaced).collect();
    assert_none("these names belong elsewhere:", &faults);
}

#[test]
fn the_cloud_names_only_the_model_of_the_planner() {
    let faults: Vec<_> = sources().iter().flat_map(cloud_beyond_the_model).collect();
    assert_none("the cloud sells nodes; it does not plan:", &faults);
}

#[test]
fn place_and_check_do_not_know_each_other() {
    let sources = sources();
    let lib = sources.iter().find(|file| file.path == "planner/src/lib.rs").expect("planner/src/lib.rs");
    let reexported = reexports(lib);
    let faults: Vec<_> = sources.iter().flat_map(|file| place_and_check(file, &reexported)).collect();
    assert_none("a judge that borrows from the accused finds nothing:", &faults);
}

#[test]
fn rooms_of_the_shell_do_not_name_their_users() {
    let faults: Vec<_> = sources().iter().flat_map(uses_its_user).collect();
    assert_none("these rooms would go in a circle:", &faults);
}

mod shown_to_fail {
    use super::*;

    #[test]
    fn a_room_that_names_its_user_is_caught() {
        let faults = |path, code| uses_its_user(&SourceFile::new(path, code)).len();
        assert_eq!(faults("src/act/nominate.rs", "use crate::controllers::Deps;"), 1);
        assert_eq!(faults("src/app.rs", "use crate::{cli::json, config::Config};"), 1);
        assert_eq!(faults("src/controllers/deps.rs", "use crate::act::Gate;"), 0);
        assert_eq!(faults("src/act/claim.rs", "use crate::act::names;"), 0);
    }

    #[test]
    fn a_library_named_in_another_file_is_caught() {
        let bad = [
            ("solver/src/columns.rs", "use good_lp::variable;"),
            ("solver/src/bound.rs", "fn f() { microlp::Problem::new(); }"),
            ("cloud/src/catalog.rs", "use aws_sdk_ec2::types::InstanceType;"),
            ("cloud/src/lib.rs", "use kube::Client;"),
            ("crds/src/meta.rs", "use k8s_openapi::api::core::v1::Pod;"),
            ("src/decide.rs", "use sim::world::World;"),
            ("src/cli/top/mod.rs", "use sim::kube::ApiServer;"),
            ("src/observe/translate.rs", "use anyhow::Result;"),
            ("crds/src/lib.rs", "fn f() -> anyhow::Result<()> { Ok(()) }"),
        ];
        for (path, code) in bad {
            assert_eq!(misplaced(&SourceFile::new(path, code)).len(), 1, "not caught: {path}: {code}");
        }
    }

    #[test]
    fn a_library_named_where_it_belongs_passes() {
        let good = [
            ("solver/src/exact.rs", "use good_lp::variable;"),
            ("cloud/src/aws/fleet.rs", "use aws_sdk_ec2::Client;"),
            ("src/cli/demo/stage.rs", "use sim::world::World;"),
            ("src/main.rs", "use anyhow::Context as _;"),
        ];
        for (path, code) in good {
            assert!(misplaced(&SourceFile::new(path, code)).is_empty(), "{path}: {code}");
        }
    }

    #[test]
    fn a_cloud_that_plans_is_caught() {
        let faults = |code| cloud_beyond_the_model(&SourceFile::new("cloud/src/kwok.rs", code)).len();
        assert_eq!(faults("use planner::{model::Offering, place::Capacity};"), 1);
        assert_eq!(faults("use planner::model::{Offering, Price};"), 0);
    }

    #[test]
    fn a_judge_that_uses_the_accused_is_caught() {
        let reexported = reexports(&SourceFile::new("planner/src/lib.rs", "pub use place::capacity::Capacity;"));
        let faults = |path, code| place_and_check(&SourceFile::new(path, code), &reexported).len();
        assert_eq!(faults("planner/src/check.rs", "use crate::place::filter;"), 1);
        assert_eq!(faults("planner/src/check/topology.rs", "use super::super::place::filter;"), 1);
        assert_eq!(faults("planner/src/check/topology.rs", "use crate::Capacity;"), 1);
        assert_eq!(faults("planner/src/check.rs", "fn f() { crate::place::fits(); }"), 1);
        assert_eq!(faults("planner/src/place/mod.rs", "use crate::{check::Fault, model::Pod};"), 1);
        assert_eq!(faults("planner/src/place.rs", "use crate::model::Pod; fn f() { check(); }"), 0);
        assert_eq!(faults("planner/src/provision.rs", "use crate::{check, place};"), 0);
    }
}
