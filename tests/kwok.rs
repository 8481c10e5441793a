//! The kwok provider on an API server in memory: bought once, found again, ended for good.
#![expect(clippy::unwrap_used, reason = "a set-up that does not come about has failed its test")]

use std::time::Duration;

use cloud::catalog::KwokSettings;
use cloud::{ClassRef, Cloud, InstanceState, LaunchError, LaunchOrder, Termination, offers};
use jiff::Timestamp;
use millwright::client::Clients;
use millwright::clock::Clock;
use millwright::kwok::{Kwok, Stock};
use millwright::observe::mirror::{Kind, Mirror};
use millwright::observe::watch;
use planner::model::{Labels, Requirement, Requirements, Resources};
use serde_json::{Value, json};
use sim::kube::{ApiServer, Fault, Filter, Id, Rule, Verb};
use tokio::task::JoinSet;

struct World {
    server: ApiServer,
    kwok: Kwok,
    _watches: JoinSet<()>,
}

impl World {
    async fn new(class: Option<Value>) -> Self {
        let server = ApiServer::new(1);
        if let Some(class) = class {
            server.direct("test").put(class).unwrap();
        }
        let clients = Clients::from_service(server.session("millwright"));
        let mirror = Mirror::new(&[Kind::KwokNodeClass, Kind::NodeClaim]);
        let mut watches = JoinSet::new();
        watches.spawn(watch::run(clients.client.clone(), mirror.clone(), vec![Kind::KwokNodeClass, Kind::NodeClaim]));
        mirror.until_synced().await;
        let clock = Clock::from(Timestamp::from_second(server.clock().seconds()).unwrap());
        let settings = KwokSettings::default();
        let kwok = Kwok::new(clients.once, mirror, clock, &settings, Stock::default()).unwrap();
        Self { server, kwok, _watches: watches }
    }

    fn nodes(&self) -> usize {
        self.server.direct("test").list(Id::NODE).len()
    }

    async fn order(&self, token: &str, claim: &str) -> LaunchOrder {
        let class =
            ClassRef { group: "karpenter.kwok.sh".into(), kind: "KWOKNodeClass".into(), name: "default".into() };
        let mut requirements = Requirements::new();
        requirements.add(Requirement::equal("kubernetes.io/os", "linux"));
        let requests = Resources::of([("cpu", 1000)]);
        let catalog = self.kwok.catalog(&class).await.unwrap();
        LaunchOrder {
            token: token.into(),
            claim: claim.into(),
            pool: None,
            class,
            offers: offers(&catalog, &requirements, &requests),
            requirements,
            requests,
            labels: Labels::new(),
            annotations: Labels::new(),
            taints: Vec::new(),
            startup_taints: Vec::new(),
            takes_less_choice: false,
        }
    }
}

fn class(delay: Option<&str>) -> Value {
    let spec = delay.map_or_else(|| json!({}), |delay| json!({"nodeRegistrationDelay": delay}));
    json!({"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": {"name": "default"}, "spec": spec})
}

#[tokio::test(start_paused = true)]
async fn the_same_token_gives_the_same_instance_also_when_an_answer_was_lost() {
    let world = World::new(Some(class(None))).await;
    let filter = Filter { verb: Some(Verb::Create), id: Some(Id::NODE), ..Filter::default() };
    world.server.add_fault(Rule::first(1, filter, Fault::LostAfter));
    let order = world.order("uid-1", "general-a").await;
    assert!(matches!(world.kwok.launch(&order).await, Err(LaunchError::Unreachable { .. })));
    let first = world.kwok.launch(&order).await.unwrap();
    assert_eq!(world.kwok.launch(&order).await.unwrap(), first);
    assert_eq!((world.nodes(), &*first.provider_id), (1, "kwok://general-a"));
    assert_eq!(world.kwok.instances().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_another_claim_has_is_refused() {
    let world = World::new(Some(class(None))).await;
    world.kwok.launch(&world.order("uid-1", "general-a").await).await.unwrap();
    let answer = world.kwok.launch(&world.order("uid-2", "general-a").await).await;
    assert!(matches!(answer, Err(LaunchError::Rejected { reason, .. }) if reason == "NodeNameTaken"));
}

#[tokio::test(start_paused = true)]
async fn a_class_that_is_missing_is_no_capacity() {
    let world = World::new(None).await;
    let answer = world.kwok.launch(&world.order("uid-1", "general-a").await).await;
    assert!(matches!(answer, Err(LaunchError::InsufficientCapacity { refused, .. }) if refused.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_node_comes_after_its_registration_delay_unless_it_is_ended_before() {
    let world = World::new(Some(class(Some("30s")))).await;
    let staying = world.kwok.launch(&world.order("uid-1", "general-a").await).await.unwrap();
    let going = world.kwok.launch(&world.order("uid-2", "general-b").await).await.unwrap();
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(world.nodes(), 0);
    assert_eq!(world.kwok.terminate(&going.provider_id).await.unwrap(), Termination::Gone);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(world.nodes(), 1);
    let found = world.kwok.instance(&staying.provider_id).await.unwrap().unwrap();
    assert_eq!((found.token.as_deref(), found.state), (Some("uid-1"), InstanceState::Running));
    assert_eq!(world.kwok.instance(&going.provider_id).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_ended_is_gone_however_often_it_is_asked() {
    let world = World::new(Some(class(None))).await;
    let instance = world.kwok.launch(&world.order("uid-1", "general-a").await).await.unwrap();
    for _ in 0..2 {
        assert_eq!(world.kwok.terminate(&instance.provider_id).await.unwrap(), Termination::Gone);
    }
    assert_eq!((world.nodes(), world.kwok.instances().await.unwrap().len()), (0, 0));
}
