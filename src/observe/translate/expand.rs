//! Workloads with too few pods in the input get the missing ones.

use std::collections::{BTreeMap, BTreeSet};

use planner::model::pod::Owner;
use planner::model::{Labels, Str};

use super::super::error::{InputError, Origin};
use super::super::k8s::pod::PodTemplateSpec;
use super::super::k8s::storage::ClaimTemplate;
use super::super::k8s::{LabelSelector, ObjectMeta, Pod, Workload};
use super::super::objects::{Objects, Sourced};
use super::at::At;
use super::labels::selector;

/// Pods that a workload is short of.
pub(super) struct Missing<'a> {
    pub(super) kind: &'static str,
    pub(super) origin: &'a Origin,
    pub(super) meta: &'a ObjectMeta,
    pub(super) template: &'a PodTemplateSpec,
    pub(super) owner: Owner,
    /// Claims each pod gets.
    pub(super) claims: &'a [ClaimTemplate],
    pub(super) names: Vec<Str>,
    /// Which pods are its own.
    pub(super) selector: Option<&'a LabelSelector>,
}

impl Missing<'_> {
    /// Labels of the member of this name: the template's and those its controller adds.
    pub(super) fn labels(&self, name: &str) -> Labels {
        let mut labels = self.template.metadata.labels.clone();
        let mut add = |key: &str, value: &str| {
            labels.entry(key.into()).or_insert_with(|| value.into());
        };
        match self.kind {
            "Job" => {
                add("job-name", &self.meta.name);
                add("batch.kubernetes.io/job-name", &self.meta.name);
            }
            "StatefulSet" => {
                add("statefulset.kubernetes.io/pod-name", name);
                add("apps.kubernetes.io/pod-index", name.rsplit('-').next().unwrap_or_default());
            }
            _ => {}
        }
        labels
    }
}

/// Pods by namespace, with the names that are taken.
struct Pods<'a> {
    by_namespace: BTreeMap<&'a str, Vec<&'a Pod>>,
    taken: BTreeMap<&'a str, BTreeSet<Str>>,
}

/// What every workload is short of, by kind, namespace and name.
pub(super) fn missing(objects: &Objects) -> Result<Vec<Missing<'_>>, InputError> {
    let mut pods = Pods { by_namespace: BTreeMap::new(), taken: BTreeMap::new() };
    for pod in objects.pods.iter().map(|pod| &pod.object) {
        let namespace = pod.metadata.namespace();
        pods.by_namespace.entry(namespace).or_default().push(pod);
        pods.taken.entry(namespace).or_default().insert(pod.metadata.name.clone());
    }
    let owners = owners(objects);
    let mut out = Vec::new();
    let sets = [
        ("Deployment", &objects.deployments),
        ("ReplicaSet", &objects.replica_sets),
        ("StatefulSet", &objects.stateful_sets),
        ("ReplicationController", &objects.replication_controllers),
    ];
    for (kind, list) in sets {
        for workload in list {
            if !wanted(&workload.object.metadata, &owners) {
                continue;
            }
            out.extend(replicas(kind, workload, &mut pods)?);
        }
    }
    for job in &objects.jobs {
        if wanted(&job.object.metadata, &owners) && !job.object.spec.suspend && !job.object.finished() {
            out.extend(of_job(job, &mut pods)?);
        }
    }
    Ok(out)
}

type Owners<'a> = BTreeSet<(&'static str, &'a str, &'a str)>;

/// (kind, namespace, name) of everything that may own a workload.
fn owners(objects: &Objects) -> Owners<'_> {
    let of = |kind: &'static str, meta| (kind, ObjectMeta::namespace(meta), &*meta.name);
    let deployments = objects.deployments.iter().map(|w| of("Deployment", &w.object.metadata));
    let replica_sets = objects.replica_sets.iter().map(|w| of("ReplicaSet", &w.object.metadata));
    let stateful_sets = objects.stateful_sets.iter().map(|w| of("StatefulSet", &w.object.metadata));
    let jobs = objects.jobs.iter().map(|w| of("Job", &w.object.metadata));
    deployments.chain(replica_sets).chain(stateful_sets).chain(jobs).collect()
}

/// Not on its way out, and not made by a workload that is here too.
fn wanted(meta: &ObjectMeta, owners: &Owners<'_>) -> bool {
    let kinds = ["Deployment", "ReplicaSet", "StatefulSet", "Job"];
    let here = |kind: &str, name: &str| {
        let kind = kinds.into_iter().find(|known| *known == kind);
        kind.is_some_and(|kind| owners.contains(&(kind, meta.namespace(), name)))
    };
    !meta.deleting() && meta.controller().is_none_or(|owner| !here(&owner.kind, &owner.name))
}

