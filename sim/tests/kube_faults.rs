//! What goes wrong on purpose: faults by rule and by seed, crashes at numbered writes, watches that fall behind.
#![expect(clippy::unwrap_used, reason = "what is not there has failed the test")]

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use sim::clock::Clock;
use sim::kube::{ApiServer, Fault, Filter, Id, Moment, Rule, Session, Verb};

fn maps(session: &Session) -> Api<ConfigMap> {
    Api::default_namespaced(Client::new(session.clone(), "default"))
}

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap()
}

fn post() -> PostParams {
    PostParams::default()
}

fn creates(fault: Fault) -> Rule {
    Rule::first(1, Filter { verb: Some(Verb::Create), ..Filter::default() }, fault)
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_did_nothing_and_a_lost_answer_hides_what_was_done() {
    let server = ApiServer::new(1);
    let api = maps(&server.session("me"));
    server.add_fault(creates(Fault::LostBefore));
    assert!(matches!(api.create(&post(), &map("a")).await, Err(kube::Error::Service(_))));
    assert!(api.get_opt("a").await.unwrap().is_none());
    server.add_fault(creates(Fault::LostAfter));
    assert!(api.create(&post(), &map("a")).await.is_err());
    assert!(api.get_opt("a").await.unwrap().is_some());
    let log: Vec<String> = server.log().lines().map(str::to_owned).collect();
    assert!(log[0].ends_with("me create configmaps default/: lost before execution"), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn refusals_by_rule_have_their_codes() {
    let server = ApiServer::new(1);
    let api = maps(&server.session("me"));
    for (fault, code, reason) in [
        (Fault::Expired, 410, "Expired"),
        (Fault::TooManyRequests(Some(3)), 429, "TooManyRequests"),
        (Fault::Internal, 500, "InternalError"),
        (Fault::Unavailable, 503, "ServiceUnavailable"),
    ] {
        server.add_fault(creates(fault));
        let Err(kube::Error::Api(status)) = api.create(&post(), &map("a")).await else { unreachable!("{fault:?}") };
        assert_eq!((status.code, status.reason.as_str()), (code, reason));
    }
    api.create(&post(), &map("a")).await.unwrap();
    let patch = Patch::Merge(json!({ "data": { "x": "1" } }));
    server.add_fault(Rule::first(1, Filter::default(), Fault::Conflict));
    let Err(kube::Error::Api(status)) = api.patch("a", &PatchParams::default(), &patch).await else { unreachable!() };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    api.patch("a", &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_rule_spares_some_and_hits_some() {
    let server = ApiServer::new(1);
    let api = maps(&server.session("me"));
    let filter = Filter { session: Some("me".into()), id: Some(Id::CONFIG_MAP), ..Filter::default() };
    server.add_fault(Rule { filter, skip: 1, times: 2, fault: Fault::Internal });
    let mut outcomes = Vec::new();
    for at in 0..4 {
        outcomes.push(api.create(&post(), &map(&format!("m{at}"))).await.is_ok());
    }
    assert_eq!(outcomes, [true, false, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_one_of_the_virtual_clock() {
    let server = ApiServer::new(1);
    let api = maps(&server.session("me"));
    server.add_fault(creates(Fault::Delay(Duration::from_secs(40))));
    let begun = tokio::time::Instant::now();
    api.create(&post(), &map("a")).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 40);
}

#[tokio::test(start_paused = true)]
async fn faults_by_chance_are_those_of_the_seed() {
    let run = |seed| async move {
        let server = ApiServer::new(1);
        let api = maps(&server.session("me"));
        server.add_random_faults("me", seed, 300, &[Fault::Internal, Fault::LostAfter]);
        for at in 0..40 {
            drop(api.create(&post(), &map(&format!("m{at}"))).await);
        }
        server.log().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let first = run(3).await;
    assert_eq!(first, run(3).await);
    assert_ne!(first, run(4).await);
    let n_fired = first.iter().filter(|line| line.contains("answered 500") || line.contains("lost after")).count();
    assert!((5..20).contains(&n_fired), "{n_fired} of 40");
}

/// Creates, patches and deletes; how far it came.
async fn work(session: Session) -> &'static str {
    let api = maps(&session);
    api.create(&post(), &map("a")).await.unwrap();
    api.patch("a", &PatchParams::default(), &Patch::Merge(json!({ "data": { "x": "1" } }))).await.unwrap();
    api.delete("a", &DeleteParams::default()).await.unwrap();
    "done"
}

#[tokio::test(start_paused = true)]
async fn a_client_can_be_stopped_at_every_write_before_and_after_it() {
    // What is there when the client was stopped: nothing, the map, the map with data.
    let mut seen = Vec::new();
    for number in 1..=3 {
        for moment in [Moment::Before, Moment::After] {
            let server = ApiServer::new(1);
            let session = server.session("me");
            session.stop_at(number, moment);
            tokio::select! {
                biased;
                done = work(session.clone()) => unreachable!("{done}"),
                () = session.stopped() => {}
            }
            let found = server.direct("test").list(Id::CONFIG_MAP);
            seen.push(found.first().map(|map| map.text("/data/x").to_owned()));
        }
    }
    let (nothing, bare, full) = (None, Some(String::new()), Some("1".to_owned()));
    assert_eq!(seen, [nothing.clone(), bare.clone(), bare, full.clone(), full, nothing]);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_session_does_nothing_any_more_and_another_goes_on() {
    let server = ApiServer::new(1);
    let session = server.session("me");
    let api = maps(&session);
    api.create(&post(), &map("a")).await.unwrap();
    session.stop();
    let ghost = tokio::spawn(async move { api.create(&post(), &map("b")).await });
    tokio::time::sleep(Duration::from_secs(1000)).await;
    assert!(!ghost.is_finished());
    let again = maps(&server.session("me"));
    assert!(again.get_opt("b").await.unwrap().is_none() && again.get_opt("a").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn leases_are_not_counted_among_the_writes() {
    let server = ApiServer::new(1);
    let session = server.session("me");
    let leases: Api<Lease> = Api::default_namespaced(Client::new(session.clone(), "default"));
    let lease: Lease = serde_json::from_value(json!({ "metadata": { "name": "l" } })).unwrap();
    leases.create(&post(), &lease).await.unwrap();
    assert_eq!(session.n_writes(), 0);
    maps(&session).create(&post(), &map("a")).await.unwrap();
    assert_eq!(session.n_writes(), 1);
    assert_eq!(server.log().requests()[&("me".to_owned(), "create")], 2);
}

/// What a watcher makes of the changes: names added (or kept) and removed.
async fn follow(
    mut events: impl futures::Stream<Item = watcher::Result<Event<ConfigMap>>> + Unpin,
    n: usize,
) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.len() < n {
        match events.next().await.unwrap() {
            Ok(Event::Apply(map) | Event::InitApply(map)) => seen.push(format!("+{}", map.name_any())),
            Ok(Event::Delete(map)) => seen.push(format!("-{}", map.name_any())),
            Ok(Event::Init) => seen.push("list".to_owned()),
            Ok(Event::InitDone) => {}
            Err(error) => seen.push(
                if error.to_string().contains("410") || format!("{error:?}").contains("410") {
                    "gone"
                } else {
                    "error"
                }
                .to_owned(),
            ),
        }
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn a_watcher_lists_again_after_a_gap() {
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let server = ApiServer::new(1);
        let api = maps(&server.session("me"));
        api.create(&post(), &map("a")).await.unwrap();
        let mut events = Box::pin(watcher::watcher(api.clone(), config));
        assert_eq!(follow(&mut events, 2).await, ["list", "+a"]);
        api.create(&post(), &map("b")).await.unwrap();
        assert_eq!(follow(&mut events, 1).await, ["+b"]);
        // A watch that ends is taken up where it was.
        server.close_watches(Id::CONFIG_MAP);
        api.create(&post(), &map("c")).await.unwrap();
        assert_eq!(follow(&mut events, 1).await, ["+c"]);
        // One whose changes are forgotten is not.
        api.delete("a", &DeleteParams::default()).await.unwrap();
        server.compact(Id::CONFIG_MAP);
        assert_eq!(follow(&mut events, 4).await, ["gone", "list", "+b", "+c"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lags_streams_an_old_list_and_pages_the_present() {
    let server = ApiServer::new(1);
    let api = maps(&server.session("me"));
    for name in ["a", "b", "c"] {
        api.create(&post(), &map(name)).await.unwrap();
    }
    server.set_lag(2, Duration::from_secs(3));
    for (config, at_once) in [(watcher::Config::default(), 3), (watcher::Config::default().streaming_lists(), 1)] {
        let began = tokio::time::Instant::now();
        let mut events = Box::pin(watcher::watcher(api.clone(), config));
        assert_eq!(follow(&mut events, 1 + at_once).await, ["list", "+a", "+b", "+c"][..=at_once]);
        assert!(began.elapsed() < Duration::from_secs(3));
        assert_eq!(follow(&mut events, 3 - at_once).await, ["+a", "+b", "+c"][at_once..]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_falls_out_of_the_window_is_told_that_it_is_too_late() {
    let server = ApiServer::with_window(1, Clock::new(), 10);
    let api = maps(&server.session("me"));
    let version = api.create(&post(), &map("a")).await.unwrap().resource_version().unwrap();
    let watch = api.watch(&WatchParams::default().timeout(60), &version).await.unwrap();
    for at in 0..30 {
        api.create(&post(), &map(&format!("m{at:02}"))).await.unwrap();
    }
    let events: Vec<_> = watch.collect().await;
    let [Ok(WatchEvent::Error(status))] = events.as_slice() else { unreachable!("{events:?}") };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
}
