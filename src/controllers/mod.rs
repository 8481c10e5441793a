//! Controllers: one object, one state machine each. Steps are functions from what is written on the objects to what is to
//! be done next; a thin runner does it, and looks again.

mod buffer;
pub mod claim;
pub mod deps;
pub mod disruption;
pub mod fault;
pub mod garbage;
pub mod gauges;
pub mod interruption;
pub mod node;
mod overlay;
pub mod pods;
pub mod pool;
pub mod queue;
mod router;
pub mod run;
mod statics;
pub mod status;
mod strangers;
pub(crate) mod time;
mod wait;
pub mod world;

use std::sync::Arc;

use cloud::Cloud;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use claim::run::Claims;
use node::run::Nodes;
use pool::run::Pools;
use queue::Queue;
use router::Router;
use run::Reconcile;

pub use deps::Deps;
pub use world::World;

/// Runs every controller until `stop`. The mirror should be watching; nothing is done before it is synced. Dropped, it
/// stops at once, wherever it is.
pub async fn run<C: Cloud>(deps: Arc<Deps<C>>, stop: CancellationToken) {
    tokio::select! {
        biased;
        () = stop.cancelled() => return,
        () = deps.world.mirror.until_synced() => {}
    }
    let metrics = || deps.metrics.clone();
    let claims = Arc::new(Queue::metered(Claims::<C>::BACKOFF, Claims::<C>::NAME, metrics()));
    let nodes = Arc::new(Queue::metered(Nodes::<C>::BACKOFF, Nodes::<C>::NAME, metrics()));
    let pools = Arc::new(Queue::metered(Pools::<C>::BACKOFF, Pools::<C>::NAME, metrics()));
    let router = Router::new(deps.world.clone(), claims.clone(), nodes.clone(), pools.clone());
    let (gate, told, stopped) = (deps.gate.clone(), claims.clone(), stop.clone());
    let mut all = JoinSet::new();
    all.spawn(run::run(Arc::new(Pools::new(deps.clone())), pools, metrics(), stop.clone()));
    all.spawn(run::run(Arc::new(Claims::new(deps.clone())), claims, metrics(), stop.clone()));
    all.spawn(run::run(Arc::new(Nodes::new(deps.clone())), nodes, metrics(), stop.clone()));
    all.spawn(router.run(stop.clone()));
    all.spawn(async move {
        let may_open = |claim: &str| told.add(claim);
        tokio::select! {
            biased;
            () = stopped.cancelled() => {}
            () = gate.run(&may_open) => {}
        }
    });
    all.spawn(status::run(deps.clone(), stop.clone()));
    all.spawn(gauges::run(deps.clone(), stop.clone()));
    all.spawn(pods::run(deps.clone(), stop.clone()));
    all.spawn(garbage::run(deps.clone(), stop.clone()));
    all.spawn(interruption::run(deps.clone(), stop.clone()));
    all.spawn(overlay::run(deps.clone(), stop.clone()));
    all.spawn(buffer::run(deps.clone(), stop.clone()));
    all.spawn(statics::run(deps.clone(), stop.clone()));
    all.spawn(disruption::run(deps, stop));
    while let Some(ended) = all.join_next().await {
        // Whoever waits for us ends the process then: it is better started anew than run without a part.
        if let Err(error) = ended {
            tracing::error!(%error, "a controller broke off");
            return;
        }
    }
}
