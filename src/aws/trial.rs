//! What a launch under a class is tried with: a type that a pool of the class may buy.

use std::sync::Arc;

use cloud::aws::NodeClass;
use cloud::catalog::AmiFamily;
use cloud::{Offer, offers};
use crds::NodePool;
use crds::names::{aws, core};
use planner::model::{CapacityType, InstanceType, Requirement, Requirements, Resources};

use super::is_ours;
use crate::controllers::claim::launch::requirements_of;

/// Types that a launch is tried with where they may be bought.
const COMMON: [&str; 2] = ["m5.large", "m6g.large"];
/// How a machine is paid for. What is tried is always bought on demand.
const PAYMENT: [&str; 4] = [
    core::CAPACITY_TYPE,
    aws::CAPACITY_RESERVATION_ID,
    aws::CAPACITY_RESERVATION_TYPE,
    aws::CAPACITY_RESERVATION_INTERRUPTIBLE,
];

/// What each pool of a class says of its machines, save how they are paid for.
pub(super) fn wishes(pools: &[Arc<NodePool>], class: &str) -> Vec<Requirements> {
    let is_of_class = |pool: &&Arc<NodePool>| {
        let of = &pool.spec.template.spec.node_class_ref;
        is_ours(of) && of.name == class
    };
    let wish = |pool: &Arc<NodePool>| -> Requirements {
        let template = &pool.spec.template;
        let mut said = requirements_of(&template.spec.requirements);
        for (key, value) in template.metadata.labels.iter().flatten() {
            said.add(Requirement::equal(key, value.as_str()));
        }
        said.iter().filter(|one| !PAYMENT.contains(&&*one.key)).cloned().collect()
    };
    pools.iter().filter(is_of_class).map(wish).collect()
}

/// The offer to try: of those that some pool wishes for, or of all if there are none. Pools of Windows are not asked, as by
/// Karpenter. None: the class sells nothing that its images run on.
pub(super) fn offer(types: &[InstanceType], wishes: &[Requirements], class: &NodeClass) -> Option<Offer> {
    let is_windows =
        matches!(class.family, Some(AmiFamily::Windows2019 | AmiFamily::Windows2022 | AmiFamily::Windows2025));
    let sold = |wish: &Requirements| {
        let mut found = offers(types, wish, &Resources::default());
        found.retain(|offer| {
            offer.key.capacity_type == CapacityType::OnDemand
                && class.images.iter().any(|image| image.requirements.allow(&offer.labels))
        });
        found
    };
    let mut found: Vec<Offer> = wishes.iter().filter(|_| !is_windows).flat_map(sold).collect();
    if found.is_empty() {
        found = sold(&Requirements::new());
    }
    found.into_iter().min_by_key(|offer| (!COMMON.contains(&&*offer.key.instance_type), has_accelerator(offer)))
}

fn has_accelerator(offer: &Offer) -> bool {
    [aws::INSTANCE_GPU_COUNT, aws::INSTANCE_ACCELERATOR_COUNT].iter().any(|key| offer.labels.contains_key(*key))
}

#[cfg(test)]
mod tests {
    use cloud::aws::{Facts, Image};
    use cloud::catalog::{Ec2Settings, ec2_of};
    use serde_json::{Value, json};

    use super::*;

    fn pool(class: &str, requirements: &Value) -> Arc<NodePool> {
        let pool = json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": { "name": "p" },
            "spec": { "template": {
                "metadata": { "labels": { "team": "a" } },
                "spec": {
                    "requirements": requirements,
                    "nodeClassRef": { "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": class } } } },
        });
        Arc::new(serde_json::from_value(pool).unwrap())
    }

    fn tried(pools: &[Arc<NodePool>], family: AmiFamily) -> String {
        let facts = Facts::embedded("us-west-2").unwrap();
        let settings = Ec2Settings { region: "us-west-2".into(), ..Ec2Settings::default() };
        let types = ec2_of(&facts.types, &facts.region, &settings).unwrap();
        let mut requirements = Requirements::new();
        requirements.add(Requirement::equal("kubernetes.io/arch", "amd64"));
        let image = Image { id: "ami-1".into(), name: "one".into(), requirements, is_deprecated: false };
        let class = NodeClass { family: Some(family), images: vec![image], ..NodeClass::default() };
        offer(&types, &wishes(pools, "default"), &class).unwrap().key.instance_type.to_string()
    }

    #[test]
    fn a_launch_is_tried_with_a_type_that_a_pool_of_the_class_may_buy() {
        let said = |key: &str, values: &[&str]| json!({ "key": key, "operator": "In", "values": values });
        let family = |name: &str| {
            json!([said("karpenter.k8s.aws/instance-family", &[name]), said("karpenter.sh/capacity-type", &["spot"])])
        };
        let tried = |pools: &[Arc<NodePool>]| tried(pools, AmiFamily::Al2023);
        assert_eq!(tried(&[]), "m5.large");
        assert_eq!(tried(&[pool("default", &json!([]))]), "m5.large", "of many the usual one");
        assert_eq!(tried(&[pool("default", &family("c6i"))]), "c6i.large");
        assert_eq!(tried(&[pool("other", &family("c6i"))]), "m5.large");
        assert_eq!(tried(&[pool("default", &family("g5")), pool("default", &family("c6i"))]), "c6i.large");
        assert_eq!(tried(&[pool("default", &family("g5"))]), "g5.xlarge");
        assert_eq!(tried(&[pool("default", &family("nothing"))]), "m5.large");
        assert_eq!(tried(&[pool("default", &family("c6g"))]), "m5.large", "no image of the class runs on it");
        let reserved = json!([
            said("karpenter.sh/capacity-type", &["reserved"]),
            said("karpenter.k8s.aws/capacity-reservation-id", &["cr-1"]),
            said("node.kubernetes.io/instance-type", &["r5.xlarge"]),
        ]);
        assert_eq!(tried(&[pool("default", &reserved)]), "r5.xlarge");
    }

    #[test]
    fn a_launch_under_a_class_of_windows_is_tried_with_a_usual_type() {
        let c6i = json!([{ "key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["c6i"] }]);
        assert_eq!(tried(&[pool("default", &c6i)], AmiFamily::Windows2022), "m5.large");
    }
}
