//! Lives in which something fails that is not ours: a watch falls silent, a deletion is refused, a Node comes anew.

use std::cell::Cell;
use std::time::Duration;

use serde_json::{Value, json};
use sim::kube::object::Key;
use sim::kube::{DeleteOptions, Fault, Filter, Id, Part, Rule, Verb};
use tokio::time::Instant;

use super::lives::nodes;
use super::stage::{Stage, claims};

const NODE: &str = "p-0";

fn about(id: Id, verb: Verb) -> Filter {
    Filter { verb: Some(verb), id: Some(id), ..Filter::default() }
}

/// The Node goes at once, its finalizer taken off by hand.
fn take_node_away(stage: &Stage) {
    let key = Key::cluster(NODE);
    let release = |old: &Value| {
        let mut new = old.clone();
        new["metadata"]["finalizers"] = json!([]);
        new
    };
    stage.direct.update(Id::NODE, &key, Part::Main, release).expect("it is there");
    drop(stage.direct.delete(Id::NODE, &key, &DeleteOptions::now()));
}

/// From soon after the controllers' start no watch tells of pods, for half a minute. A pod is bound to the node then, and
/// `act` is done; `check` is asked all the time after it, until it says that all is well.
async fn while_no_watch_tells_of_pods(stage: &Stage, act: impl Fn(&Stage), check: impl Fn(&Stage) -> bool) {
    stage.server.add_fault(Rule::first(1, about(Id::POD, Verb::Watch), Fault::WatchSilent(Duration::from_secs(1))));
    let (begun, is_done) = (Instant::now(), Cell::new(false));
    let look = |stage: &Stage| {
        if !is_done.get() && begun.elapsed() > Duration::from_secs(3) {
            stage.pod("late", NODE, &json!({}));
            act(stage);
            is_done.set(true);
        }
        is_done.get() && check(stage)
    };
    stage.until(&[], look).await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_came_while_no_watch_told_of_it_is_evicted_before_its_machine_ends() {
    let stage = nodes(20, 1).await;
    let check = |stage: &Stage| {
        assert!(!stage.direct.list(Id::NODE).is_empty() || stage.pods().is_empty(), "it died with the machine");
        stage.is_bare()
    };
    while_no_watch_tells_of_pods(&stage, Stage::delete_claims, check).await;
    assert!(stage.pods().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_is_not_empty_while_no_watch_tells_of_its_pod() {
    let stage = nodes(21, 1).await;
    let begun = Instant::now();
    let check = |stage: &Stage| {
        assert!(stage.direct.list(claims()).iter().all(|claim| !claim.is_deleting()), "there is a pod");
        begun.elapsed() > Duration::from_mins(2)
    };
    while_no_watch_tells_of_pods(&stage, Stage::let_empty_nodes_go, check).await;
    let node = stage.direct.get(Id::NODE, &Key::cluster(NODE)).unwrap();
    assert_eq!(node.at("/spec/taints").and_then(Value::as_array).map_or(0, Vec::len), 0, "it is open");
}

#[tokio::test(start_paused = true)]
async fn a_disruption_that_is_refused_is_tried_ever_more_rarely_and_at_last_succeeds() {
    let stage = nodes(22, 1).await;
    stage.server.add_fault(Rule::first(12, about(claims(), Verb::Delete), Fault::Internal));
    stage.let_empty_nodes_go();
    stage.pass(Duration::from_mins(5)).await;
    let n_tried = stage.server.log().lines().filter(|line| line.contains("controller delete nodeclaims")).count();
    assert!((3..=10).contains(&n_tried), "tried {n_tried} times");
    stage.until(&[], Stage::is_bare).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_joins_once_more_under_its_name_takes_pods_again() {
    let stage = nodes(23, 1).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (key, mut anew) =
        (Key::cluster(NODE), stage.direct.get(Id::NODE, &Key::cluster(NODE)).unwrap().value().clone());
    take_node_away(&stage);
    let meta = &mut anew["metadata"];
    *meta = json!({ "name": NODE, "labels": meta["labels"], "annotations": meta["annotations"] });
    for label in ["karpenter.sh/registered", "karpenter.sh/initialized"] {
        meta["labels"].as_object_mut().unwrap().remove(label);
    }
    anew["spec"]["taints"] = json!([{ "key": "karpenter.sh/unregistered", "effect": "NoExecute" }]);
    // The kubelet makes it ready.
    anew["status"]["conditions"] = json!([]);
    stage.direct.put(anew).unwrap();
    let is_open = |stage: &Stage| {
        let node = stage.direct.get(Id::NODE, &key).unwrap();
        node.label("karpenter.sh/registered") == Some("true") && node.label("karpenter.sh/initialized") == Some("true")
    };
    stage.until(&[], is_open).await;
    stage.check_up(1, &[]);
}

#[tokio::test(start_paused = true)]
async fn of_two_claims_with_one_instance_one_ends_and_leaves_it_to_the_other() {
    let stage = nodes(24, 1).await;
    let mut twin = stage.direct.get(claims(), &Key::cluster(NODE)).unwrap().value().clone();
    let meta = &mut twin["metadata"];
    *meta = json!({ "name": "twin", "labels": meta["labels"], "finalizers": meta["finalizers"] });
    stage.direct.put(twin).unwrap();
    stage.direct.delete(claims(), &Key::cluster(NODE), &DeleteOptions::now()).unwrap();
    stage.until(&[], |stage| stage.direct.get(claims(), &Key::cluster(NODE)).is_none()).await;
    stage.pass(Duration::from_mins(5)).await;
    let left: Vec<_> = stage.direct.list(claims()).iter().map(|claim| claim.name().to_owned()).collect();
    assert_eq!(left, ["twin"]);
    let node = stage.direct.get(Id::NODE, &Key::cluster(NODE)).unwrap();
    assert!(!node.is_deleting());
    stage.delete_claims();
    stage.until(&[], Stage::is_bare).await;
}

#[tokio::test(start_paused = true)]
async fn garbage_that_could_not_be_taken_away_is_looked_for_again_soon() {
    let stage = nodes(25, 1).await;
    // kwok's machine is its Node.
    take_node_away(&stage);
    stage.server.add_fault(Rule::first(1, about(claims(), Verb::Delete), Fault::Internal));
    let begun = Instant::now();
    stage.until(&[], Stage::is_bare).await;
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_waits_for_its_registration_delay_comes_at_its_time_also_after_a_restart() {
    let stage = Stage::new(26);
    let delayed = |old: &Value| {
        let mut new = old.clone();
        new["spec"]["nodeRegistrationDelay"] = "1m".into();
        new
    };
    let class = Id::of(crds::Kind::KwokNodeClass);
    stage.direct.update(class, &Key::cluster("default"), Part::Main, delayed).unwrap();
    let begun = Instant::now();
    stage.claims(2);
    stage.pass(Duration::from_secs(20)).await;
    stage.direct.delete(claims(), &Key::cluster("p-1"), &DeleteOptions::now()).unwrap();
    let n_nodes = |stage: &Stage| stage.direct.list(Id::NODE).len();
    assert_eq!(n_nodes(&stage), 0);
    stage.until(&[], |stage| n_nodes(stage) > 0).await;
    let after = begun.elapsed().as_secs();
    assert!((58..=63).contains(&after), "{after} s");
    stage.until(&[], |stage| stage.n_initialized() == 1).await;
    stage.pass(Duration::from_mins(5)).await;
    stage.check_up(1, &[]);
    let node = &stage.direct.list(Id::NODE)[0];
    let claim = stage.direct.get(claims(), &Key::cluster(NODE)).unwrap();
    assert_eq!(node.annotation("millwright.dev/nodeclaim-uid"), Some(claim.uid()));
    for of in ["capacity", "allocatable"] {
        for resource in ["cpu", "memory"] {
            let at = format!("/status/{of}/{resource}");
            assert_eq!(node.text(&at), claim.text(&at));
        }
    }
    stage.delete_claims();
    stage.until(&[], Stage::is_bare).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_node_is_asked_for_once() {
    let stage = nodes(27, 2).await;
    stage.delete_claims();
    stage.until(&[], Stage::is_bare).await;
    let log = stage.server.log();
    let asked: Vec<_> =
        log.lines().filter(|line| line.contains(" delete nodes ") && line.contains("controller")).collect();
    assert_eq!(asked.len(), 2, "{asked:#?}");
}
