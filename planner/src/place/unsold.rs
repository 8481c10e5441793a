//! Why nothing that a pool sells has the labels a group needs: no type has them, or none is sold where and how it may be
//! bought. Names the one requirement without which there would be something.

use std::collections::BTreeSet;

use super::agreement::spoken;
use super::reasons::Case;
use crate::model::{Code, InstanceType, Offering, Reason, Requirement, Requirements, Resources, Str, labels};

/// Types named in one message.
const MOST_TYPES: usize = 3;
/// Zones named in one message.
const MOST_ZONES: usize = 6;

/// Who asks for something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Pod,
    Pool,
}

/// Which requirements are looked away from, by who asks for them and on which key.
type Aside<'a> = &'a dyn Fn(Side, &str) -> bool;

/// A requirement without which something would be sold.
struct Culprit {
    asked: Vec<(Side, Requirement)>,
    /// A value of its key with which it is sold.
    value: Option<Str>,
}

impl Case<'_, '_, '_> {
    /// No choice has the labels: is it the type, or only where and how it is sold?
    pub(super) fn unsold(&self) -> Reason {
        let types: Vec<&InstanceType> = self.types_without(&|_, _| false).collect();
        if types.is_empty() {
            return if self.types_without(&|side, _| side == Side::Pod).next().is_none() {
                self.pool_without_types()
            } else {
                self.no_such_type()
            };
        }
        let requests = &self.state.world.groups[self.group].shape.requests;
        let fitting: Vec<&InstanceType> = types.iter().copied().filter(|t| requests.fits(&t.allocatable)).collect();
        if fitting.is_empty() {
            // A name that no type has counts as nothing.
            let mut largest = Resources(requests.iter().map(|(name, _)| (name.clone(), 0)).collect());
            largest.raise_to(&most_of(types.into_iter()));
            return self.larger_than(&largest, &Resources::default());
        }
        self.not_sold(&fitting)
    }

    /// Types whose own labels satisfy pod and pool.
    fn types_without<'c>(&'c self, aside: Aside<'_>) -> impl Iterator<Item = &'c InstanceType> {
        let (goods, pool) = (self.goods(), self.goods().pool);
        let terms = self.state.world.groups[self.group].shape.node_terms.as_deref();
        let agrees = move |t: &InstanceType, list: &Requirements, side: Side| {
            let settled = |key: &str| goods.open.get(key).is_some() || pool.labels.contains_key(key);
            let of_offering = |key: &str| is_place(key) || t.offerings.iter().any(|o| o.labels.contains_key(key));
            list.iter()
                .filter(|r| !settled(&r.key) && !of_offering(&r.key) && !aside(side, &r.key))
                .all(|r| r.allows(t.labels.get(&r.key).map(AsRef::as_ref)))
        };
        pool.types.iter().filter(move |t| {
            agrees(t, &pool.requirements, Side::Pool)
                && agrees(t, &self.state.world.groups[self.group].shape.node_selector, Side::Pod)
                && terms.is_none_or(|terms| terms.iter().any(|term| agrees(t, term, Side::Pod)))
        })
    }

    /// What the pod asks for, by key; of several terms the first that names the key.
    fn of_pod(&self) -> Requirements {
        let mut out = Requirements::new();
        for alternative in self.alternatives() {
            for asked in alternative.iter().filter(|asked| out.get(&asked.key).is_none()).cloned().collect::<Vec<_>>() {
                out.add(asked);
            }
        }
        out
    }

    /// The value nearest to what is asked among types that are left; nothing where none is, or none has one.
    fn other_value(&self, asked: &Requirement, aside: Aside<'_>) -> Option<Str> {
        nearest(asked, self.types_without(aside).filter_map(|t| t.labels.get(&asked.key)))
    }

    /// The pool's own requirements leave no type to anybody.
    fn pool_without_types(&self) -> Reason {
        let pool = self.goods().pool;
        let name = &pool.name;
        let found = pool.requirements.iter().find_map(|asked| {
            let without = |side: Side, key: &str| side == Side::Pod || *key == *asked.key;
            Some((asked, self.other_value(asked, &without)?))
        });
        let (message, miss) = match found {
            Some((asked, value)) => (
                format!("NodePool {name} asks for {asked}, which no instance type that it otherwise allows meets"),
                format!("{} in NodePool {name}", changed(asked, &asked.to_string(), &value)),
            ),
            None => (
                format!("no instance type has all that NodePool {name} asks for: {}", pool.requirements),
                format!("requirements of NodePool {name} that some instance type meets"),
            ),
        };
        self.reason(Code::NoInstanceTypeFits, message, Some(miss))
    }

    /// The pool has types, and none is as the pod wants it.
    fn no_such_type(&self) -> Reason {
        let (name, asked) = (self.pool(), self.of_pod());
        let is_alone = |r: &Requirement| {
            let others = |side: Side, key: &str| side == Side::Pod && *key != *r.key;
            self.types_without(&others).next().is_none()
        };
        let without = |r: &Requirement| {
            let this = |side: Side, key: &str| side == Side::Pod && *key == *r.key;
            self.other_value(r, &this)
        };
        let of_types: Vec<&Requirement> = asked.iter().filter(|r| !is_place(&r.key)).collect();
        // One that nothing in the pool meets, whatever else the pod asks for.
        if let Some(r) = of_types.iter().find(|r| is_alone(r)) {
            let message = format!("the pod asks for {}, which no instance type of NodePool {name} meets", r.of_pod());
            let other = without(r).or_else(|| self.other_value(r, &|side, _| side == Side::Pod));
            let miss = match other.filter(|_| r.wants_label()) {
                Some(value) => changed(r, &r.of_pod(), &value),
                None => format!("{} not asked for", r.of_pod()),
            };
            return self.reason(Code::RequirementConflict, message, Some(miss));
        }
        let all: Vec<String> = of_types.iter().map(|r| r.of_pod()).collect();
        let all = all.join(", ");
        let message = format!("no instance type of NodePool {name} has all that the pod asks for: {all}");
        let other = of_types.iter().find_map(|r| Some(changed(r, &r.of_pod(), &without(r)?)));
        let miss = other.unwrap_or_else(|| format!("an instance type with {all} allowed by NodePool {name}"));
        self.reason(Code::NoInstanceTypeFits, message, Some(miss))
    }

    /// Types that would do are not sold where, or as, pod and pool want them.
    fn not_sold(&self, fitting: &[&InstanceType]) -> Reason {
        let pool = &self.goods().pool.name;
        let (culprits, all) = self.culprits(fitting);
        let named: Vec<&str> = fitting.iter().take(MOST_TYPES).map(|t| &*t.name).collect();
        let more = fitting.len().saturating_sub(MOST_TYPES);
        let types = match (named.as_slice(), more) {
            ([one], _) => (*one).to_string(),
            (some, 0) => some.join(", "),
            (some, more) => format!("{} and {more} more", some.join(", ")),
        };
        let is = if fitting.len() == 1 { "it is not" } else { "none of them is" };
        let zones: BTreeSet<&str> = self.values_sold(labels::ZONE).collect();
        if zones.is_empty() {
            let message = format!(
                "{types} would hold the pod, but the node class of NodePool {pool} has no zone where anything is sold"
            );
            let miss = format!("zones for the node class of NodePool {pool} where instance types are sold");
            return self.reason(Code::NoOffering, message, Some(miss));
        }
        let to_say = if culprits.is_empty() { &all } else { &culprits };
        let asked = to_say.iter().flat_map(|culprit| &culprit.asked);
        let asked: Vec<String> = asked.map(|(side, r)| owned(*side, r, pool)).collect();
        // Nobody asks for a place: it is the class that has no other.
        let place = if asked.is_empty() {
            format!("in {}, where the node class of NodePool {pool} is", some(&zones))
        } else {
            format!("under {}", asked.join(" and "))
        };
        let message = format!("{types} would hold the pod, but {is} sold {place}");
        let mut misses: Vec<String> = culprits.iter().filter_map(|culprit| self.other_place(culprit)).collect();
        if culprits.iter().any(|culprit| self.wants_unpriced_spot(culprit)) {
            misses.push("a price for spot".into());
        }
        if misses.is_empty() {
            misses.push(format!("another zone and capacity type allowed for {}", fitting[0].name));
        }
        self.reason(Code::NoOffering, message, Some(misses.join(", or ")))
    }

    /// Requirements on places without one of which something is sold; and all requirements on places.
    fn culprits(&self, fitting: &[&InstanceType]) -> (Vec<Culprit>, Vec<Culprit>) {
        let (pool, of_pod) = (self.goods().pool, self.of_pod());
        let of_offerings =
            |key: &str| is_place(key) || fitting.iter().any(|t| t.offerings.iter().any(|o| o.labels.contains_key(key)));
        let asked_by = pool.requirements.iter().chain(of_pod.iter()).map(|r| &r.key);
        let keys: BTreeSet<&Str> = asked_by.filter(|key| of_offerings(key)).collect();
        let (mut culprits, mut all) = (Vec::new(), Vec::new());
        for key in keys {
            let own = of_pod.get(key).map(|r| (Side::Pod, r.clone()));
            let pools = pool.requirements.get(key).map(|r| (Side::Pool, r.clone()));
            let both: Vec<(Side, Requirement)> = pools.into_iter().chain(own).collect();
            let singly = both.iter().map(|one| vec![one.clone()]);
            let found = singly.chain([both.clone()]).find_map(|asked| {
                let aside = |side: Side, other: &str| *other == **key && asked.iter().any(|(s, _)| *s == side);
                let value = self.sold_without(fitting, &aside, key)?;
                Some(Culprit { asked, value: Some(value) })
            });
            culprits.extend(found);
            all.push(Culprit { asked: both, value: None });
        }
        (culprits, all)
    }

    /// The value of `key` of the cheapest offering of these types that passes.
    fn sold_without(&self, types: &[&InstanceType], aside: Aside<'_>, key: &str) -> Option<Str> {
        let shape = self.state.world.groups[self.group].shape;
        let passes = |o: &Offering, list: &Requirements, side: Side| {
            let of_offering = |key: &str| is_place(key) || o.labels.contains_key(key);
            list.iter().filter(|r| of_offering(&r.key) && !aside(side, &r.key)).all(|r| r.allows(place(o, &r.key)))
        };
        let sold = types.iter().flat_map(|t| &t.offerings).filter(|o| {
            passes(o, &self.goods().pool.requirements, Side::Pool)
                && passes(o, &shape.node_selector, Side::Pod)
                && shape.node_terms.as_ref().is_none_or(|terms| terms.iter().any(|term| passes(o, term, Side::Pod)))
        });
        let cheapest = sold.min_by_key(|o| (o.price, &o.zone, o.capacity_type))?;
        place(cheapest, key).map(Into::into)
    }

    /// The change that a culprit asks for.
    fn other_place(&self, culprit: &Culprit) -> Option<String> {
        let (value, pool) = (culprit.value.as_ref()?, self.pool());
        let what = spoken(&culprit.asked.first()?.1.key);
        let by_pod = culprit.asked.iter().any(|(side, _)| *side == Side::Pod);
        Some(match culprit.asked.as_slice() {
            [(Side::Pod, _)] => format!("{what} {value} allowed by the pod"),
            _ if by_pod => format!("{what} {value} added to NodePool {pool} and allowed by the pod"),
            _ => format!("{what} {value} added to NodePool {pool}"),
        })
    }

    /// Spot alone is asked for, and nothing of the class is sold as spot: its prices are not known.
    fn wants_unpriced_spot(&self, culprit: &Culprit) -> bool {
        let only_spot = |(_, r): &(Side, Requirement)| {
            *r.key == *labels::CAPACITY_TYPE && r.has("spot") && !r.has("on-demand") && !r.has("reserved")
        };
        culprit.asked.iter().any(only_spot) && self.values_sold(labels::CAPACITY_TYPE).all(|value| value != "spot")
    }
}

