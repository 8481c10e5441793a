//! What can be bought now: the cloud's catalogues with what it has refused lately marked as out of stock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cloud::{ClassRef, Cloud, OfferingKey};
use planner::model::catalog::Catalog;
use tracing::warn;

use crate::act::class_ref;
use crate::observe::Catalogs;
use crate::observe::mirror::{Facts, Mirror};

/// Catalogues, each marked once for the same refusals.
#[derive(Default)]
pub(super) struct Market {
    marked: BTreeMap<ClassRef, (Catalog, Vec<OfferingKey>, Catalog)>,
}

impl Market {
    /// The catalogue of every class that a pool refers to. A class that sells nothing now is left out, with a note.
    pub(super) async fn catalogs<C: Cloud>(&mut self, cloud: &C, mirror: &Mirror, facts: &Facts, now: i64) -> Catalogs {
        let classes: BTreeSet<ClassRef> =
            mirror.pools().iter().map(|pool| class_ref(&pool.spec.template.spec.node_class_ref)).collect();
        let refused = facts.unavailable(now);
        let mut out = Catalogs::new();
        for class in classes.into_iter().filter(|class| cloud.classes().iter().any(|kind| kind.is_of(class))) {
            match cloud.catalog(&class).await {
                Ok(catalog) => drop(out.insert(class.clone(), self.mark(class, catalog, &refused))),
                Err(error) => warn!(%error, "reading what can be bought"),
            }
        }
        self.marked.retain(|class, _| out.contains_key(class));
        out
    }

    fn mark(&mut self, class: ClassRef, catalog: Catalog, refused: &[OfferingKey]) -> Catalog {
        if refused.is_empty() {
            return catalog;
        }
        if let Some((plain, known, marked)) = self.marked.get(&class)
            && Arc::ptr_eq(plain, &catalog)
            && known == refused
        {
            return marked.clone();
        }
        let mut types = (*catalog).clone();
        for kind in &mut types {
            let of_kind: Vec<&OfferingKey> = refused.iter().filter(|key| key.is_about(&kind.name)).collect();
            for offering in kind.offerings.iter_mut().filter(|_| !of_kind.is_empty()) {
                let this = OfferingKey::of(&kind.name, offering);
                let is_out = of_kind.iter().any(|key| key.names(&this));
                offering.available &= !is_out;
                offering.no_addresses &= !is_out;
            }
        }
        let marked = Arc::new(types);
        self.marked.insert(class, (catalog, refused.to_vec(), marked.clone()));
        marked
    }
}

#[cfg(test)]
mod tests {
    use cloud::catalog::{KwokSettings, kwok};
    use planner::model::CapacityType;

    use super::*;

    #[test]
    fn what_was_refused_is_marked_and_the_rest_is_not() {
        let catalog = Arc::new(kwok(&KwokSettings::default()).unwrap());
        let key = OfferingKey {
            instance_type: "c-1x-amd64-linux".into(),
            zone: "test-zone-a".into(),
            capacity_type: CapacityType::Spot,
            reservation: None,
        };
        let class = ClassRef::default();
        let mut market = Market::default();
        let marked = market.mark(class.clone(), catalog.clone(), std::slice::from_ref(&key));
        let out: Vec<_> = marked
            .iter()
            .flat_map(|kind| kind.offerings.iter().map(move |o| (kind, o)))
            .filter(|(_, offering)| !offering.available)
            .map(|(kind, offering)| (kind.name.clone(), offering.zone.clone(), offering.capacity_type))
            .collect();
        assert_eq!(out, [(key.instance_type.clone(), key.zone.clone(), key.capacity_type)]);
        let again = market.mark(class.clone(), catalog.clone(), std::slice::from_ref(&key));
        assert!(Arc::ptr_eq(&marked, &again));
        assert!(Arc::ptr_eq(&market.mark(class, catalog.clone(), &[]), &catalog));
    }
}