impl<'a> Pods<'a> {
    fn mine(&self, at: &At<'_>, picks: Option<&LabelSelector>) -> Result<Vec<&'a Pod>, InputError> {
        let all = self.by_namespace.get(at.meta.namespace()).map(Vec::as_slice).unwrap_or_default();
        let Some(picks) = picks else { return Ok(Vec::new()) };
        let picks = selector(at, "selector", picks)?;
        Ok(all.iter().copied().filter(|pod| picks.matches(&pod.metadata.labels)).collect())
    }

    /// `count` names `<stem>-<n>`, n the lowest that are free.
    fn names(&mut self, namespace: &'a str, stem: &str, count: usize) -> Vec<Str> {
        let taken = self.taken.entry(namespace).or_default();
        let mut out = Vec::with_capacity(count);
        let mut n = 0u64;
        while out.len() < count {
            let name: Str = format!("{stem}-{n}").into();
            if taken.insert(name.clone()) {
                out.push(name);
            }
            n += 1;
        }
        out
    }
}

fn active(pod: &Pod) -> bool {
    !finished(pod) && !pod.metadata.deleting()
}

/// Succeeded or failed.
pub(super) fn finished(pod: &Pod) -> bool {
    matches!(&*pod.status.phase, "Succeeded" | "Failed")
}

/// More pods than anybody means: a slip of the keyboard, or an attack.
const MOST: i64 = 2_000_000;

fn count(at: &At<'_>, field: &str, value: i64) -> Result<usize, InputError> {
    let remedy = format!("write a number from 0 to {MOST}");
    let wrong = || at.fault(field, &value.to_string(), "is out of range").remedy(remedy);
    usize::try_from(value).ok().filter(|_| value <= MOST).ok_or_else(wrong)
}

fn replicas<'a>(
    kind: &'static str,
    workload: &'a Sourced<Workload>,
    pods: &mut Pods<'a>,
) -> Result<Option<Missing<'a>>, InputError> {
    let Sourced { origin, object } = workload;
    let (meta, spec) = (&object.metadata, &object.spec);
    let at = At::new(origin, kind, meta, "spec");
    let wanted = count(&at, "replicas", spec.replicas.unwrap_or(1))?;
    let here: Vec<&Pod> = pods.mine(&at, spec.selector.as_ref())?.into_iter().filter(|pod| active(pod)).collect();
    let short = wanted.saturating_sub(here.len());
    if short == 0 {
        return Ok(None);
    }
    let stateful = kind == "StatefulSet";
    let names = if stateful {
        let there: BTreeSet<&str> = here.iter().map(|pod| &*pod.metadata.name).collect();
        let start = count(&at, "ordinals.start", spec.ordinals.start)?;
        let all = (start..start + wanted).map(|n| format!("{}-{n}", meta.name));
        all.filter(|name| !there.contains(name.as_str())).take(short).map(Into::into).collect()
    } else {
        pods.names(meta.namespace(), &meta.name, short)
    };
    let owner = if stateful { Owner::StatefulSet } else { Owner::Other };
    let claims = &spec.volume_claim_templates;
    Ok(Some(Missing {
        kind,
        origin,
        meta,
        template: &spec.template,
        owner,
        claims,
        names,
        selector: spec.selector.as_ref(),
    }))
}

fn of_job<'a>(
    job: &'a Sourced<super::super::k8s::Job>,
    pods: &mut Pods<'a>,
) -> Result<Option<Missing<'a>>, InputError> {
    let Sourced { origin, object } = job;
    let (meta, spec) = (&object.metadata, &object.spec);
    let at = At::new(origin, "Job", meta, "spec");
    let mine = if spec.selector.is_some() {
        pods.mine(&at, spec.selector.as_ref())?
    } else {
        let all = pods.by_namespace.get(meta.namespace()).map(Vec::as_slice).unwrap_or_default();
        let owned = |pod: &Pod| pod.metadata.owner_references.iter().any(|o| o.name == meta.name && &*o.kind == "Job");
        all.iter().copied().filter(|pod| owned(pod)).collect()
    };
    let succeeded = mine.iter().filter(|pod| &*pod.status.phase == "Succeeded").count();
    let succeeded = succeeded.max(usize::try_from(object.status.succeeded).unwrap_or(0));
    let running = mine.iter().filter(|pod| active(pod)).count();
    let parallel = count(&at, "parallelism", spec.parallelism.unwrap_or(1))?;
    let completions = if spec.parallelism.is_none() { Some(spec.completions.unwrap_or(1)) } else { spec.completions };
    let wanted = match completions {
        Some(n) => parallel.min(count(&at, "completions", n)?.saturating_sub(succeeded)),
        // A work queue: once one pod is done no new ones are started.
        None if succeeded > 0 => 0,
        None => parallel,
    };
    let short = wanted.saturating_sub(running);
    if short == 0 {
        return Ok(None);
    }
    let names = pods.names(meta.namespace(), &meta.name, short);
    Ok(Some(Missing {
        kind: "Job",
        origin,
        meta,
        template: &spec.template,
        owner: Owner::Other,
        claims: &[],
        names,
        selector: None,
    }))
}
