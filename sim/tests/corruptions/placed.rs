//! Broken: what stands together on one machine, and near it. Most of these change what a pod asks for after the plan was made.

use planner::Fault;
use planner::check::Misfit;
use planner::model::labels::{HOSTNAME, ZONE};
use planner::model::pod::{Attachment, HostPort, Owner, PodTerm, Spread};
use planner::model::selector::LabelSelector;
use planner::model::{Effect, Operator, Requirement, Requirements, Str, Taint};

use super::{Corruption, corruptions, launch, pool, shape, twins};

fn everyone(namespace: &Str, key: &str) -> PodTerm {
    PodTerm { key: key.into(), namespaces: [namespace.clone()].into(), selector: Some(LabelSelector::default()) }
}

fn nobody(namespace: &Str, key: &str) -> PodTerm {
    let selector = LabelSelector::equal([("app".into(), "ghost".into())]);
    PodTerm { key: key.into(), namespaces: [namespace.clone()].into(), selector: Some(selector) }
}

pub fn all() -> Vec<Corruption> {
    corruptions! {
        "more pods than a machine holds" => Fault::Misfit { misfit: Misfit::Room { .. }, .. }, |snapshot, plan| {
            let pod = launch(plan)?.pods.first()?.clone();
            shape(snapshot, &pod)?.requests.set("cpu", 1_000_000);
            Some(())
        };
        "more pods than a node holds" => Fault::Misfit { misfit: Misfit::Room { .. }, .. }, |snapshot, plan| {
            let nomination = plan.nominations.first()?;
            let node = snapshot.nodes.iter_mut().find(|node| node.name == nomination.node)?;
            node.allocatable.set("pods", 0);
            Some(())
        };
        "no room left for a DaemonSet to come" => Fault::Misfit { misfit: Misfit::Room { .. }, .. }, |snapshot, plan| {
            let nomination = plan.nominations.first()?;
            snapshot.nodes.iter().find(|node| node.name == nomination.node)?;
            let mut daemon = snapshot.daemons.first()?.clone();
            let shape = std::sync::Arc::make_mut(&mut daemon.shape);
            (shape.owner, shape.node_selector) = (Owner::DaemonSet, Requirements::new());
            shape.requests.set("cpu", 1_000_000);
            shape.tolerations = vec![planner::model::Toleration {
                key: "".into(),
                operator: planner::model::taint::TolerationOperator::Exists,
                value: "".into(),
                effect: None,
            }];
            snapshot.daemons.push(daemon);
            Some(())
        };
        "another zone selected" => Fault::Misfit { misfit: Misfit::Selector { .. }, .. }, |snapshot, plan| {
            let launch = launch(plan)?;
            let elsewhere = Requirement::new(ZONE, Operator::NotIn, [launch.offerings[0].zone.clone()]);
            shape(snapshot, launch.pods.first()?)?.node_selector.add(elsewhere);
            Some(())
        };
        "required affinity for what is nowhere" => Fault::Misfit { misfit: Misfit::Selector { .. }, .. }, |snapshot, plan| {
            let pod = plan.nominations.first()?.pod.clone();
            shape(snapshot, &pod)?.node_terms = Some(Vec::new());
            Some(())
        };
        "a taint that is not tolerated" => Fault::Misfit { misfit: Misfit::Taint { .. }, .. }, |snapshot, plan| {
            let launch = launch(plan)?;
            let taint = Taint { key: "ghost".into(), value: "".into(), effect: Effect::NoExecute };
            launch.taints.push(taint.clone());
            pool(snapshot, launch)?.taints.push(taint);
            Some(())
        };
        "a volume in another zone" => Fault::Misfit { misfit: Misfit::VolumeZone { .. }, .. }, |snapshot, plan| {
            let launch = launch(plan)?;
            let elsewhere = Requirement::new(ZONE, Operator::NotIn, [launch.offerings[0].zone.clone()]);
            shape(snapshot, launch.pods.first()?)?.volumes.push(vec![[elsewhere].into_iter().collect()]);
            Some(())
        };
        "more volumes than a node attaches" => Fault::Misfit { misfit: Misfit::Attachments { .. }, .. }, |snapshot, plan| {
            let nomination = plan.nominations.first()?;
            let node = snapshot.nodes.iter_mut().find(|node| node.name == nomination.node)?;
            node.attach_limits.insert("ghost.csi".into(), 1);
            for claim in ["one", "two"] {
                let attachment = Attachment { driver: "ghost.csi".into(), claim: claim.into() };
                shape(snapshot, &nomination.pod)?.attachments.insert(attachment);
            }
            Some(())
        };
        "two pods on one host port" => Fault::Misfit { misfit: Misfit::HostPort { .. }, .. }, |snapshot, plan| {
            let pod = twins(snapshot, plan)?;
            let port = HostPort { port: 9999, protocol: "TCP".into(), address: "".into() };
            shape(snapshot, &pod)?.host_ports.insert(port);
            Some(())
        };
        "a DaemonSet on a pod's host port" => Fault::Misfit { misfit: Misfit::HostPort { .. }, .. }, |snapshot, plan| {
            let pod = launch(plan)?.pods.first()?.clone();
            let port = HostPort { port: 9999, protocol: "TCP".into(), address: "".into() };
            let mut daemon = snapshot.daemons.iter().find(|d| d.shape.node_selector.is_empty() && d.shape.tolerations.iter().any(|t| t.key.is_empty()))?.clone();
            std::sync::Arc::make_mut(&mut daemon.shape).host_ports.insert(port.clone());
            snapshot.daemons.push(daemon);
            shape(snapshot, &pod)?.host_ports.insert(port);
            Some(())
        };
        "two pods that spread over hosts on one" => Fault::Misfit { misfit: Misfit::Spread { .. }, .. }, |snapshot, plan| {
            let pod = twins(snapshot, plan)?;
            shape(snapshot, &pod)?.spreads.push(Spread {
                key: HOSTNAME.into(),
                max_skew: 1,
                min_domains: None,
                hard: true,
                selector: Some(LabelSelector::default()),
                honor_affinity: true,
                honor_taints: false,
            });
            Some(())
        };
        "fewer domains than asked for" => Fault::Misfit { misfit: Misfit::Spread { least: 0, .. }, .. }, |snapshot, plan| {
            let pod = twins(snapshot, plan)?;
            shape(snapshot, &pod)?.spreads.push(Spread {
                key: ZONE.into(),
                max_skew: 1,
                min_domains: Some(9),
                hard: true,
                selector: Some(LabelSelector::default()),
                honor_affinity: true,
                honor_taints: false,
            });
            Some(())
        };
        "spread over a label nobody has" => Fault::Misfit { misfit: Misfit::Spread { .. }, .. }, |snapshot, plan| {
            let pod = launch(plan)?.pods.first()?.clone();
            shape(snapshot, &pod)?.spreads.push(Spread {
                key: "example.com/ghost".into(),
                max_skew: 9,
                min_domains: None,
                hard: true,
                selector: None,
                honor_affinity: true,
                honor_taints: false,
            });
            Some(())
        };
        "two pods that keep apart on one host" => Fault::Misfit { misfit: Misfit::AntiAffinity { .. }, .. }, |snapshot, plan| {
            let pod = twins(snapshot, plan)?;
            let shape = shape(snapshot, &pod)?;
            shape.anti_affinity.push(everyone(&shape.namespace, HOSTNAME));
            Some(())
        };
        "a running pod keeps a nominated one away" => Fault::Misfit { misfit: Misfit::AntiAffinity { .. }, .. }, |snapshot, plan| {
            let nomination = plan.nominations.first()?;
            let namespace = shape(snapshot, &nomination.pod)?.namespace.clone();
            let node = snapshot.nodes.iter_mut().find(|node| node.name == nomination.node)?;
            let bound = node.pods.iter_mut().find(|bound| !bound.terminating)?;
            std::sync::Arc::make_mut(&mut bound.shape).anti_affinity.push(everyone(&namespace, HOSTNAME));
            Some(())
        };
        "a pod that stays on a leaving node keeps one away" => Fault::Misfit { misfit: Misfit::AntiAffinity { .. }, .. }, |snapshot, plan| {
            let launch = launch(plan)?;
            let (pod, zone) = (launch.pods.first()?.clone(), launch.offerings[0].zone.clone());
            let namespace = shape(snapshot, &pod)?.namespace.clone();
            let mut held = snapshot.nodes.iter_mut().filter(|node| node.is_held());
            let node = held.find(|node| node.labels.get(ZONE) == Some(&zone))?;
            let bound = node.pods.iter_mut().find(|bound| !bound.terminating)?;
            std::sync::Arc::make_mut(&mut bound.shape).anti_affinity.push(everyone(&namespace, ZONE));
            Some(())
        };
        "affinity for a pod that is nowhere" => Fault::Misfit { misfit: Misfit::Affinity { .. }, .. }, |snapshot, plan| {
            let pod = launch(plan)?.pods.first()?.clone();
            let shape = shape(snapshot, &pod)?;
            shape.affinity.push(nobody(&shape.namespace, ZONE));
            Some(())
        };
        "affinity begun on two hosts" => Fault::Misfit { misfit: Misfit::Affinity { .. }, .. }, |snapshot, plan| {
            let mut groups = snapshot.groups.iter().filter(|g| g.shape.affinity.is_empty() && !g.shape.labels.is_empty());
            let host_of = |pod: &Str| plan.launches.iter().position(|l| l.pods.contains(pod));
            let apart = |group: &&planner::model::PodGroup| {
                let mut hosts: Vec<_> = group.pods.iter().filter_map(|pod| host_of(&pod.key)).collect();
                hosts.dedup();
                hosts.len() > 1
            };
            let group = groups.find(apart)?;
            let (pod, own) = (group.pods[0].key.clone(), LabelSelector::equal(group.shape.labels.clone()));
            let bound = snapshot.nodes.iter().flat_map(|node| &node.pods).map(|bound| &bound.shape);
            let alike = snapshot.groups.iter().map(|g| &g.shape).chain(bound).filter(|s| own.matches(&s.labels)).count();
            let shape = shape(snapshot, &pod)?;
            let namespaces = [shape.namespace.clone()].into();
            shape.affinity.push(PodTerm { key: HOSTNAME.into(), namespaces, selector: Some(own) });
            (alike == 1).then_some(())
        };
    }
}
