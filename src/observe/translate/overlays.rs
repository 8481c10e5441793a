//! `NodeOverlays`: other prices, more resources.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use planner::model::catalog::Catalog;
use planner::model::labels::{CAPACITY_TYPE, ZONE};
use planner::model::{InstanceType, Labels, MicroUsdPerHour, Offering, Requirements, Resources, Str};

use super::super::error::InputError;
use super::super::k8s::NodeOverlay;
use super::super::objects::{Objects, Sourced};
use super::at::At;
use super::labels::pool_requirements;

/// Overlays in the order in which they win: heaviest first, then by name from the end of the alphabet.
pub(super) struct Overlays(Vec<Overlay>);

struct Overlay {
    requirements: Requirements,
    price: Option<Change>,
    capacity: Resources,
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
    /// Without the feature.
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// Those of the input.
    pub(super) fn new(objects: &Objects) -> Result<Self, InputError> {
        let mut sorted: Vec<&Sourced<NodeOverlay>> =
            objects.overlays.iter().map(|o| &**o).filter(|o| !o.object.metadata.deleting()).collect();
        sorted.sort_by_key(|o| Reverse((o.object.spec.weight.unwrap_or(0), o.object.metadata.name.clone())));
        sorted.into_iter().map(overlay).collect::<Result<_, _>>().map(Self)
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
        let mut labels = pool.clone();
        labels.extend(plain.labels.iter().map(|(k, v)| (k.clone(), v.clone())));
        for offering in &plain.offerings {
            let mut labels = labels.clone();
            labels.insert(ZONE.into(), offering.zone.clone());
            labels.insert(CAPACITY_TYPE.into(), offering.capacity_type.as_str().into());
            labels.extend(offering.labels.iter().map(|(k, v)| (k.clone(), v.clone())));
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
                out.capacity.set(&name, amount);
                out.allocatable.set(&name, amount);
            }
            out
        };
        by_capacity.into_iter().map(with).collect()
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
        requirements: pool_requirements(&at, "requirements", &spec.requirements)?,
        price,
        capacity: at.resources("capacity", &spec.capacity)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
