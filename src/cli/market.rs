//! What a pool can buy at all, whatever the pods: shared by `explain` and `lint`.

use std::collections::BTreeSet;

use planner::model::labels::{CAPACITY_TYPE, ZONE, well_known};
use planner::model::{InstanceType, Labels, Offering, Pool, Requirement, Requirements, Str};

/// An instance type a pool may buy, with the offerings its requirements leave.
pub struct Choice<'a> {
    pub of: &'a InstanceType,
    pub offerings: Vec<&'a Offering>,
}

/// Types that the pool's requirements allow with at least one offering, in catalogue order.
pub fn choices(pool: &Pool) -> Vec<Choice<'_>> {
    choices_of(&pool.types, &pool.requirements, &pool.labels)
}

/// The same for any requirements.
pub fn choices_of<'a>(types: &'a [InstanceType], wanted: &Requirements, labels: &Labels) -> Vec<Choice<'a>> {
    types
        .iter()
        .filter(|of| wanted.iter().all(|r| type_allows(of, r, labels)))
        .filter_map(|of| {
            let fits = |o: &&Offering| wanted.iter().all(|r| offering_allows(o, r));
            let offerings: Vec<&Offering> = of.offerings.iter().filter(fits).collect();
            (!offerings.is_empty()).then_some(Choice { of, offerings })
        })
        .collect()
}

/// Does the type itself satisfy `r`? Keys that its offerings or the pool decide are left to them.
fn type_allows(of: &InstanceType, r: &Requirement, labels: &Labels) -> bool {
    let key: &str = &r.key;
    if key == ZONE || key == CAPACITY_TYPE || of.offerings.iter().any(|o| o.labels.contains_key(key)) {
        return true;
    }
    if let Some((_, values)) = of.open_labels.iter().find(|(open, _)| **open == *key) {
        return values.iter().any(|value| r.has(value));
    }
    match of.labels.get(key).or_else(|| labels.get(key)) {
        Some(value) => r.allows(Some(value)),
        None => !well_known(key) || r.allows(None),
    }
}

fn offering_allows(o: &Offering, r: &Requirement) -> bool {
    match &*r.key {
        ZONE => r.has(&o.zone),
        CAPACITY_TYPE => r.has(o.capacity_type.as_str()),
        key => o.labels.get(key).is_none_or(|value| r.allows(Some(value))),
    }
}

/// Every value the catalogue has for `key`, whatever the pool asks for.
pub fn values<'a>(types: &'a [InstanceType], key: &str) -> BTreeSet<&'a str> {
    let mut out = BTreeSet::new();
    for of in types {
        out.extend(of.labels.get(key).map(AsRef::as_ref));
        let open = of.open_labels.iter().filter(|(open, _)| **open == *key);
        out.extend(open.flat_map(|(_, values)| values).map(AsRef::as_ref));
        out.extend(of.offerings.iter().filter_map(|o| offering_value(o, key)));
    }
    out
}

/// Every label key of the catalogue.
pub fn keys(types: &[InstanceType]) -> BTreeSet<&str> {
    let mut out = BTreeSet::from([ZONE, CAPACITY_TYPE]);
    for of in types {
        out.extend(of.labels.keys().map(AsRef::as_ref));
        out.extend(of.open_labels.iter().map(|(key, _)| key.as_ref()));
        out.extend(of.offerings.iter().flat_map(|o| o.labels.keys()).map(AsRef::as_ref));
    }
    out
}

/// Distinct values of `key` among choices.
pub fn distinct<'a>(choices: &[Choice<'a>], key: &str, pool: &'a Labels) -> BTreeSet<&'a str> {
    let mut out = BTreeSet::new();
    for choice in choices {
        out.extend(choice.of.labels.get(key).or_else(|| pool.get(key)).map(AsRef::as_ref));
        out.extend(choice.offerings.iter().filter_map(|o| offering_value(o, key)));
    }
    out
}

fn offering_value<'a>(o: &'a Offering, key: &str) -> Option<&'a str> {
    match key {
        ZONE => Some(&o.zone),
        CAPACITY_TYPE => Some(o.capacity_type.as_str()),
        _ => o.labels.get(key).map(|value: &Str| value.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use planner::model::{CapacityType, MicroUsdPerHour, Operator, Resources};

    use super::*;

    fn oak(zones: &[&str]) -> InstanceType {
        let offering = |zone: &&str| Offering {
            zone: (*zone).into(),
            capacity_type: CapacityType::OnDemand,
            price: MicroUsdPerHour(100),
            available: true,
            no_addresses: false,
            labels: Labels::default(),
            reservation: None,
        };
        InstanceType {
            name: "oak".into(),
            labels: Labels::from([("wood.example/kind".into(), "oak".into())]),
            open_labels: vec![("wood.example/cut".into(), vec!["plain".into(), "quarter".into()])],
            capacity: Resources::default(),
            allocatable: Resources::default(),
            exotic: false,
            offerings: zones.iter().map(offering).collect(),
        }
    }

    fn left(key: &str, operator: Operator, value: &str) -> usize {
        let wanted = Requirements::from_iter([Requirement::new(key, operator, [value])]);
        let types = [oak(&["a", "b"])];
        choices_of(&types, &wanted, &Labels::default()).iter().map(|choice| choice.offerings.len()).sum()
    }

    #[test]
    fn a_requirement_leaves_the_offerings_that_meet_it() {
        assert_eq!(left(ZONE, Operator::In, "a"), 1);
        assert_eq!(left(CAPACITY_TYPE, Operator::In, "spot"), 0);
        assert_eq!(left("wood.example/kind", Operator::NotIn, "oak"), 0);
        assert_eq!(left("wood.example/cut", Operator::In, "quarter"), 2, "the launch settles an open label");
        assert_eq!(left("team.example/own", Operator::In, "x"), 2, "a label of the pool's own is given to every node");
        assert_eq!(left("karpenter.k8s.aws/instance-family", Operator::In, "m5"), 0, "the provider's labels are not");
    }

    #[test]
    fn keys_and_values_are_those_of_the_catalogue() {
        let types = [oak(&["b", "a"])];
        assert!(keys(&types).contains("wood.example/cut"));
        assert_eq!(values(&types, ZONE).into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(values(&types, "wood.example/cut").len(), 2);
    }
}
