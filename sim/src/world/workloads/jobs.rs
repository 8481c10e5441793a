//! Jobs: so many pods at a time until so many have succeeded.

use serde_json::json;

use crate::kube::object::metadata;
use crate::kube::{Direct, Object};

use super::common::{create, is_active, is_ready, number, pod, pods_of, set_status};

/// Makes pods; false if there is more to do.
pub(super) fn sync(api: &Direct, job: &Object) -> bool {
    if job.is_condition_true("Complete") || job.at("/spec/suspend") == Some(&true.into()) {
        return true;
    }
    let pods = pods_of(api, job);
    let n_succeeded = pods.iter().filter(|pod| pod.text("/status/phase") == "Succeeded").count();
    let n_active = pods.iter().filter(|pod| is_active(pod)).count();
    let parallelism = number(job, "/spec/parallelism");
    let completions = job.at("/spec/completions").map(|_| number(job, "/spec/completions"));
    let wanted = match completions {
        Some(completions) => parallelism.min(completions.saturating_sub(n_succeeded)),
        // A work queue: nobody joins once somebody has found it empty.
        None if n_succeeded > 0 => n_active,
        None => parallelism,
    };
    let prefix = format!("{}-", job.name());
    let is_done = create(api, wanted.saturating_sub(n_active), |_| {
        pod(job, |pod| {
            metadata(pod).insert("generateName".to_owned(), prefix.as_str().into());
        })
    });
    let pods = pods_of(api, job);
    let n_active = pods.iter().filter(|pod| is_active(pod)).count();
    let mut status = json!({ "active": n_active, "succeeded": n_succeeded,
        "ready": pods.iter().filter(|pod| is_ready(pod)).count() });
    let is_complete = completions.map_or(n_succeeded > 0 && n_active == 0, |completions| n_succeeded >= completions);
    let time = api.server().clock().text();
    if job.text("/status/startTime").is_empty() {
        status["startTime"] = time.as_str().into();
    }
    if is_complete {
        status["completionTime"] = time.as_str().into();
        status["conditions"] = json!([{ "type": "Complete", "status": "True", "reason": "CompletionsReached", "lastTransitionTime": time }]);
    }
    set_status(api, job, &status);
    is_done
}
