//! Pending pods become claims and nodes, on an API server in memory and under a virtual clock.

#![expect(clippy::unwrap_used, reason = "text that is no number has failed the test")]

#[path = "provisioning/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};

use cloud::catalog::UnavailablePattern;
use serde_json::{Value, json};
use sim::kube::{Fault, Filter, Id, Key, Moment, Rule, Verb};
use world::{NODE_CLAIM, World, id, pod};

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn cpu(quantity: &str) -> i64 {
    match quantity.strip_suffix('m') {
        Some(milli) => milli.parse().unwrap(),
        None => quantity.parse::<i64>().unwrap() * 1000,
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_pods_get_their_claims_and_nodes() {
    let world = World::start(&json!({}));
    world.waiting("small", 500, "900m", "3100Mi");
    world.waiting("large", 500, "3500m", "28Gi");
    world.settled().await;
    let claims = world.claims();
    // 2,200 cores on machines of up to 32, 100 m of each kept back.
    assert!((69..100).contains(&claims.len()), "{} claims", claims.len());
    assert_eq!(world.nodes().len(), claims.len());
    for claim in &claims {
        assert!(text(claim, "/metadata/name").starts_with("general-"));
        assert_eq!(text(claim, "/metadata/labels/team"), "a");
        assert_eq!(text(claim, "/metadata/labels/karpenter.sh~1nodepool"), "general");
        assert_eq!(text(claim, "/metadata/labels/karpenter.kwok.sh~1kwoknodeclass"), "default");
        assert_eq!(text(claim, "/metadata/annotations/note"), "x");
        assert_eq!(text(claim, "/metadata/annotations/karpenter.sh~1nodepool-hash-version"), "v3");
        assert!(!text(claim, "/metadata/annotations/karpenter.sh~1nodepool-hash").is_empty());
        assert_eq!(text(claim, "/metadata/ownerReferences/0/kind"), "NodePool");
        assert_eq!(claim.pointer("/metadata/ownerReferences/0/blockOwnerDeletion"), Some(&json!(true)));
        assert_eq!(text(claim, "/spec/expireAfter"), "720h");
    }
    // One pass: what the first plan bought is all that was bought.
    let decision = world.decisions.borrow().clone().unwrap();
    assert_eq!(decision.plan.launches.len(), 0);
    // Nobody makes these nodes ready, so their gates open a minute after they joined.
    tokio::time::sleep(std::time::Duration::from_secs(90)).await;
    // Large pods could take the room of small ones, so the nodes open together and each pod is held to its own.
    let bound = world.pods().iter().filter(|pod| !text(pod, "/spec/nodeName").is_empty()).count();
    assert_eq!(bound, 1000);
    let events: BTreeSet<&str> = world.recorder.said().iter().map(|(_, event)| event.reason).collect();
    assert!(events.contains("Nominated"));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_makes_no_second_claim() {
    let mut counts = Vec::new();
    for fault in [None, Some(Fault::LostAfter), Some(Fault::LostBefore), Some(Fault::Unavailable)] {
        let world = World::start(&json!({}));
        if let Some(fault) = fault {
            let filter =
                Filter { verb: Some(Verb::Create), id: Some(id("karpenter.sh/v1", NODE_CLAIM)), ..Filter::default() };
            world.server.add_fault(Rule { filter, skip: 1, times: 4, fault });
        }
        world.waiting("web", 200, "3500m", "7Gi");
        world.settled().await;
        let names: BTreeSet<String> = world.claims().iter().map(|c| text(c, "/metadata/name").to_owned()).collect();
        assert!(world.mirror.expected().is_empty());
        counts.push(names.len());
        world.stop().await;
    }
    assert!(counts.iter().all(|count| *count == counts[0]) && counts[0] > 5, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_and_whose_look_up_are_lost_is_made_once() {
    is_made_once(Verb::Get, Fault::Unavailable).await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_was_lost_and_that_is_refused_then_is_made_once() {
    is_made_once(Verb::Create, Fault::TooManyRequests(None)).await;
}

/// The answer to a claim is lost, and what is asked next of claims goes wrong as well.
async fn is_made_once(verb: Verb, fault: Fault) {
    let world = World::start(&json!({}));
    let seconds = std::time::Duration::from_secs;
    let claims = |verb| Filter { verb: Some(verb), id: Some(id("karpenter.sh/v1", NODE_CLAIM)), ..Filter::default() };
    // No watch helps out: what was made is known from its answer, or from asking for it.
    world.server.add_fault(Rule::first(1, claims(Verb::Watch), Fault::WatchSilent(seconds(1))));
    tokio::time::sleep(seconds(3)).await;
    world.server.add_fault(Rule::first(1, claims(Verb::Create), Fault::LostAfter));
    world.server.add_fault(Rule::first(1, claims(verb), fault));
    world.waiting("web", 1, "3500m", "7Gi");
    tokio::time::sleep(seconds(10)).await;
    assert_eq!((world.claims().len(), world.mirror.expected().len()), (1, 1), "it counts as long as nobody knows");
    world.settled().await;
    assert_eq!((world.claims().len(), world.nodes().len()), (1, 1));
    assert!(world.mirror.expected().is_empty());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_out_of_stock_is_bought_otherwise() {
    let world = World::start(&json!({}));
    world.stock.set_out(vec![UnavailablePattern::parse("*/*/spot").unwrap()]);
    world.waiting("web", 20, "1", "1Gi");
    world.settled().await;
    let types: BTreeSet<String> =
        world.nodes().iter().map(|n| text(n, "/metadata/labels/karpenter.sh~1capacity-type").to_owned()).collect();
    assert_eq!(types, BTreeSet::from(["on-demand".to_owned()]));
    assert!(world.claims().iter().all(|claim| claim.pointer("/status/providerID").is_some()));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_never_overshot_though_claims_are_slow() {
    let world = World::start(&json!({"cpu": "60", "nodes": "7"}));
    // Claims are seen late, and pods come while the first are under way.
    for wave in 0..4 {
        world.waiting(&format!("wave{wave}"), 10, "2", "1Gi");
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    }
    world.settled().await;
    let used: i64 = world.nodes().iter().map(|node| cpu(text(node, "/status/capacity/cpu"))).sum();
    assert!((40_000..=60_000).contains(&used), "{used}");
    assert!(world.claims().len() <= 7);
    let decision = world.decisions.borrow().clone().unwrap();
    let codes: BTreeMap<String, usize> =
        decision.plan.unplaced.iter().map(|u| (format!("{:?}", u.reasons[0].code), u.pods.len())).collect();
    assert_eq!(codes.keys().collect::<Vec<_>>(), ["LimitExceeded"]);
    assert!(world.recorder.said().iter().any(|(_, event)| event.reason == "FailedScheduling"));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_vanishes_while_the_watch_is_cut_off_vanishes_from_the_mirror() {
    let world = World::start(&json!({}));
    world.waiting("web", 50, "1", "1Gi");
    world.settled().await;
    assert_eq!(world.mirror.n_pods(), 50);
    let hit = |fault| Rule::first(3, Filter { id: Some(Id::POD), verb: Some(Verb::Watch), ..Filter::default() }, fault);
    world.server.add_fault(hit(Fault::Unavailable));
    world.server.close_watches(Id::POD);
    for n in 0..30 {
        let key = Key::new("default", format!("web-{n}"));
        let options = sim::kube::DeleteOptions { grace: Some(0), ..Default::default() };
        world.direct.delete(Id::POD, &key, &options).unwrap();
    }
    world.server.compact(Id::POD);
    world.direct.put(pod("late", "1", "1Gi")).unwrap();
    tokio::time::sleep(std::time::Duration::from_mins(2)).await;
    assert_eq!(world.mirror.n_pods(), 21);
    assert!(world.mirror.pod("default", "late").is_some());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_whose_connection_has_died_in_silence_is_begun_anew_within_a_minute() {
    let world = World::start(&json!({}));
    let pods = Filter { id: Some(Id::POD), verb: Some(Verb::Watch), ..Filter::default() };
    let seconds = std::time::Duration::from_secs;
    world.server.add_fault(Rule::first(1, pods, Fault::WatchSilent(seconds(5))));
    tokio::time::sleep(seconds(10)).await;
    world.waiting("web", 3, "1", "1Gi");
    tokio::time::sleep(seconds(20)).await;
    assert_eq!(world.mirror.n_pods(), 0, "nothing comes of the watch");
    tokio::time::sleep(seconds(10)).await;
    assert_eq!(world.mirror.n_pods(), 3);
    world.settled().await;
    assert!(!world.nodes().is_empty());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_stream_lists_is_read_in_pages() {
    let world = World::without_streams(&json!({}));
    world.waiting("web", 1200, "100m", "100Mi");
    world.settled().await;
    assert!(world.mirror.synced());
    assert_eq!(world.mirror.n_pods(), 1200);
    assert!(!world.nodes().is_empty());
    let requests = world.server.log();
    let lists = requests.requests().iter().filter(|((who, verb), _)| who == "millwright" && *verb == "list");
    assert!(lists.map(|(_, count)| count).sum::<u64>() > 15);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_write_and_started_again_it_buys_what_was_missing_and_no_more() {
    let bought = async |stop: Option<(u64, Moment)>| {
        let world = World::start(&json!({}));
        if let Some((number, moment)) = stop {
            world.session.stop_at(number, moment);
        }
        world.waiting("small", 30, "900m", "1Gi");
        world.waiting("large", 10, "7", "10Gi");
        tokio::time::sleep(std::time::Duration::from_secs(20)).await;
        let server = world.server.clone();
        let is_stopped = world.session.is_stopped();
        world.stop().await;
        let world = World::on(server);
        world.settled().await;
        let names = |objects: Vec<Value>, path: &str| -> BTreeSet<String> {
            objects.iter().map(|object| text(object, path).to_owned()).collect()
        };
        let claims = names(world.claims(), "/metadata/name");
        // kwok's nodes are called after their claims: none is missing, none has no claim.
        assert_eq!(claims, names(world.nodes(), "/metadata/name"), "{stop:?}");
        assert_eq!(claims.len(), names(world.claims(), "/status/providerID").len(), "{stop:?}");
        world.stop().await;
        (claims.len(), is_stopped)
    };
    let (undisturbed, _) = bought(None).await;
    let mut reached = 0;
    for number in [1, 3, 5, 8, 13] {
        for moment in [Moment::Before, Moment::After] {
            let (claims, is_stopped) = bought(Some((number, moment))).await;
            assert_eq!(claims, undisturbed, "stopped {moment:?} write {number}");
            reached += usize::from(is_stopped);
        }
    }
    assert!(reached > 6, "only {reached} of the kills took effect");
}

/// An overlay of kwok's amd64 machines with more in its spec.
fn overlay(name: &str, weight: i64, more: &Value) -> Value {
    let mut spec = json!({"weight": weight, "requirements": [
        {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]});
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    json!({"apiVersion": "karpenter.sh/v1alpha1", "kind": "NodeOverlay", "metadata": {"name": name}, "spec": spec})
}

#[tokio::test(start_paused = true)]
async fn of_two_overlays_of_one_weight_one_is_applied_and_the_other_says_why_not() {
    let world = World::with_overlays(&json!({}));
    world.direct.put(overlay("dear", 5, &json!({"price": "100"}))).unwrap();
    world.direct.put(overlay("cheap", 5, &json!({"price": "0.0001"}))).unwrap();
    world.waiting("web", 3, "900m", "1Gi");
    world.settled().await;
    let standing = || -> BTreeMap<String, (String, String)> {
        let all = world.direct.list(id("karpenter.sh/v1alpha1", "NodeOverlay"));
        let one = |o: &Value| {
            let conditions = o.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
            let validated = conditions.iter().find(|c| c["type"] == "ValidationSucceeded").cloned().unwrap_or_default();
            let part = |field: &str| validated[field].as_str().unwrap_or_default().to_owned();
            (text(o, "/metadata/name").to_owned(), (part("status"), part("reason")))
        };
        all.iter().map(|o| one(o.value())).collect()
    };
    let said = |status: &str, reason: &str| (status.to_owned(), reason.to_owned());
    // The later name comes first.
    let found = standing();
    assert_eq!(found["dear"].0, "True");
    assert_eq!(found["cheap"], said("False", "Conflict"));
    // With another weight both are applied.
    world.direct.put(overlay("cheap", 6, &json!({"price": "0.0001"}))).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    assert_eq!(standing()["cheap"].0, "True");
    world.stop().await;
}
