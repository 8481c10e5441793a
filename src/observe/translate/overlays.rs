//! `NodeOverlays`: other prices, more resources. Of two with one weight that change the same thing the later is left out
//! as a whole.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crds::pool_validation::{LabelRules, validate_requirement};
use crds::requirement::{Operator, Requirement};
use planner::model::catalog::Catalog;
use planner::model::labels::{CAPACITY_TYPE, ZONE};
use planner::model::resources::MEMORY;
use planner::model::{InstanceType, Labels, MicroUsdPerHour, Offering, Requirements, Resources, Str};

use super::super::error::InputError;
use super::super::k8s::NodeOverlay;
use super::super::k8s::karpenter::NodeRequirement;
use super::super::objects::{Objects, Sourced};
use super::at::At;
use super::cluster::OnFault;
use super::labels::pool_requirements;

/// Overlays in the order in which they win: heaviest first, then by name from the end of the alphabet.
pub(super) struct Overlays(Vec<Overlay>);

/// What is wrong with an overlay that is not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverlayFault {
    /// It does not make sense by itself; why.
    Invalid(String),
    /// Another one of the same weight changes the same thing.
    Conflict {
        /// The one that is applied.
        with: Str,
        /// Such as `the price of m5.large/us-east-1a/spot`.
        over: String,
    },
}

struct Overlay {
    name: Str,
    weight: i32,
    requirements: Requirements,
    price: Option<Change>,
    capacity: Resources,
    /// What is wrong with its requirements that the schema cannot say.
    faults: Vec<String>,
}

/// What becomes of a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    To(MicroUsdPerHour),
    By(MicroUsdPerHour),
    /// Millionths of a percent.
    Share(i64),
}

impl Change {
    fn apply(self, price: MicroUsdPerHour) -> MicroUsdPerHour {
        let changed = match self {
            Self::To(fixed) => fixed.0,
            Self::By(more) => price.0.saturating_add(more.0),
            Self::Share(share) => {
                let whole = 100_000_000i128;
                let product = i128::from(price.0) * (whole + i128::from(share));
                i64::try_from((product + whole / 2).div_euclid(whole)).unwrap_or(i64::MAX)
            }
        };
        MicroUsdPerHour(changed.max(0))
    }

    /// `-0.01`, `+5`, `-10%`.
    fn parse(text: &str) -> Option<Self> {
        let (sign, rest) = match text.as_bytes().first()? {
            b'-' => (-1, &text[1..]),
            b'+' => (1, &text[1..]),
            _ => (1, text),
        };
        match rest.strip_suffix('%') {
            Some(share) => MicroUsdPerHour::parse(share).map(|share| Self::Share(sign * share.0)),
            None => MicroUsdPerHour::parse(rest).map(|more| Self::By(MicroUsdPerHour(sign * more.0))),
        }
    }
}

impl Overlays {
    /// Those of the input that make sense by themselves.
    pub(super) fn new(objects: &Objects, on_fault: &mut OnFault<'_>) -> Result<Self, InputError> {
        let mut sorted: Vec<&Sourced<NodeOverlay>> =
            objects.overlays.iter().map(|o| &**o).filter(|o| !o.object.metadata.deleting()).collect();
        sorted.sort_by_key(|o| Reverse((o.object.spec.weight.unwrap_or(0), o.object.metadata.name.clone())));
        let mut out = Vec::new();
        for source in sorted {
            match overlay(source) {
                Ok(overlay) => out.push(overlay),
                Err(fault) => on_fault(fault)?,
            }
        }
        Ok(Self(out))
    }

