//! Says of each `NodeOverlay` whether it is applied, and if not why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cloud::{ClassRef, Cloud};
use crds::conditions::{ConditionSet, ConditionTypes};
use crds::{Condition, NodeOverlay};
use planner::model::Str;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::deps::Deps;
use super::fault::Fault;
use super::time;
use crate::act::class_ref;
use crate::act::merge::merge_patch;
use crate::observe::mirror::{Change, Kind};
use crate::observe::{Catalogs, Options, OverlayFault};

const VALIDATION_SUCCEEDED: &str = "ValidationSucceeded";
/// What changes which overlays there are, or what they apply to.
const KINDS: [Kind; 4] = [Kind::NodeOverlay, Kind::NodePool, Kind::KwokNodeClass, Kind::Ec2NodeClass];
/// After the last change it looks in any case: what is sold changes without any object changing.
const PERIOD: Duration = Duration::from_hours(6);
/// Changes often come together; they are looked at together, but not later than after the second span.
const QUIET: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(5);
/// After a look that failed.
const AGAIN: Duration = Duration::from_secs(10);
/// Overlays of one page, and of all. Who has more of them sees no status on the rest.
const PAGE: u32 = 500;
const MOST: usize = 10_000;

/// What is wrong with overlays, by name.
type Faults = BTreeMap<Str, OverlayFault>;

/// Looks at every change until `stop`. Does nothing unless overlays are applied at all.
pub async fn run<C: Cloud>(deps: Arc<Deps<C>>, stop: CancellationToken) {
    let Some(options) = deps.overlays.clone() else { return };
    let mut changes = deps.world.mirror.changes(&KINDS);
    let mut written: Option<Faults> = None;
    let mut wait = PERIOD;
    loop {
        let first = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            first = changes.next() => Some(first),
            () = tokio::time::sleep(wait) => None,
        };
        let mut all: Vec<Change> = first.into_iter().collect();
        let gathering = async {
            while let Ok(next) = tokio::time::timeout(QUIET, changes.next()).await {
                all.push(next);
            }
        };
        // Running out of time is no loss: what was not gathered waits.
        let _ = tokio::time::timeout(LONGEST, gathering).await;
        if all.iter().any(|change| change.kind == Kind::NodeOverlay) {
            written = None;
        }
        wait = match look(&deps, &options, written.as_ref()).await {
            Ok(faults) => {
                written = Some(faults);
                PERIOD
            }
            Err(fault) => {
                tracing::error!(error = %fault, "writing the status of NodeOverlays");
                written = None;
                AGAIN
            }
        };
    }
}

/// Finds what is wrong with which overlay, and writes it unless it is what was `written` last.
async fn look<C: Cloud>(deps: &Deps<C>, options: &Options, written: Option<&Faults>) -> Result<Faults, Fault> {
    let mirror = &deps.world.mirror;
    let catalogs = catalogs(deps).await;
    let faults = match mirror.overlay_faults(deps.cloud.classes(), &catalogs, options) {
        Ok(faults) => faults,
        Err(error) => {
            tracing::warn!(%error, "NodeOverlays cannot be judged");
            return Ok(Faults::new());
        }
    };
    if written == Some(&faults) {
        return Ok(faults);
    }
    for overlay in deps.api.list::<NodeOverlay>(PAGE, MOST).await? {
        let name = overlay.metadata.name();
        if overlay.metadata.is_deleting() {
            continue;
        }
        if let Some(patch) = patch(&overlay, faults.get(name), deps.clock.seconds()) {
            if let Some(fault) = faults.get(name) {
                tracing::warn!(NodeOverlay = name, "the overlay is not applied: {fault}");
            }
            let _: NodeOverlay = deps.api.merge_status("", name, patch).await?;
        }
    }
    Ok(faults)
}

/// What the classes of all pools sell.
async fn catalogs<C: Cloud>(deps: &Deps<C>) -> Catalogs {
    let pools = deps.world.mirror.pools();
    let of_pool = pools.iter().map(|pool| &pool.spec.template.spec.node_class_ref);
    let classes: BTreeSet<ClassRef> = of_pool.filter(|class| deps.is_managed(class)).map(class_ref).collect();
    let mut out = Catalogs::new();
    for class in classes {
        // A class that sells nothing now has nothing that an overlay could change.
        if let Ok(catalog) = deps.cloud.catalog(&class).await {
            out.insert(class, catalog);
        }
    }
    out
}

/// The patch of an overlay's status at second `now`; None if nothing differs.
fn patch(overlay: &NodeOverlay, fault: Option<&OverlayFault>, now: i64) -> Option<Value> {
    let written = overlay.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
    let mut conditions =
        ConditionSet::new(ConditionTypes::node_overlay(), &overlay.metadata, written.clone(), &time::text(now));
    let _changed = match fault {
        None => conditions.set_true(VALIDATION_SUCCEEDED),
        Some(OverlayFault::Invalid(why)) => conditions.set_false(VALIDATION_SUCCEEDED, "RuntimeValidation", why),
        Some(conflict @ OverlayFault::Conflict { .. }) => {
            let message = format!("conflict with another overlay: {conflict}");
            conditions.set_false(VALIDATION_SUCCEEDED, "Conflict", &message)
        }
    };
    let part = |conditions: &[Condition]| json!({ "status": { "conditions": conditions } });
    merge_patch(&part(&written), &part(conditions.conditions()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay() -> NodeOverlay {
        serde_json::from_value(json!({
            "apiVersion": "karpenter.sh/v1alpha1", "kind": "NodeOverlay", "metadata": {"name": "a", "generation": 2},
            "spec": {"requirements": []},
        }))
        .unwrap()
    }

    fn said(patch: &Value, kind: &str) -> (String, String, String) {
        let all = patch["status"]["conditions"].as_array().unwrap();
        let condition = all.iter().find(|condition| condition["type"] == kind).unwrap();
        let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"), text("message"))
    }

    #[test]
    fn an_overlay_that_is_applied_is_ready_and_is_written_once() {
        let mut overlay = overlay();
        let first = patch(&overlay, None, 10).unwrap();
        assert_eq!(said(&first, "ValidationSucceeded").0, "True");
        assert_eq!(said(&first, "Ready").0, "True");
        overlay.status = serde_json::from_value(first["status"].clone()).unwrap();
        assert_eq!(patch(&overlay, None, 20), None);
    }

    #[test]
    fn what_is_wrong_is_the_reason() {
        let conflict = OverlayFault::Conflict { with: "b".into(), over: "the price of m5.large/a/spot".into() };
        let found = said(&patch(&overlay(), Some(&conflict), 10).unwrap(), "ValidationSucceeded");
        assert_eq!((found.0.as_str(), found.1.as_str()), ("False", "Conflict"));
        assert!(
            found.2.starts_with("conflict with another overlay") && found.2.contains("NodeOverlay b"),
            "{}",
            found.2
        );
        let invalid = OverlayFault::Invalid("spec.price: is no price".into());
        let patch = patch(&overlay(), Some(&invalid), 10).unwrap();
        assert_eq!(said(&patch, "ValidationSucceeded").1, "RuntimeValidation");
        assert_eq!(said(&patch, "Ready").0, "False");
    }
}
