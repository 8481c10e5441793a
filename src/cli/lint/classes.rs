//! Node classes: those that pools miss, and those that no pool uses.

use planner::model::Code;

use super::{Finding, Level, Mistake, Subject};
use crate::observe::k8s::Ec2NodeClass;
use crate::observe::{Objects, Observed, Origin, Sourced, kubelet_fault};

/// Mistakes between pools and node classes.
pub fn findings(observed: &Observed) -> Vec<Finding> {
    let mut out = missing(observed);
    out.extend(unused(&observed.objects));
    out.extend(observed.objects.ec2_classes.iter().filter_map(|class| kubelet(class)));
    out
}

/// What the class' controller would say against the kubelet's settings.
fn kubelet(class: &Sourced<Ec2NodeClass>) -> Option<Finding> {
    let fault = kubelet_fault(&class.object)?;
    let subject = Subject { kind: "EC2NodeClass", name: &class.object.metadata.name, origin: &class.origin };
    let field = format!("spec.{}", fault.path);
    Some(subject.finding(Level::Error, Mistake::InvalidObject, field, fault.what, fault.remedy))
}

fn missing(observed: &Observed) -> Vec<Finding> {
    let mut out = Vec::new();
    for source in &observed.objects.node_pools {
        let class = &source.object.spec.template.spec.node_class_ref;
        if classes(&observed.objects).any(|(kind, name, _)| kind == &*class.kind && name == &*class.name) {
            continue;
        }
        let name = &source.object.metadata.name;
        let pool = observed.snapshot.pools.iter().find(|pool| pool.name == *name);
        let unusable = pool.and_then(|pool| pool.not_ready.as_ref()).is_some_and(|r| r.code == Code::NodePoolNotReady);
        // Files written before anything runs need not hold the class; where others of its kind are, it is a slip.
        let others = classes(&observed.objects).any(|(kind, ..)| kind == &*class.kind);
        let level = if unusable || others { Level::Error } else { Level::Warning };
        let subject = Subject { kind: "NodePool", name, origin: &source.origin };
        let message = format!("{} {} is not in the input", class.kind, class.name);
        let known: Vec<&str> = classes(&observed.objects).map(|(_, name, _)| name).collect();
        let meant = super::super::near::near(&class.name, known, 1);
        let remedy = meant.first().map_or_else(
            || format!("add the {}, or correct the reference", class.kind),
            |meant| format!("did you mean {meant}?"),
        );
        let field = "spec.template.spec.nodeClassRef";
        out.push(subject.finding(level, Mistake::NodeClassMissing, field, message, remedy));
    }
    out
}

fn unused(objects: &Objects) -> Vec<Finding> {
    let used = |kind: &str, name: &str| {
        objects
            .node_pools
            .iter()
            .map(|pool| &pool.object.spec.template.spec.node_class_ref)
            .any(|class| *class.kind == *kind && *class.name == *name)
    };
    classes(objects)
        .filter(|(kind, name, _)| !used(kind, name))
        .map(|(kind, name, origin)| {
            let subject = Subject { kind, name, origin };
            let message = "no NodePool of the input refers to it";
            let remedy = "remove it, or refer to it from a NodePool's spec.template.spec.nodeClassRef";
            subject.finding(Level::Info, Mistake::NodeClassUnused, "metadata.name", message, remedy)
        })
        .collect()
}

fn classes(objects: &Objects) -> impl Iterator<Item = (&'static str, &str, &Origin)> {
    let ec2 = objects.ec2_classes.iter().map(|c| ("EC2NodeClass", &*c.object.metadata.name, &c.origin));
    ec2.chain(objects.kwok_classes.iter().map(|c| ("KWOKNodeClass", &*c.object.metadata.name, &c.origin)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_no_kubelet_has_is_named_with_its_place() {
        let found = |settings: serde_json::Value| {
            let class = json!({"metadata": {"name": "c"}, "spec": {"kubelet": settings}});
            let origin = Origin { file: "c.yaml".into(), line: 1 };
            kubelet(&Sourced { origin, object: serde_json::from_value(class).unwrap() })
        };
        let slip = found(json!({"maxPodz": 4})).unwrap();
        assert_eq!((&*slip.object, &*slip.field, slip.level), ("EC2NodeClass c", "spec.kubelet.maxPodz", Level::Error));
        let negative = found(json!({"maxPods": -5})).unwrap();
        assert_eq!((&*negative.field, &*negative.message), ("spec.kubelet.maxPods", "is -5"));
        assert_eq!(negative.remedy, "write no less than 0");
        assert_eq!(found(json!({"maxPods": 5})), None);
    }
}