    /// Leaves out every overlay whose requirements make no sense, and every one that changes what one before it changes
    /// with the same weight, in any of these catalogues; gives those with what is wrong.
    pub(super) fn settle<'a>(
        &mut self,
        catalogs: impl Iterator<Item = (&'a Catalog, &'a Labels)>,
    ) -> Vec<(Str, OverlayFault)> {
        let (sound, invalid): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|overlay| overlay.faults.is_empty());
        self.0 = sound;
        let told = |overlay: Overlay| (overlay.name, OverlayFault::Invalid(overlay.faults.join("; ")));
        let mut out: Vec<_> = invalid.into_iter().map(told).collect();
        out.extend(self.conflicts(catalogs));
        out
    }

    fn conflicts<'a>(&mut self, catalogs: impl Iterator<Item = (&'a Catalog, &'a Labels)>) -> Vec<(Str, OverlayFault)> {
        // Only neighbours in weight can conflict, and most overlays have none.
        if self.0.windows(2).all(|pair| pair[0].weight != pair[1].weight) {
            return Vec::new();
        }
        let mut conflicts: BTreeMap<(usize, usize), String> = BTreeMap::new();
        for (types, pool) in catalogs {
            for plain in types.iter() {
                for offering in &plain.offerings {
                    let labels = labels(pool, plain, offering);
                    self.clash(&labels, plain, offering, &mut conflicts);
                }
            }
        }
        let mut faults: BTreeMap<usize, OverlayFault> = BTreeMap::new();
        for later in 0..self.0.len() {
            let mut earlier = (0..later).filter(|earlier| !faults.contains_key(earlier));
            let found = earlier.find_map(|earlier| Some((earlier, conflicts.get(&(earlier, later))?)));
            if let Some((earlier, over)) = found {
                let with = self.0[earlier].name.clone();
                faults.insert(later, OverlayFault::Conflict { with, over: over.clone() });
            }
        }
        let (left, out): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().enumerate().partition(|(at, _)| !faults.contains_key(at));
        self.0 = left.into_iter().map(|(_, overlay)| overlay).collect();
        out.into_iter().filter_map(|(at, overlay)| Some((overlay.name, faults.remove(&at)?))).collect()
    }

    /// Notes which overlays change the same thing of one offering.
    fn clash(
        &self,
        labels: &Labels,
        plain: &InstanceType,
        offering: &Offering,
        conflicts: &mut BTreeMap<(usize, usize), String>,
    ) {
        let touching: Vec<usize> = (0..self.0.len()).filter(|at| self.0[*at].requirements.allow(labels)).collect();
        for (place, later) in touching.iter().enumerate() {
            for earlier in &touching[..place] {
                if conflicts.contains_key(&(*earlier, *later)) {
                    continue;
                }
                let Some(what) = self.0[*earlier].same_change(&self.0[*later]) else { continue };
                let of = format!("{}/{}/{}", plain.name, offering.zone, offering.capacity_type.as_str());
                conflicts.insert((*earlier, *later), format!("{what} of {of}"));
            }
        }
    }

    /// The catalogue of a pool whose nodes carry `labels`, as the overlays change it.
    pub(super) fn apply(&self, types: Catalog, labels: &Labels) -> Catalog {
        if self.0.is_empty() {
            return types;
        }
        let out: Vec<InstanceType> = types.iter().flat_map(|t| self.overlaid(t, labels)).collect();
        if out == *types { types } else { Arc::new(out) }
    }

    /// One type, or several when offerings of it come to differ in what they have.
    fn overlaid(&self, plain: &InstanceType, pool: &Labels) -> Vec<InstanceType> {
        let mut by_capacity: BTreeMap<Vec<(Str, i64)>, Vec<Offering>> = BTreeMap::new();
        for offering in &plain.offerings {
            let labels = labels(pool, plain, offering);
            let mut offering = offering.clone();
            let mut more: BTreeMap<Str, i64> = BTreeMap::new();
            let mut priced = false;
            for overlay in self.0.iter().filter(|overlay| overlay.requirements.allow(&labels)) {
                if let (Some(change), false) = (overlay.price, priced) {
                    offering.price = change.apply(offering.price);
                    priced = true;
                }
                for (name, amount) in overlay.capacity.iter() {
                    more.entry(name.clone()).or_insert(amount);
                }
            }
            by_capacity.entry(more.into_iter().collect()).or_default().push(offering);
        }
        if by_capacity.is_empty() {
            return vec![plain.clone()];
        }
        let with = |(more, offerings): (Vec<(Str, i64)>, Vec<Offering>)| {
            let mut out = InstanceType { offerings, ..plain.clone() };
            for (name, amount) in more {
                if name.starts_with("hugepages-") {
                    // Pages that are set aside are no memory for anything else.
                    let left = out.allocatable.get(MEMORY) - (amount - plain.capacity.get(&name));
                    out.allocatable.set(MEMORY, left.max(0));
                }
                out.capacity.set(&name, amount);
                out.allocatable.set(&name, amount);
            }
            out
        };
        by_capacity.into_iter().map(with).collect()
    }
}

