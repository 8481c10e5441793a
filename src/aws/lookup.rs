//! What an `EC2NodeClass` selects and names, as AWS tells it. Images and subnets that were looked up hold for intervals that the operator
//! sets; everything else is asked for whenever a class is looked at.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cloud::aws::{Fault, Image, Kind, Subnet, profile, reserve, resolve};
use cloud::catalog::{AmiFamily, PlacementGroup, default_pods};
use crds::Ec2NodeClass;
use tokio::time::Instant;

use super::classes::class_ref;
use super::kubelet::reckon;
use super::market::Kept;
use super::verdict::{Findings, Found, Rehearsal};
use super::{Shared, translate, version};
use crate::observe::kubelet;

/// What was found out of classes, by name: since when, of which state of the class, and what.
#[derive(Debug)]
pub(super) struct Cache<K, T>(Mutex<BTreeMap<String, (Instant, K, T)>>);

impl<K, T> Default for Cache<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: PartialEq, T: Clone> Cache<K, T> {
    fn locked<R>(&self, look: impl FnOnce(&mut BTreeMap<String, (Instant, K, T)>) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is known of this very state, if that still holds.
    pub fn get(&self, class: &str, state: &K, holds: impl FnOnce(&T) -> Duration) -> Option<T> {
        self.locked(|all| {
            let (at, of, known) = all.get(class)?;
            (of == state && at.elapsed() < holds(known)).then(|| known.clone())
        })
    }

    pub fn put(&self, class: &str, at: Instant, state: K, known: &T) {
        self.locked(|all| drop(all.insert(class.to_owned(), (at, state, known.clone()))));
    }

    fn forget(&self, class: &str) {
        self.locked(|all| drop(all.remove(class)));
    }
}

/// What need not be asked again whenever a class is looked at.
#[derive(Debug, Default)]
pub(super) struct Caches {
    images: Cache<State, Vec<Image>>,
    subnets: Cache<State, Vec<Subnet>>,
    /// What trying a launch came to, by all that goes into it.
    pub rehearsals: Cache<String, Rehearsal>,
}

impl Caches {
    /// A class is gone.
    pub fn forget(&self, class: &str) {
        self.images.forget(class);
        self.subnets.forget(class);
        self.rehearsals.forget(class);
    }
}

/// Uid and generation: what a class selects by.
type State = (String, i64);

fn state(class: &Ec2NodeClass) -> State {
    (class.metadata.uid.clone().unwrap_or_default(), class.metadata.generation.unwrap_or_default())
}

/// The reason of a class whose alias names no image, and the code of that fault.
pub(super) const UNPUBLISHED: &str = "AMINotFound";

/// AWS publishes no image of an alias for this version of Kubernetes, or not yet.
fn unpublished(alias: &str, kubernetes: &str) -> Fault {
    let message = format!("no image of {alias} is published for Kubernetes {kubernetes}");
    Fault { action: "ssm:GetParameter", kind: Kind::NotFound, code: UNPUBLISHED.to_owned(), message }
}

/// Whether a question will be answered in the same way until somebody does something, so that asking soon again is of no use.
pub(super) fn is_lasting(fault: &Fault) -> bool {
    match fault.code.as_str() {
        UNPUBLISHED | version::UNSUPPORTED_ALIAS => true,
        // Of a profile that was made a moment ago, IAM may only not know yet.
        "NoSuchEntity" => fault.message.contains("role with name"),
        _ => fault.kind == Kind::Cut,
    }
}

/// Looks up everything that a class selects or names.
pub(super) async fn find(shared: &Shared, caches: &Caches, class: &Ec2NodeClass) -> Findings {
    let (clients, spec) = (shared.clients(), &class.spec);
    let group_terms = translate::group_terms(&spec.security_group_selector_terms);
    let (images, subnets, groups, profile, reservations, placement, service_cidr) = tokio::join!(
        images(shared, caches, class),
        subnets(shared, caches, class),
        resolve::security_groups(clients, &group_terms),
        profile_of(shared, class),
        reservations(shared, class),
        placement(shared, class),
        service_cidr(shared, class),
    );
    let expressions = shared.settings.config.node_class_cel.then(|| expressions(shared, class));
    Findings { images, subnets, groups, profile, reservations, placement, expressions, service_cidr }
}

/// What the expressions of a class' kubelet come to, on every type there is.
fn expressions(shared: &Shared, class: &Ec2NodeClass) -> Result<(), kubelet::Told> {
    let Some(kubelet) = &class.spec.kubelet else { return Ok(()) };
    let (facts, settings) =
        (shared.market.facts(), shared.settings.of_catalog(translate::catalog_class(class, &Kept::default(), 0)));
    reckon(kubelet, &facts.types, |row| default_pods(row, &settings))
}

async fn reservations(shared: &Shared, class: &Ec2NodeClass) -> Option<Found<Vec<reserve::CapacityReservation>>> {
    if !shared.settings.reserved_capacity {
        return None;
    }
    let terms = translate::reservation_terms(&class.spec.capacity_reservation_selector_terms);
    Some(reserve::reservations(shared.clients(), &terms, shared.clock.seconds()).await)
}

async fn placement(shared: &Shared, class: &Ec2NodeClass) -> Option<Found<Option<PlacementGroup>>> {
    let selector = class.spec.placement_group_selector.as_ref()?;
    Some(reserve::placement_group(shared.clients(), selector.id.as_deref(), selector.name.as_deref()).await)
}

/// Nodes of AL2023 do not join without the addresses of services.
async fn service_cidr(shared: &Shared, class: &Ec2NodeClass) -> Found<bool> {
    match translate::family(&class.spec) {
        Some(AmiFamily::Al2023) => Ok(shared.seller.find_service_cidr().await?.is_some()),
        _ => Ok(true),
    }
}

async fn images(shared: &Shared, caches: &Caches, class: &Ec2NodeClass) -> Found<Vec<Image>> {
    let (name, state, asked_at) = (class.metadata.name(), state(class), Instant::now());
    if let Some(images) = caches.images.get(name, &state, |_| shared.settings.config.ami_refresh_interval) {
        return Ok(images);
    }
    let images = selected_images(shared, class).await?;
    // What is not there yet is asked for until it is.
    if !images.is_empty() {
        caches.images.put(name, asked_at, state, &images);
    }
    Ok(images)
}

async fn subnets(shared: &Shared, caches: &Caches, class: &Ec2NodeClass) -> Found<Vec<Subnet>> {
    let (name, state, asked_at) = (class.metadata.name(), state(class), Instant::now());
    if let Some(subnets) = caches.subnets.get(name, &state, |_| shared.settings.config.subnet_refresh_interval) {
        return Ok(subnets);
    }
    let terms = translate::subnet_terms(&class.spec.subnet_selector_terms);
    let subnets = resolve::subnets(shared.clients(), &terms).await?;
    // Their free addresses count from now on, less what is bought.
    shared.market.saw_subnets(class_ref(name), subnets.clone());
    if !subnets.is_empty() {
        caches.subnets.put(name, asked_at, state, &subnets);
    }
    Ok(subnets)
}

async fn selected_images(shared: &Shared, class: &Ec2NodeClass) -> Found<Vec<Image>> {
    let (clients, parameters) = (shared.clients(), &shared.parameters);
    let (terms, kubernetes) = (&class.spec.ami_selector_terms, shared.version.version());
    let mut ours = translate::image_terms(terms);
    let mut variants = Vec::new();
    for term in terms {
        if let Some(alias) = &term.alias {
            version::supports(alias, &kubernetes)?;
            let of_alias = parameters.of_alias(clients, alias, &kubernetes).await?;
            if of_alias.is_empty() {
                return Err(unpublished(alias, &kubernetes));
            }
            variants.extend(of_alias);
        } else if let Some(name) = &term.ssm_parameter {
            let id = parameters.own(clients, name).await?;
            ours.extend(id.map(|id| resolve::Term { id: Some(id), ..resolve::Term::default() }));
        }
    }
    ours.extend(variants.iter().map(|(id, _)| resolve::Term { id: Some(id.clone()), ..resolve::Term::default() }));
    if ours.is_empty() {
        return Ok(Vec::new());
    }
    let now = shared.clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
    resolve::images(clients, &ours, &variants, &now).await
}

async fn profile_of(shared: &Shared, class: &Ec2NodeClass) -> Found<String> {
    if let Some(own) = &class.spec.instance_profile {
        return Ok(own.clone());
    }
    let tags = class.spec.tags.clone().unwrap_or_default();
    let role = class.spec.role.as_deref().unwrap_or_default();
    let written = class.status.as_ref().and_then(|status| status.instance_profile.as_deref());
    profile::ensure(shared.clients(), &owner(shared, class, &tags), role, written).await
}

/// For whom the profile of a class is.
pub(super) fn owner<'a>(
    shared: &'a Shared,
    class: &'a Ec2NodeClass,
    tags: &'a BTreeMap<String, String>,
) -> profile::Owner<'a> {
    let uid = class.metadata.uid.as_deref().unwrap_or_default();
    profile::Owner { cluster: &shared.seller.cluster().name, class: class.metadata.name(), uid, tags }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_known_holds_for_its_time_and_for_the_state_it_was_found_in() {
        let (cache, minute) = (Cache::default(), Duration::from_mins(1));
        cache.put("a", Instant::now(), 1, &"found");
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(cache.get("a", &1, |_| minute), Some("found"));
        assert_eq!((cache.get("a", &2, |_| minute), cache.get("b", &1, |_| minute)), (None, None));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(cache.get("a", &1, |_| minute), None);
    }

    #[test]
    fn only_what_somebody_has_to_mend_is_not_asked_again_soon() {
        let fault = |code: &str, message: &str| Fault {
            action: "iam:AddRoleToInstanceProfile",
            kind: Kind::NotFound,
            code: code.into(),
            message: message.into(),
        };
        assert!(is_lasting(&unpublished("al2023@latest", "1.40")));
        assert!(is_lasting(&fault("NoSuchEntity", "The role with name nodes cannot be found.")));
        assert!(!is_lasting(&fault("NoSuchEntity", "Instance Profile demo_1 cannot be found.")));
        assert!(!is_lasting(&fault("RequestLimitExceeded", "m")));
    }
}
