//! The whole controller, as a leader runs it, on a cluster in memory and under a virtual clock.
#![expect(clippy::expect_used, reason = "what is not there has failed the test")]

#[path = "whole/cluster.rs"]
mod cluster;

use std::time::Duration;

use cluster::{Cluster, claims};
use sim::kube::Id;
use tokio::time::sleep;

#[tokio::test(start_paused = true)]
async fn pods_get_nodes_and_when_the_pods_go_the_nodes_go() {
    let cluster = Cluster::new(1);
    let life = cluster.live(cluster.server.session("millwright"));
    cluster.deploy("small", 60, "900m", "3100Mi");
    cluster.deploy("large", 60, "3500m", "28Gi");
    sleep(Duration::from_mins(1)).await;
    assert_eq!(cluster.n_running(), 120);
    assert_eq!(cluster.count(claims()), cluster.count(Id::NODE));
    let decision = life.ground.insight.decisions().borrow().clone().unwrap();
    assert!(decision.plan.unplaced.is_empty());
    assert!(life.ground.metrics.render().contains("karpenter_nodeclaims_created_total{"));

    cluster.scale("small", 0);
    cluster.scale("large", 0);
    sleep(Duration::from_mins(2)).await;
    assert_eq!((cluster.count(Id::NODE), cluster.count(claims())), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_told_to_stop_stops_and_nothing_is_written_afterwards() {
    let cluster = Cluster::new(1);
    let life = cluster.live(cluster.server.session("millwright"));
    cluster.deploy("web", 20, "3", "4Gi");
    sleep(Duration::from_secs(30)).await;
    assert_eq!(cluster.n_running(), 20);
    life.stop.cancel();
    life.leading.await.unwrap().unwrap();
    let nodes = cluster.direct.list(Id::NODE).len();
    cluster.deploy("more", 20, "3", "4Gi");
    sleep(Duration::from_mins(2)).await;
    assert_eq!(cluster.direct.list(Id::NODE).len(), nodes);
}