/// Of a node of this pool that is this offering.
fn labels(pool: &Labels, plain: &InstanceType, offering: &Offering) -> Labels {
    let mut labels = pool.clone();
    labels.extend(plain.labels.iter().map(|(k, v)| (k.clone(), v.clone())));
    labels.insert(ZONE.into(), offering.zone.clone());
    labels.insert(CAPACITY_TYPE.into(), offering.capacity_type.as_str().into());
    labels.extend(offering.labels.iter().map(|(k, v)| (k.clone(), v.clone())));
    labels
}

impl Overlay {
    /// What both change, when they have the same weight.
    fn same_change(&self, other: &Self) -> Option<String> {
        if self.weight != other.weight {
            return None;
        }
        if self.price.is_some() && other.price.is_some() {
            return Some("the price".into());
        }
        let theirs: BTreeSet<&Str> = other.capacity.iter().map(|(name, _)| name).collect();
        self.capacity.iter().find(|(name, _)| theirs.contains(name)).map(|(name, _)| name.to_string())
    }
}

impl std::fmt::Display for OverlayFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invalid(why) => f.write_str(why),
            Self::Conflict { with, over } => {
                write!(f, "it changes {over}, and so does NodeOverlay {with} of the same weight")
            }
        }
    }
}

fn overlay(source: &Sourced<NodeOverlay>) -> Result<Overlay, InputError> {
    let Sourced { origin, object } = source;
    let spec = &object.spec;
    let at = At::new(origin, "NodeOverlay", &object.metadata, "spec");
    let price = match (&spec.price, &spec.price_adjustment) {
        (Some(price), _) => Some(MicroUsdPerHour::parse(&price.0).map(Change::To).ok_or_else(|| {
            at.fault("price", &price.0, "is no price").remedy("write US dollars per hour, such as 0.0416")
        })?),
        (None, Some(change)) => Some(Change::parse(&change.0).ok_or_else(|| {
            at.fault("priceAdjustment", &change.0, "is no adjustment").remedy("write such as +0.01, -0.01, +5% or -5%")
        })?),
        (None, None) => None,
    };
    Ok(Overlay {
        name: object.metadata.name.clone(),
        weight: spec.weight.unwrap_or(0),
        requirements: pool_requirements(&at, "requirements", &spec.requirements)?,
        price,
        capacity: at.resources("capacity", &spec.capacity)?,
        faults: requirement_faults(&spec.requirements),
    })
}

