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