fn some(zones: &BTreeSet<&str>) -> String {
    let named: Vec<&str> = zones.iter().take(MOST_ZONES).copied().collect();
    let more = zones.len() - named.len();
    if more == 0 { named.join(", ") } else { format!("{} and {more} more", named.join(", ")) }
}

/// A key whose value an offering settles, whatever the type.
fn is_place(key: &str) -> bool {
    matches!(key, labels::ZONE | labels::CAPACITY_TYPE)
}

fn place<'o>(sold: &'o Offering, key: &str) -> Option<&'o str> {
    match key {
        labels::ZONE => Some(&sold.zone),
        labels::CAPACITY_TYPE => Some(sold.capacity_type.as_str()),
        _ => sold.labels.get(key).map(AsRef::as_ref),
    }
}

fn owned(side: Side, r: &Requirement, pool: &str) -> String {
    match side {
        Side::Pod => format!("{} of the pod", r.of_pod()),
        Side::Pool => format!("{r} of NodePool {pool}"),
    }
}

/// A requirement and the value it would have to be met by.
fn changed(r: &Requirement, written: &str, value: &str) -> String {
    match r.single() {
        Some(one) => format!("{} {one} → {value}", r.key),
        None => format!("{written} → {value}"),
    }
}

/// The largest amount of each resource among some types.
fn most_of<'t>(types: impl Iterator<Item = &'t InstanceType>) -> Resources {
    types.fold(Resources::default(), |mut most, t| {
        most.raise_to(&t.allocatable);
        most
    })
}

/// The value that is most like the one asked for.
fn nearest<'v>(asked: &Requirement, values: impl Iterator<Item = &'v Str>) -> Option<Str> {
    let values: BTreeSet<&Str> = values.collect();
    let wanted = asked.any("").unwrap_or_default();
    let apart = |value: &Str| match (wanted.parse::<i64>(), value.parse::<i64>()) {
        (Ok(wanted), Ok(value)) => usize::try_from(wanted.abs_diff(value)).unwrap_or(usize::MAX),
        _ => edits(&wanted, value),
    };
    values.into_iter().min_by_key(|value| apart(value)).cloned()
}

/// How many letters have to be put in, taken out or exchanged to make one text of the other.
fn edits(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (at, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, b) in other.chars().enumerate() {
            let exchanged = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = exchanged.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