/// An overlay names no cloud, so it may speak of the labels of any.
fn requirement_faults(list: &[NodeRequirement]) -> Vec<String> {
    let rules = LabelRules::every_cloud();
    let mut out = Vec::new();
    for written in list {
        let operator = Operator::ALL.into_iter().find(|operator| operator.as_str() == &*written.operator);
        let Some(operator) = operator else { continue };
        let values = written.values.iter().map(ToString::to_string).collect();
        let requirement = Requirement { key: written.key.to_string(), operator, values, min_values: None };
        let mut found = Vec::new();
        validate_requirement(&requirement, &rules, &mut found);
        out.extend(found.into_iter().map(|why| format!("requirement {:?} {}: {why}", written.key, written.operator)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlaid(yaml: &[&str]) -> Vec<(String, String)> {
        let objects = Objects {
            overlays: yaml
                .iter()
                .map(|text| std::sync::Arc::new(Sourced::watched(serde_saphyr::from_str(text).unwrap())))
                .collect(),
            ..Objects::default()
        };
        let mut overlays = Overlays::new(&objects, &mut Err).unwrap();
        let types = Arc::new(cloud::catalog::kwok(&cloud::catalog::KwokSettings::default()).unwrap());
        let pool = Labels::new();
        let faults = overlays.settle([(&types, &pool)].into_iter());
        faults.into_iter().map(|(name, fault)| (name.to_string(), fault.to_string())).collect()
    }

    const A: &str = "{metadata: {name: a}, spec: {weight: 5, price: '1', requirements: [{key: kubernetes.io/arch, operator: In, values: [amd64]}]}}";

    #[test]
    fn of_two_of_one_weight_the_later_is_left_out_as_a_whole() {
        let later = "{metadata: {name: b}, spec: {weight: 5, priceAdjustment: '+1', capacity: {example.com/x: 1}}}";
        let found = overlaid(&[A, later]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "a", "b comes first: names count from the end of the alphabet");
        assert!(found[0].1.contains("changes the price of ") && found[0].1.contains("NodeOverlay b"), "{found:?}");
    }

    #[test]
    fn what_differs_in_weight_thing_or_offering_is_no_conflict() {
        for other in [
            "{metadata: {name: b}, spec: {weight: 6, price: '2'}}",
            "{metadata: {name: b}, spec: {weight: 5, capacity: {example.com/x: 1}}}",
            "{metadata: {name: b}, spec: {weight: 5, price: '2', requirements: [{key: kubernetes.io/arch, operator: In, values: [arm64]}]}}",
        ] {
            assert_eq!(overlaid(&[A, other]), [], "{other}");
        }
    }

    #[test]
    fn requirements_that_make_no_sense_leave_an_overlay_out() {
        for (requirement, why) in [
            (
                "{key: karpenter.sh/capacity-type, operator: In, values: [spott]}",
                "none of the values [\"spott\"] exists",
            ),
            ("{key: node.kubernetes.io/instance-type, operator: In, values: ['c-2x amd64!']}", "is no label value"),
            ("{key: karpenter.sh/initialized, operator: Exists}", "the label is restricted"),
        ] {
            let nonsense =
                format!("{{metadata: {{name: b}}, spec: {{weight: 5, price: '2', requirements: [{requirement}]}}}}");
            let found = overlaid(&[A, &nonsense]);
            assert!(found.len() == 1 && found[0].0 == "b" && found[0].1.contains(why), "{found:?} {why}");
        }
        let of_clouds = "{metadata: {name: b}, spec: {weight: 6, requirements: [{key: karpenter.k8s.aws/instance-cpu, operator: Gt,
            values: ['4']}, {key: karpenter.kwok.sh/instance-family, operator: In, values: [c]}, {key: own, operator: Exists},
            {key: karpenter.sh/nodepool, operator: In, values: [general]}]}}";
        assert_eq!(overlaid(&[A, of_clouds]), []);
    }

    #[test]
    fn an_overlay_that_is_left_out_stands_in_no_ones_way() {
        let capacity =
            |name: &str, more: &str| format!("{{metadata: {{name: {name}}}, spec: {{capacity: {{{more}}}}}}}");
        let (c, b, a) = (capacity("c", "x.io/1: 1"), capacity("b", "x.io/1: 1, x.io/2: 1"), capacity("a", "x.io/2: 1"));
        let found = overlaid(&[&a, &b, &c]);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b"]);
    }

    #[test]
    fn huge_pages_that_an_overlay_adds_are_taken_off_the_memory() {
        let types = cloud::catalog::kwok(&cloud::catalog::KwokSettings::default()).unwrap();
        let overlaid = |amount: &str| {
            let text = format!("{{metadata: {{name: a}}, spec: {{capacity: {{hugepages-2Mi: {amount}}}}}}}");
            let object = std::sync::Arc::new(Sourced::watched(serde_saphyr::from_str(&text).unwrap()));
            let objects = Objects { overlays: vec![object], ..Objects::default() };
            let overlays = Overlays::new(&objects, &mut Err).unwrap();
            overlays.apply(Arc::new(types.clone()), &Labels::new())[0].clone()
        };
        let (plain, gibi) = (&types[0], 1i64 << 30);
        let some = overlaid("1Gi");
        assert_eq!(some.allocatable.get("hugepages-2Mi"), gibi);
        assert_eq!(some.allocatable.get(MEMORY), plain.allocatable.get(MEMORY) - gibi);
        assert_eq!(some.capacity.get(MEMORY), plain.capacity.get(MEMORY), "the machine has as much as before");
        assert_eq!(overlaid("64Ti").allocatable.get(MEMORY), 0);
    }

    #[test]
    fn prices_change_by_amount_by_share_or_outright() {
        let price = MicroUsdPerHour(100_000);
        let after = |text: &str| Change::parse(text).unwrap().apply(price).0;
        assert_eq!(after("+0.05"), 150_000);
        assert_eq!(after("-1"), 0);
        assert_eq!(after("-10%"), 90_000);
        assert_eq!(after("+0.5%"), 100_500);
        assert_eq!(after("-100%"), 0);
        assert_eq!(Change::parse("ten"), None);
        assert_eq!(Change::parse(""), None);
    }
}
