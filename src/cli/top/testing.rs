//! A small cluster's view, for tests.

use planner::model::{Code, MicroUsdPerHour, Reason};

use super::nodes::{NodeRow, State};
use super::pending::PendingRow;
use super::view::{Move, PoolRow, ReasonRow, View};

/// A node at $0.096 an hour, half full.
pub fn node(name: &str, state: State) -> NodeRow {
    NodeRow {
        name: name.into(),
        pool: "general".into(),
        instance_type: "m5.large".into(),
        zone: "us-east-1a".into(),
        capacity_type: "on-demand".into(),
        hourly_price: Some(MicroUsdPerHour(96_000)),
        cpu: Some(0.5),
        memory: Some(0.25),
        pods: 4,
        state,
    }
}

/// Three nodes, a claim, pods that wait and pods without a place.
pub fn small() -> View {
    let message = "limits.cpu 200 of NodePool general is used up: 198 in use, 4 asked for".to_owned();
    let miss = Some("limits.cpu 200 → 202".to_owned());
    let reason = Reason {
        pool: "general".into(),
        code: Code::LimitExceeded,
        message: message.clone(),
        nearest_miss: miss.clone(),
    };
    let mut spot = node("general-7xk2p", State::Ready);
    (spot.capacity_type, spot.instance_type, spot.cpu, spot.memory) =
        ("spot".into(), "c7i-flex.8xlarge".into(), Some(0.97), Some(1.04));
    let bare = NodeRow { cpu: None, memory: None, pods: 0, ..node("general-new42", State::Coming) };
    View {
        taken_at: 1_790_000_000,
        nodes: vec![
            node("general-2b9fq", State::Ready),
            spot,
            NodeRow { pool: String::new(), hourly_price: None, ..node("master-0", State::Unmanaged) },
            bare,
        ],
        pools: vec![
            PoolRow {
                name: "general".into(),
                nodes: 2,
                claims: 1,
                pods: 8,
                hourly_cost: MicroUsdPerHour(192_000),
                cpu: Some(0.735),
                memory: Some(0.645),
                ..PoolRow::default()
            },
            PoolRow { nodes: 1, pods: 4, cpu: Some(0.5), memory: Some(0.25), ..PoolRow::default() },
        ],
        cpu: Some(0.66),
        memory: Some(0.51),
        pods_running: 12,
        pods_pending: 9,
        pods_nominated: 2,
        pending: vec![
            PendingRow {
                name: "batch/big-…".into(),
                requests: "4 8Gi".into(),
                to_existing: 0,
                to_new: 0,
                without_place: 1,
                reason: Some(reason),
                more_reasons: 0,
            },
            PendingRow {
                name: "shop/web-7d9c-…".into(),
                requests: "500m 1Gi".into(),
                to_existing: 2,
                to_new: 6,
                without_place: 0,
                reason: None,
                more_reasons: 0,
            },
        ],
        hourly_cost: MicroUsdPerHour(192_000),
        nodes_without_price: 1,
        planned_cost: MicroUsdPerHour(154_000),
        planned_bound: MicroUsdPerHour(150_000),
        planned_greedy: MicroUsdPerHour(192_000),
        launches: vec![Move {
            pool: "general".into(),
            instance_type: "m6g.large".into(),
            zone: "us-east-1b".into(),
            capacity_type: "on-demand",
            hourly_price: MicroUsdPerHour(77_000),
            nodes: 2,
            pods: 6,
        }],
        launches_total: 2,
        reasons: vec![ReasonRow { code: Code::LimitExceeded, pods: 1, message, others: 0, nearest_miss: miss }],
    }
}
