//! What is measured of pods and of the nodes they are on.

mod clocks;
mod conditions;
pub mod state;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use cloud::Cloud;
use planner::model::Str;
use tokio_util::sync::CancellationToken;

use super::deps::Deps;
use crate::observe::mirror::Kind;
use crate::telemetry::{Page, label_name};

pub use clocks::{Clock, Clocks};

/// Follows pods until `stop`, and shows how they and their nodes stand to whoever scrapes meanwhile.
pub async fn run<C: Cloud>(deps: Arc<Deps<C>>, stop: CancellationToken) {
    let mut changes = deps.world.mirror.changes(&[Kind::Pod]);
    let (world, clock, observes_state) = (deps.world.clone(), deps.clock, deps.observes_state);
    let kind = deps.cloud.classes().first();
    let class_label =
        kind.map_or_else(String::new, |kind| label_name(&format!("{}/{}", kind.group, kind.kind.to_lowercase())));
    deps.metrics.show_also(Some(Page::new(move |out| {
        let now = clock.seconds();
        conditions::nodes(&world, &class_label, now, out);
        if observes_state {
            state::nodes(&world, now, out);
            state::pods(&world, out);
            state::waits(&world, now, out);
        }
    })));
    loop {
        let change = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            change = changes.next() => change,
        };
        let key: Str = format!("{}/{}", change.namespace, change.name).into();
        let pod = deps.world.mirror.pod(&change.namespace, &change.name);
        deps.world.clocks.look(&key, pod.as_deref(), deps.clock.seconds(), &deps.metrics);
    }
    deps.metrics.show_also(None);
}
