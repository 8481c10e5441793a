//! How much memory nodes of a type turned out to have: less than the type's, and by how much is known only from nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crds::{Ec2NodeClass, NodeClaim};
use planner::model::resources::MEMORY;
use planner::model::{Quantity, Str};
use tokio::time::sleep;

use super::{Shared, is_ours};
use crate::controllers::claim::draft::{REGISTERED, says};

/// How often nodes are looked at.
const PERIOD: Duration = Duration::from_secs(10);
/// For so long it counts what was seen, seconds.
const HOLDS: i64 = 60 * 24 * 3600;

/// Ids of the images of a class, in order: other images may leave other amounts.
pub(super) type Images = Vec<Str>;

/// Memory by images and instance type, in bytes, with when it was last seen.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<Images, BTreeMap<Str, (i64, i64)>>);

impl Known {
    /// A node was seen at `now`. The least counts.
    fn saw(&mut self, images: &Images, instance_type: &str, bytes: i64, now: i64) {
        let of_images = self.0.entry(images.clone()).or_default();
        match of_images.get_mut(instance_type) {
            Some((known, at)) if *known >= bytes || now - *at >= HOLDS => (*known, *at) = (bytes, now),
            Some(_) => {}
            None => drop(of_images.insert(instance_type.into(), (bytes, now))),
        }
    }

    /// What counts at `now`, by instance type.
    pub fn of(&self, images: &Images, now: i64) -> BTreeMap<Str, i64> {
        let all = self.0.get(images).into_iter().flatten().filter(|(_, (_, at))| now - at < HOLDS);
        all.map(|(name, (bytes, _))| (name.clone(), *bytes)).collect()
    }

    /// Forgets what was seen with images that are not used any more.
    fn keep(&mut self, used: &BTreeSet<Images>) {
        self.0.retain(|images, _| used.contains(images));
    }
}

/// The images of a class.
pub(super) fn images(class: &Ec2NodeClass) -> Images {
    let mut all: Images = class.status.iter().flat_map(|status| &status.amis).map(|ami| Str::from(&*ami.id)).collect();
    all.sort();
    all
}

/// Looks at nodes that have joined, over and over: what was known before a restart is known again at the first look.
pub(super) async fn run(shared: Arc<Shared>) {
    shared.mirror.until_synced().await;
    loop {
        look(&shared);
        sleep(PERIOD).await;
    }
}

fn look(shared: &Shared) {
    let classes: BTreeMap<String, Images> =
        shared.mirror.ec2_classes().iter().map(|class| (class.metadata.name().to_owned(), images(class))).collect();
    let claims = shared.mirror.claims();
    let seen: Vec<_> = claims.iter().filter_map(|claim| memory_of(shared, claim, &classes)).collect();
    let now = shared.clock.seconds();
    shared.market.memory(|known| {
        known.keep(&classes.values().cloned().collect());
        for (images, instance_type, bytes) in seen {
            known.saw(images, &instance_type, bytes, now);
        }
    });
}

/// What the node of a claim has, if it runs an image that its class would choose today.
fn memory_of<'a>(
    shared: &Shared,
    claim: &NodeClaim,
    classes: &'a BTreeMap<String, Images>,
) -> Option<(&'a Images, String, i64)> {
    let class = &claim.spec.node_class_ref;
    if !is_ours(class) || !says(claim, REGISTERED) {
        return None;
    }
    let images = classes.get(&class.name)?;
    let image = claim.status.as_ref()?.image_id.as_deref()?;
    images.iter().find(|one| ***one == *image)?;
    let instance_type = claim.metadata.labels.get(crds::names::kubernetes::INSTANCE_TYPE)?;
    let node = shared.mirror.node_of(claim)?;
    let bytes = Quantity::parse(&node.status.capacity.get(MEMORY)?.0).ok()?.value();
    (bytes > 0).then(|| (images, instance_type.clone(), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_memory_that_was_seen_counts_for_sixty_days() {
        let (mut known, images) = (Known::default(), vec![Str::from("ami-1")]);
        let of = |known: &Known, now| known.of(&vec![Str::from("ami-1")], now).get("m5.large").copied();
        known.saw(&images, "m5.large", 700, 0);
        known.saw(&images, "m5.large", 800, 10);
        assert_eq!(of(&known, 20), Some(700), "more is not believed");
        known.saw(&images, "m5.large", 650, 20);
        known.saw(&images, "m5.large", 650, 30);
        assert_eq!((of(&known, 29 + HOLDS), of(&known, 30 + HOLDS)), (Some(650), None), "the last time counts");
        known.saw(&images, "m5.large", 800, 30 + HOLDS);
        assert_eq!(of(&known, 31 + HOLDS), Some(800));
        known.keep(&BTreeSet::from([vec![Str::from("ami-2")]]));
        assert_eq!(of(&known, 31 + HOLDS), None);
    }
}
