//! Zones that ARC moves the cluster away from: nothing is bought there, and EC2 is not asked about the machines in them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cloud::aws::shift::{self, Shifted};
use planner::model::Str;
use tokio::time::sleep;

use super::market::zones_of;
use super::{Shared, is_ours};
use crate::events::{About, catalog};

/// How often ARC is asked.
const PERIOD: Duration = Duration::from_secs(30);

/// Looks every half minute, if it is to be looked at.
pub(super) async fn run(shared: Arc<Shared>) {
    let Some(arn) = shared.settings.cluster_arn.clone().filter(|_| shared.settings.config.enable_zonal_shift) else {
        return;
    };
    shared.mirror.until_synced().await;
    let mut told_before = BTreeSet::new();
    loop {
        let now = shared.clock.seconds();
        let answer = shift::ask(shared.clients(), &arn, now).await;
        if let Err(error) = &answer {
            tracing::warn!(%error, "asking which zones the cluster is moved away from; what was told holds until its time is over");
        }
        told_before = take(&shared, &told_before, answer.ok());
        sleep(PERIOD).await;
    }
}

/// Acts on what ARC told; what is shifted now.
fn take(shared: &Shared, before: &BTreeSet<Str>, told: Option<Shifted>) -> BTreeSet<Str> {
    let now = shared.market.saw_shifts(told, shared.clock.seconds());
    let classes = shared.mirror.ec2_classes();
    shared.seller.keep_quiet(classes.iter().flat_map(|class| zones_of(class, |id| now.contains(id))).collect());
    for (id, is_active) in
        now.difference(before).map(|id| (id, true)).chain(before.difference(&now).map(|id| (id, false)))
    {
        let zone = classes.iter().find_map(|class| zones_of(class, |of| *of == **id).pop_first()).unwrap_or_default();
        tracing::info!(zone = &*zone, zone_id = &**id, is_active, "zonal shift");
        for pool in shared.mirror.pools() {
            let class = &pool.spec.template.spec.node_class_ref;
            let is_affected = is_ours(class)
                && classes
                    .iter()
                    .any(|one| one.metadata.name() == class.name && !zones_of(one, |of| *of == **id).is_empty());
            if is_affected {
                let uid = pool.metadata.uid.as_deref().unwrap_or_default();
                let event = if is_active {
                    catalog::zonal_shift_active(uid, &zone, id)
                } else {
                    catalog::zonal_shift_cleared(uid, &zone, id)
                };
                shared.recorder.publish(About::node_pool(pool.metadata.name(), uid), event);
            }
        }
    }
    now
}
