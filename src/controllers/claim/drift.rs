//! Drift: whether the pool would no longer buy this node. The first rule that says so is the reason.

use cloud::{Class, Instance};
use crds::hash::EC2_NODE_CLASS_HASH_VERSION;
use crds::{NodePool, names};
use planner::model::labels::well_known;
use planner::model::{CapacityType, InstanceType, Labels};

use super::draft::{DRIFTED, Draft, LAUNCHED};
use super::launch::requirements_of;
use crate::controllers::time;

/// How often it is looked at though nothing changed, in seconds.
pub const PERIOD_SECONDS: i64 = 5 * 60;
/// A younger claim's type is taken to be sold, in seconds: the catalogue it was bought from may still be in use.
const TYPE_CHECK_AGE_SECONDS: i64 = 60 * 60;

/// What a claim is compared with. What is not known drifts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    pub pool: Option<&'a NodePool>,
    /// All that the node class sells.
    pub types: Option<&'a [InstanceType]>,
    pub class: Option<&'a Class>,
    pub instance: Option<&'a Instance>,
}

impl Wanted<'_> {
    /// Whether everything is known that the pool's claims are compared with.
    fn is_known(&self) -> bool {
        let looks_at_machines = |class: &Class| !(class.images.is_empty() && class.subnets.is_empty());
        self.pool.is_none() || self.class.is_some_and(|class| self.instance.is_some() || !looks_at_machines(class))
    }
}

