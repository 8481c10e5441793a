//! Launch: what is ordered for a claim, and what its answer makes of the claim.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::{ClassRef, Instance, LaunchError, LaunchOrder, Offer};
use crds::{NodeClaim, Quantity, names};
use planner::model::resources::amount;
use planner::model::{Effect, InstanceType, Labels, Operator, Requirement, Requirements, Resources, Str, Taint};

use super::draft::{Draft, LAUNCHED};
use crate::act::{amounts, class_ref};
use crate::observe::mirror::MEANT_FOR;

/// The longest message of a failed launch that is kept, in characters.
const MESSAGE_LIMIT: usize = 300;

/// What becomes of a claim after its launch was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launched {
    /// There is an instance.
    Bought,
    /// The claim cannot become a node: it is deleted, for this reason (a value of the metric label).
    Hopeless { reason: &'static str, message: String },
    /// To be tried again with the same token: after so long, or after the usual back-off.
    Again { after: Option<Duration> },
}

/// Statements about labels in the planner's form.
pub fn requirements_of(list: &[crds::Requirement]) -> Requirements {
    let one = |requirement: &crds::Requirement| {
        let operator = match requirement.operator {
            crds::Operator::In => Operator::In,
            crds::Operator::NotIn => Operator::NotIn,
            crds::Operator::Exists => Operator::Exists,
            crds::Operator::DoesNotExist => Operator::DoesNotExist,
            crds::Operator::Gt => Operator::Gt,
            crds::Operator::Lt => Operator::Lt,
            crds::Operator::Gte => Operator::Gte,
            crds::Operator::Lte => Operator::Lte,
        };
        let values = requirement.values.iter().map(String::as_str);
        let mut stated = Requirement::new(&requirement.key, operator, values);
        stated.min_values = requirement.min_values.and_then(|least| u32::try_from(least).ok());
        stated
    };
    list.iter().map(one).collect()
}

/// Amounts in the planner's units; what is no quantity was refused by the schema and counts as nothing.
pub fn resources(amounts: &BTreeMap<String, Quantity>) -> Resources {
    let read = |(name, text): (&String, &Quantity)| {
        let quantity = planner::model::Quantity::parse(text.as_str()).ok()?;
        Some((Str::from(name.as_str()), amount(name, quantity)))
    };
    Resources(amounts.iter().filter_map(read).collect())
}

/// What is to be bought for the claim, from these offers.
pub fn order(claim: &NodeClaim, offers: Vec<Offer>) -> LaunchOrder {
    let meta = &claim.metadata;
    let requests = claim.spec.resources.as_ref().map(|r| resources(&r.requests)).unwrap_or_default();
    LaunchOrder {
        token: meta.uid.as_deref().unwrap_or_default().into(),
        claim: meta.name().into(),
        pool: meta.labels.get(names::core::NODE_POOL).map(|pool| pool.as_str().into()),
        class: class(claim),
        offers,
        requirements: requirements_of(&claim.spec.requirements),
        requests,
        labels: labels(&meta.labels),
        annotations: labels(&of_node(&meta.annotations)),
        taints: taints(&claim.spec.taints),
        startup_taints: taints(&claim.spec.startup_taints),
        takes_less_choice: false,
    }
}