type Rule = fn(&Draft, &Wanted<'_>) -> Option<&'static str>;

const RULES: &[Rule] =
    &[hash, pool_requirements, instance_type, class, image, security_groups, subnet, reservation, placement_group];

/// Sets or takes away the condition. Claims of no pool, or of a static one that lets go of nodes by itself, never drift.
pub fn mark(draft: &mut Draft, wanted: &Wanted<'_>) {
    let reason = if draft.is_true(LAUNCHED) { RULES.iter().find_map(|rule| rule(draft, wanted)) } else { None };
    match reason {
        Some(reason) => {
            draft.conditions.set_true_because(DRIFTED, reason, reason);
        }
        // After a start the cloud has told nothing of its machines yet: that takes nothing back.
        None if !wanted.is_known() && draft.is_true(DRIFTED) => {}
        None => draft.clear(DRIFTED),
    }
}

/// The template changed: same version of the hash, another hash.
fn hash(draft: &Draft, wanted: &Wanted<'_>) -> Option<&'static str> {
    let (pool, claim) = (&wanted.pool?.metadata.annotations, &draft.claim.metadata.annotations);
    let both = |key| Some((pool.get(key)?, claim.get(key)?));
    let (of_pool, of_claim) = both(names::core::NODE_POOL_HASH_VERSION)?;
    let (new, old) = both(names::core::NODE_POOL_HASH)?;
    (of_pool == of_claim && new != old).then_some("NodePoolDrifted")
}

/// The labels no longer satisfy the pool's requirements. A label that is not there fails those that want one.
fn pool_requirements(draft: &Draft, wanted: &Wanted<'_>) -> Option<&'static str> {
    let requirements = requirements_of(&wanted.pool?.spec.template.spec.requirements);
    let unmet = requirements.first_unmet(&labels(draft));
    unmet.is_some().then_some("RequirementsDrifted")
}

/// The type is no longer sold where and how it was bought. Whether it is in stock does not matter, nor whether the class can use
/// it: what the class has another mind about by now has reasons of its own.
fn instance_type(draft: &Draft, wanted: &Wanted<'_>) -> Option<&'static str> {
    let created = time::seconds(draft.claim.metadata.creation_timestamp.as_deref()?)?;
    let types = wanted.types?;
    if draft.now.saturating_sub(created) < TYPE_CHECK_AGE_SECONDS {
        return None;
    }
    let labels = labels(draft);
    let name = labels.get(names::kubernetes::INSTANCE_TYPE)?;
    let zone = labels.get(names::kubernetes::ZONE).map(|zone| &**zone);
    let paid = labels.get(names::core::CAPACITY_TYPE).map(|paid| &**paid);
    // A reservation that ran out leaves an on-demand instance behind.
    let or_on_demand = |by: &str| paid == Some(names::core::RESERVED) && by == names::core::ON_DEMAND;
    let is_offered = types.iter().filter(|kind| kind.name == *name).flat_map(|kind| &kind.offerings).any(|offering| {
        let by = offering.capacity_type.as_str();
        zone.is_none_or(|zone| *zone == *offering.zone) && paid.is_none_or(|paid| paid == by || or_on_demand(by))
    });
    if is_offered {
        return None;
    }
    let paid = paid.map(|paid| if paid == names::core::RESERVED { names::core::ON_DEMAND } else { paid });
    let sold = wanted.class?.sold.as_ref();
    let is_sold = sold.is_some_and(|sold| sold.has(name, zone, paid.and_then(CapacityType::parse)));
    (!is_sold).then_some("InstanceTypeNotFound")
}

/// What the class makes machines from changed: same version of the hash, another hash.
fn class(draft: &Draft, wanted: &Wanted<'_>) -> Option<&'static str> {
    let annotations = &draft.claim.metadata.annotations;
    let wanted = wanted.class?.hash.as_deref()?;
    let version = annotations.get(names::aws::NODE_CLASS_HASH_VERSION)?;
    let made_from = annotations.get(names::aws::NODE_CLASS_HASH)?;
    (version == EC2_NODE_CLASS_HASH_VERSION && made_from != wanted).then_some("NodeClassDrift")
}

/// The class would choose another image for such a machine. Where it would choose none, nothing is said.
fn image(draft: &Draft, wanted: &Wanted<'_>) -> Option<&'static str> {
    let (class, image) = (wanted.class?, wanted.instance?.image.as_ref()?);
    let labels = labels(draft);
    let chosen = class.images.iter().find(|one| one.requirements.allow(&labels))?;
    (chosen.id != *image).then_some("AMIDrift")
}

/// The class no longer has the reservation that the machine is in.
fn reservation(_: &Draft, wanted: &Wanted<'_>) -> Option<&'static str> {
    let (of_class, id) = (wanted.class?.reservations.as_ref()?, wanted.instance?.reservation.as_ref()?);
    (!of_class.contains(id)).then_some("CapacityReservationDrift")
}

/// The class puts machines into another placement group, or into none.
fn placement_group(draft: &Draft, wanted: &Wanted<'_>) -> Option<&'static str> {
    let of_class = wanted.class?.placement_group.as_deref()?;
    let of_claim = draft.claim.metadata.labels.get(names::aws::PLACEMENT_GROUP_ID).map_or("", String::as_str);
    (of_class != of_claim).then_some("PlacementGroupDrift")
}

fn subnet(_: &Draft, wanted: &Wanted<'_>) -> Option<&'static str> {
    let (class, subnet) = (wanted.class?, wanted.instance?.subnet.as_ref()?);
    (!class.subnets.is_empty() && !class.subnets.contains(subnet)).then_some("SubnetDrift")
}

fn security_groups(_: &Draft, wanted: &Wanted<'_>) -> Option<&'static str> {
    let sorted = |groups: &[planner::model::Str]| {
        let mut groups = groups.to_vec();
        groups.sort();
        groups
    };
    let (class, instance) = (wanted.class?, wanted.instance?);
    let differ = sorted(&class.security_groups) != sorted(&instance.security_groups);
    (!class.security_groups.is_empty() && differ).then_some("SecurityGroupDrift")
}

/// The claim's labels, today's spellings. Well-known ones that requirements of the claim fix count as labels.
fn labels(draft: &Draft) -> Labels {
    let mut out = Labels::new();
    for requirement in requirements_of(&draft.claim.spec.requirements).iter().filter(|r| well_known(&r.key)) {
        if let Some(value) = requirement.single() {
            out.insert(requirement.key.clone(), value.clone());
        }
    }
    for (key, value) in &draft.claim.metadata.labels {
        out.insert(names::kubernetes::normalized(key).into(), value.as_str().into());
    }
    out
}

#[cfg(test)]
mod tests {
    use cloud::catalog::{KwokSettings, kwok};
    use cloud::{ClassImage, Sold};
    use crds::{NodeClaim, ObjectMeta, Operator, Requirement};

    use super::super::testing::{claim, launched};
    use super::*;
    use crate::controllers::pool::testing::pool;

    fn stamp(meta: &mut ObjectMeta, hash: &str, version: &str) {
        meta.annotations.insert(names::core::NODE_POOL_HASH.to_owned(), hash.to_owned());
        meta.annotations.insert(names::core::NODE_POOL_HASH_VERSION.to_owned(), version.to_owned());
    }

    fn reason(claim: crds::NodeClaim, wanted: &Wanted<'_>, now: i64) -> Option<String> {
        let mut draft = Draft::new(claim, now);
        mark(&mut draft, wanted);
        draft.conditions.get(DRIFTED).map(|condition| condition.reason.clone())
    }

    #[test]
    fn another_hash_of_the_same_version_is_drift() {
        for (of_claim, version, expected) in
            [("1", "v3", None), ("2", "v3", Some("NodePoolDrifted")), ("2", "v2", None)]
        {
            let mut pool = pool("p");
            stamp(&mut pool.metadata, "1", "v3");
            let mut claim = launched("a");
            stamp(&mut claim.metadata, of_claim, version);
            let wanted = Wanted { pool: Some(&pool), ..Wanted::default() };
            assert_eq!(reason(claim, &wanted, 0).as_deref(), expected, "{of_claim} {version}");
        }
    }

    #[test]
    fn another_hash_of_the_class_is_drift_if_it_was_made_the_same_way() {
        let class = Class { hash: Some("7".into()), ..Class::default() };
        for (made_from, version, expected) in
            [("7", "v6", None), ("8", "v6", Some("NodeClassDrift")), ("8", "v5", None)]
        {
            let mut claim = launched("a");
            let annotations = &mut claim.metadata.annotations;
            annotations.insert(names::aws::NODE_CLASS_HASH.to_owned(), made_from.to_owned());
            annotations.insert(names::aws::NODE_CLASS_HASH_VERSION.to_owned(), version.to_owned());
            let wanted = Wanted { class: Some(&class), ..Wanted::default() };
            assert_eq!(reason(claim, &wanted, 0).as_deref(), expected, "{made_from} {version}");
        }
    }

    fn instance(image: &str, subnet: &str, groups: &[&str], reservation: Option<&str>) -> Instance {
        let groups = groups.iter().map(|group| (*group).into()).collect();
        let reservation = reservation.map(Into::into);
        Instance {
            image: Some(image.into()),
            subnet: Some(subnet.into()),
            security_groups: groups,
            reservation,
            ..super::super::testing::instance()
        }
    }

    #[test]
    fn a_machine_that_is_no_longer_as_its_class_makes_them_is_drift() {
        let image = |id: &str, arch: &str| {
            let mut requirements = planner::model::Requirements::new();
            requirements.add(planner::model::Requirement::equal("kubernetes.io/arch", arch));
            ClassImage { id: id.into(), requirements }
        };
        let class = Class {
            images: vec![image("ami-arm", "arm64"), image("ami-new", "amd64"), image("ami-old", "amd64")],
            subnets: vec!["subnet-1".into()],
            security_groups: vec!["sg-1".into(), "sg-2".into()],
            reservations: Some(vec!["cr-1".into()]),
            placement_group: Some("pg-1".into()),
            ..Class::default()
        };
        let as_made = instance("ami-new", "subnet-1", &["sg-2", "sg-1"], Some("cr-1"));
        for (instance, group, expected) in [
            (as_made.clone(), "pg-1", None),
            (instance("ami-old", "subnet-2", &["sg-1", "sg-2"], None), "pg-1", Some("AMIDrift")),
            (instance("ami-new", "subnet-2", &["sg-1"], None), "pg-1", Some("SecurityGroupDrift")),
            (instance("ami-new", "subnet-2", &["sg-1", "sg-2"], None), "pg-1", Some("SubnetDrift")),
            (
                instance("ami-new", "subnet-1", &["sg-1", "sg-2"], Some("cr-2")),
                "pg-2",
                Some("CapacityReservationDrift"),
            ),
            (as_made.clone(), "pg-2", Some("PlacementGroupDrift")),
            (as_made, "", Some("PlacementGroupDrift")),
        ] {
            let mut claim = launched("a");
            let labels = &mut claim.metadata.labels;
            labels.insert("kubernetes.io/arch".to_owned(), "amd64".to_owned());
            if !group.is_empty() {
                labels.insert(names::aws::PLACEMENT_GROUP_ID.to_owned(), group.to_owned());
            }
            let wanted = Wanted { class: Some(&class), instance: Some(&instance), ..Wanted::default() };
            assert_eq!(reason(claim, &wanted, 0).as_deref(), expected, "{instance:?} {group}");
        }
        // A cloud that knows no images, reservations or groups drifts nothing.
        let wanted = instance("ami-9", "", &[], Some("cr-9"));
        let wanted = Wanted { class: Some(&Class::default()), instance: Some(&wanted), ..Wanted::default() };
        assert_eq!(reason(launched("a"), &wanted, 0), None);
    }

    #[test]
    fn labels_that_the_pool_no_longer_wants_are_drift() {
        let want = |key: &str, operator, values: &[&str]| Requirement {
            key: key.to_owned(),
            operator,
            values: values.iter().map(ToString::to_string).collect(),
            min_values: None,
        };
        for (requirement, is_drift) in [
            (want("team", Operator::In, &["a", "b"]), false),
            (want("team", Operator::In, &["b"]), true),
            (want("team", Operator::NotIn, &["a"]), true),
            (want("missing", Operator::Exists, &[]), true),
            (want("missing", Operator::DoesNotExist, &[]), false),
            (want("missing", Operator::NotIn, &["a"]), false),
        ] {
            let mut pool = pool("p");
            pool.spec.template.spec.requirements = vec![requirement.clone()];
            let mut claim = launched("a");
            claim.metadata.labels.insert("team".to_owned(), "a".to_owned());
            let found = reason(claim, &Wanted { pool: Some(&pool), ..Wanted::default() }, 0);
            assert_eq!(found.as_deref(), is_drift.then_some("RequirementsDrifted"), "{requirement:?}");
        }
    }

    fn of(kind: &str, zone: &str) -> NodeClaim {
        let mut claim = launched("a");
        let labels = &mut claim.metadata.labels;
        labels.insert("node.kubernetes.io/instance-type".to_owned(), kind.to_owned());
        labels.insert("topology.kubernetes.io/zone".to_owned(), zone.to_owned());
        claim
    }

    #[test]
    fn a_type_that_is_not_sold_any_more_is_drift_after_an_hour() {
        let types = kwok(&KwokSettings::default()).unwrap();
        let class = Class::default();
        let wanted = Wanted { types: Some(&types), class: Some(&class), ..Wanted::default() };
        let sold = types[0].name.to_string();
        for (claim, now, expected) in [
            (of(&sold, "test-zone-a"), 3600, None),
            (of("c-3x", "test-zone-a"), 3599, None),
            (of("c-3x", "test-zone-a"), 3600, Some("InstanceTypeNotFound")),
            (of(&sold, "elsewhere"), 3600, Some("InstanceTypeNotFound")),
        ] {
            assert_eq!(reason(claim, &wanted, now).as_deref(), expected);
        }
        let unsettled = Wanted { class: None, ..wanted };
        assert_eq!(reason(of("c-3x", "test-zone-a"), &unsettled, 3600), None, "nobody knows what the class comes to");
    }

    #[test]
    fn a_type_that_the_class_cannot_use_any_more_is_sold_all_the_same() {
        let sold = Sold {
            zones: ["a".into(), "b".into()].into(),
            ways: [("m5.large".into(), [CapacityType::Spot, CapacityType::OnDemand].into())].into(),
        };
        let class = Class { hash: Some("8".into()), sold: Some(sold.into()), ..Class::default() };
        let wanted = Wanted { types: Some(&[]), class: Some(&class), ..Wanted::default() };
        for (kind, zone, paid, expected) in [
            ("m5.large", "b", "spot", "NodeClassDrift"),
            ("m5.large", "b", "reserved", "NodeClassDrift"),
            ("m4.large", "b", "spot", "InstanceTypeNotFound"),
            ("m5.large", "c", "spot", "InstanceTypeNotFound"),
        ] {
            let mut claim = of(kind, zone);
            claim.metadata.labels.insert("karpenter.sh/capacity-type".to_owned(), paid.to_owned());
            let annotations = [("ec2nodeclass-hash", "7"), ("ec2nodeclass-hash-version", EC2_NODE_CLASS_HASH_VERSION)];
            for (key, value) in annotations {
                claim.metadata.annotations.insert(format!("karpenter.k8s.aws/{key}"), value.to_owned());
            }
            assert_eq!(reason(claim, &wanted, 3600).as_deref(), Some(expected), "{kind} {zone} {paid}");
        }
    }

    #[test]
    fn drift_ends_when_its_reason_does_and_nothing_unlaunched_drifts() {
        let mut pool = pool("p");
        stamp(&mut pool.metadata, "1", "v3");
        let mut drifted = launched("a");
        stamp(&mut drifted.metadata, "2", "v3");
        let mut draft = Draft::new(drifted, 0);
        mark(&mut draft, &Wanted { pool: Some(&pool), ..Wanted::default() });
        assert!(draft.is_true(DRIFTED));
        stamp(&mut pool.metadata, "2", "v3");
        mark(&mut draft, &Wanted { pool: Some(&pool), ..Wanted::default() });
        assert!(draft.is_true(DRIFTED), "nobody knows yet what the class is");
        let class = Class::default();
        mark(&mut draft, &Wanted { pool: Some(&pool), class: Some(&class), ..Wanted::default() });
        assert!(draft.conditions.get(DRIFTED).is_none());
        stamp(&mut pool.metadata, "1", "v3");
        let mut unlaunched = claim("a");
        stamp(&mut unlaunched.metadata, "2", "v3");
        assert_eq!(reason(unlaunched, &Wanted { pool: Some(&pool), ..Wanted::default() }, 0), None);
    }
}