/// The annotations that its node gets too: all but what only concerns the claim while it is coming.
pub fn of_node(annotations: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let kept = annotations.iter().filter(|(key, _)| *key != MEANT_FOR);
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Whether some of these offers cost something else than what the class itself sells them for.
pub fn are_repriced(offers: &[Offer], plain: &[InstanceType]) -> bool {
    let price = |offer: &Offer| {
        let kind = plain.iter().find(|kind| kind.name == offer.key.instance_type)?;
        let is_it = |one: &&planner::model::Offering| {
            (&one.zone, one.capacity_type) == (&offer.key.zone, offer.key.capacity_type)
                && one.reservation.as_ref().map(|of| &of.id) == offer.key.reservation.as_ref()
        };
        kind.offerings.iter().find(is_it).map(|one| one.price)
    };
    offers.iter().any(|offer| price(offer).is_some_and(|price| price != offer.price))
}

/// The class that the claim is bought under.
pub fn class(claim: &NodeClaim) -> ClassRef {
    class_ref(&claim.spec.node_class_ref)
}

fn labels(map: &BTreeMap<String, String>) -> Labels {
    map.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
}

fn taints(taints: &[crds::Taint]) -> Vec<Taint> {
    let effect = |effect| match effect {
        crds::TaintEffect::NoSchedule => Effect::NoSchedule,
        crds::TaintEffect::PreferNoSchedule => Effect::PreferNoSchedule,
        crds::TaintEffect::NoExecute => Effect::NoExecute,
    };
    let one = |taint: &crds::Taint| Taint {
        key: taint.key.as_str().into(),
        value: taint.value.as_str().into(),
        effect: effect(taint.effect),
    };
    taints.iter().map(one).collect()
}

/// Writes the cloud's answer into the claim.
pub fn settle(draft: &mut Draft, answer: &Result<Instance, LaunchError>) -> Launched {
    match answer {
        Ok(instance) => {
            bought(draft, instance);
            Launched::Bought
        }
        Err(error @ LaunchError::InsufficientCapacity { .. }) => {
            Launched::Hopeless { reason: "insufficient_capacity", message: error.to_string() }
        }
        Err(error @ LaunchError::ClassNotReady { .. }) => {
            Launched::Hopeless { reason: "nodeclass_not_ready", message: error.to_string() }
        }
        Err(LaunchError::Rejected { reason, message, .. }) => {
            draft.conditions.set_unknown_because(LAUNCHED, reason, &cut(message));
            Launched::Again { after: None }
        }
        Err(error @ LaunchError::Throttled { retry_after, reason, .. }) => {
            draft.conditions.set_unknown_because(LAUNCHED, reason, &cut(&error.to_string()));
            Launched::Again { after: Some(*retry_after) }
        }
        Err(error @ LaunchError::Unreachable { reason, .. }) => {
            draft.conditions.set_unknown_because(LAUNCHED, reason, &cut(&error.to_string()));
            Launched::Again { after: None }
        }
    }
}

fn bought(draft: &mut Draft, instance: &Instance) {
    let meta = &mut draft.claim.metadata;
    for (key, value) in &instance.labels {
        meta.labels.entry(key.to_string()).or_insert_with(|| value.to_string());
    }
    for (key, value) in &instance.annotations {
        meta.annotations.insert(key.to_string(), value.to_string());
    }
    let status = draft.claim.status.get_or_insert_default();
    status.provider_id = Some(instance.provider_id.to_string());
    status.image_id = instance.image.as_ref().map(ToString::to_string);
    status.capacity = amounts(&instance.capacity.nonzero());
    status.allocatable = amounts(&instance.allocatable.nonzero());
    draft.conditions.set_true(LAUNCHED);
}

fn cut(message: &str) -> String {
    match message.char_indices().nth(MESSAGE_LIMIT) {
        Some((end, _)) => format!("{}...", &message[..end]),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {

    use super::super::testing::{claim, instance};
    use super::*;

    #[test]
    fn an_instance_gives_the_claim_its_labels_and_capacity_and_the_claim_has_the_last_word_on_labels() {
        let mut start = claim("a");
        start.metadata.annotations.insert("mine".to_owned(), "old".to_owned());
        let mut draft = Draft::new(start, 10);
        assert_eq!(settle(&mut draft, &Ok(instance())), Launched::Bought);
        let claim = &draft.claim;
        assert_eq!(claim.metadata.labels["topology.kubernetes.io/zone"], "z");
        assert_eq!(claim.metadata.labels["karpenter.sh/nodepool"], "p");
        assert_eq!(claim.metadata.annotations["mine"], "new");
        let status = claim.status.as_ref().unwrap();
        assert_eq!(status.provider_id.as_deref(), Some("kwok://n"));
        let capacity: Vec<_> = status.capacity.iter().map(|(n, q)| (n.as_str(), q.as_str())).collect();
        assert_eq!(capacity, [("cpu", "2"), ("memory", "1Gi")]);
        assert_eq!(status.allocatable["cpu"].as_str(), "1900m");
        assert!(draft.is_true(LAUNCHED));
    }

    #[test]
    fn errors_end_the_claim_or_are_written_into_it() {
        let rejected =
            |message: String| LaunchError::Rejected { reason: "BadSubnet".to_owned(), message, refused: Vec::new() };
        let long = "x".repeat(400);
        let cut = format!("{}...", "x".repeat(300));
        let table = [
            (
                LaunchError::InsufficientCapacity { refused: Vec::new(), message: "none left".to_owned() },
                Some("insufficient_capacity"),
                "AwaitingReconciliation",
                "object is awaiting reconciliation",
            ),
            (
                LaunchError::ClassNotReady { message: "no".to_owned() },
                Some("nodeclass_not_ready"),
                "AwaitingReconciliation",
                "object is awaiting reconciliation",
            ),
            (rejected("no such".to_owned()), None, "BadSubnet", "no such"),
            (rejected(long), None, "BadSubnet", cut.as_str()),
            (
                LaunchError::Unreachable { reason: "InternalError".to_owned(), message: "reset".to_owned() },
                None,
                "InternalError",
                "no answer: reset",
            ),
            (
                LaunchError::Throttled {
                    retry_after: Duration::from_secs(2),
                    reason: "RequestLimitExceeded".to_owned(),
                    message: "slow down".to_owned(),
                },
                None,
                "RequestLimitExceeded",
                "throttled: slow down",
            ),
        ];
        for (error, hopeless, reason, message) in table {
            let mut draft = Draft::new(claim("a"), 10);
            match settle(&mut draft, &Err(error.clone())) {
                Launched::Hopeless { reason, .. } => assert_eq!(Some(reason), hopeless),
                Launched::Again { .. } => assert_eq!(hopeless, None),
                other @ Launched::Bought => panic!("{other:?} for {error:?}"),
            }
            let condition = draft.conditions.get(LAUNCHED).unwrap();
            assert_eq!((condition.reason.as_str(), condition.message.as_str()), (reason, message));
            assert!(draft.is_open(LAUNCHED));
        }
    }

    #[test]
    fn the_order_carries_the_claims_uid_as_its_token_and_all_it_says_about_the_node() {
        let mut claim = claim("a");
        claim.spec.requirements = vec![crds::Requirement {
            key: "karpenter.sh/capacity-type".to_owned(),
            operator: crds::Operator::In,
            values: vec!["spot".to_owned()],
            min_values: Some(1),
        }];
        let requests = [("cpu".to_owned(), Quantity::from("1500m")), ("memory".to_owned(), Quantity::from("1Gi"))];
        claim.spec.resources = Some(crds::node_claim::ResourceRequirements { requests: requests.into() });
        let order = order(&claim, Vec::new());
        assert_eq!(&*order.token, "uid-of-a");
        assert_eq!(order.pool.as_deref(), Some("p"));
        assert_eq!(order.requests, Resources::of([("cpu", 1500), ("memory", 1 << 30)]));
        let spot = order.requirements.get("karpenter.sh/capacity-type").unwrap();
        assert!(spot.has("spot") && !spot.has("on-demand"));
        assert_eq!(spot.min_values, Some(1), "how much there is to be to choose from goes along");
    }
}
