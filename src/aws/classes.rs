//! The controller of `EC2NodeClass`es: looks up what their selectors find, writes it down, and lets go of them when nobody
//! refers to them any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud::aws::{profile, reserve, resolve};
use cloud::catalog::{AmiFamily, PlacementGroup};
use cloud::{ClassRef, Offer, offers};
use crds::hash::EC2_NODE_CLASS_HASH_VERSION;
use crds::names::aws as names;
use crds::{Ec2NodeClass, NodeClaim};
use planner::model::{CapacityType, Requirements, Resources};
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::verdict::{Draft, Findings, Found, Rehearsal};
use super::{CLASSES, Shared, translate};
use crate::act::ActError;
use crate::observe::mirror::{Change, Kind};

/// How long after a failure a class is looked at again.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// How often it is seen whether a class is due.
const TICK: Duration = Duration::from_secs(1);

/// How long it holds that a launch which was not carried out went well.
const REHEARSED: Duration = Duration::from_mins(30);
/// How long it holds that one was refused: somebody may be granting what was missing. What AWS did not answer holds for no time.
const REFUSED: Duration = Duration::from_mins(1);
/// Types that a launch is tried with if the class sells them.
const COMMON: [&str; 2] = ["m5.large", "m6g.large"];

/// By class: when it was tried, with what, and what it came to.
type Rehearsals = BTreeMap<String, (Instant, String, Rehearsal)>;

/// Looks at classes as they change, and at each one again after a while.
pub(super) async fn run(shared: Arc<Shared>) {
    shared.mirror.until_synced().await;
    let interval = shared.settings.config.subnet_refresh_interval.min(shared.settings.config.ami_refresh_interval);
    let mut changes = shared.mirror.changes(&[Kind::Ec2NodeClass, Kind::NodeClaim]);
    let parameters = cloud::aws::alias::Parameters::default();
    let mut rehearsals = Rehearsals::new();
    let mut due: BTreeMap<String, Instant> = BTreeMap::new();
    // What each class was when it was looked at last: our own writes are no news.
    let mut seen: BTreeMap<String, (i64, bool)> = BTreeMap::new();
    loop {
        // Whatever comes first: a change, or the time of the next class.
        let first = timeout(TICK, changes.next()).await.ok();
        let mut heard: Vec<Change> = first.into_iter().collect();
        heard.extend(std::iter::from_fn(|| changes.try_next()));
        for change in heard {
            if change.kind == Kind::NodeClaim {
                // A class that is going waits for claims to go.
                due.extend(going(&shared).into_iter().map(|name| (name, Instant::now())));
                continue;
            }
            let class = shared.mirror.ec2_class(&change.name);
            let state =
                class.map(|class| (class.metadata.generation.unwrap_or_default(), class.metadata.is_deleting()));
            if state.is_none() || seen.get(&*change.name) != state.as_ref() {
                due.insert(change.name.to_string(), Instant::now());
            }
        }
        let now = Instant::now();
        let names: Vec<String> = due.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone()).collect();
        for name in names {
            due.remove(&name);
            let Some(class) = shared.mirror.ec2_class(&name) else {
                seen.remove(&name);
                rehearsals.remove(&name);
                shared.market.forget(&class_ref(&name));
                shared.metrics.ec2nodeclasses_userdata_bytes.remove([&name]);
                continue;
            };
            let state = (class.metadata.generation.unwrap_or_default(), class.metadata.is_deleting());
            match look(&shared, &parameters, &mut rehearsals, &class).await {
                Ok(looked) => {
                    seen.insert(name.clone(), state);
                    let pause = match looked {
                        Looked::Whole => interval,
                        Looked::InPart => AFTER_FAILURE,
                    };
                    due.insert(name, Instant::now() + pause);
                }
                Err(error) => {
                    tracing::warn!(EC2NodeClass = name, %error, "looking at a class");
                    due.insert(name, Instant::now() + AFTER_FAILURE);
                }
            }
        }
    }
}

pub(super) fn class_ref(name: &str) -> ClassRef {
    ClassRef { group: CLASSES[0].group.into(), kind: CLASSES[0].kind.into(), name: name.into() }
}

/// Names of classes that are being deleted.
fn going(shared: &Shared) -> Vec<String> {
    let classes = shared.mirror.ec2_classes();
    let going = classes.iter().filter(|class| class.metadata.is_deleting());
    going.map(|class| class.metadata.name().to_owned()).collect()
}

/// How much of what there is to know of a class was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looked {
    Whole,
    /// AWS did not answer something.
    InPart,
}

async fn look(
    shared: &Shared,
    parameters: &cloud::aws::alias::Parameters,
    rehearsals: &mut Rehearsals,
    class: &Ec2NodeClass,
) -> Result<Looked, ClassFault> {
    if class.metadata.is_deleting() {
        return let_go(shared, class).await.map(|()| Looked::Whole);
    }
    let reserved = shared.settings.reserved_capacity;
    let mut draft = Draft::new(class.clone(), &shared.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), reserved);
    let findings = find(shared, parameters, class).await;
    let mut looked = Looked::Whole;
    for fault in findings.faults() {
        tracing::warn!(EC2NodeClass = class.metadata.name(), error = %fault, "looking up what a class selects");
        looked = Looked::InPart;
    }
    let now = shared.clock.seconds();
    keep(shared, class, &findings);
    if let Ok(subnets) = &findings.subnets {
        shared.market.saw_subnets(class_ref(class.metadata.name()), subnets.clone());
    }
    let hash = shared.hash(class);
    restamp(shared, class, &hash).await?;
    draft.stamp(hash);
    draft.settle(findings, translate::family(&class.spec), now);
    if draft.is_sound {
        let rehearsal = if shared.settings.config.disable_dry_run {
            Ok(())
        } else {
            rehearse(shared, rehearsals, &draft.class).await.unwrap_or(Ok(()))
        };
        draft.rehearsed(&rehearsal);
        if let Err(refused) = &rehearsal
            && refused.is_unanswered()
        {
            tracing::warn!(EC2NodeClass = class.metadata.name(), ?refused, "trying a launch under a class");
            looked = Looked::InPart;
        }
    }
    let name = class.metadata.name();
    if let Some(patch) = draft.metadata_patch() {
        let _: Ec2NodeClass = shared.api.merge("", name, patch).await?;
    }
    if let Some(patch) = draft.status_patch() {
        let _: Ec2NodeClass = shared.api.merge_status("", name, patch).await?;
    }
    Ok(looked)
}

/// What a launch under the class would come to: tried anew when the class changed, or half an hour has passed. None when it
/// sells nothing that could be tried.
async fn rehearse(shared: &Shared, rehearsals: &mut Rehearsals, class: &Ec2NodeClass) -> Option<Rehearsal> {
    let name = class.metadata.name();
    let status = class.status.clone().unwrap_or_default();
    // Any change of an annotation asks for another try, as with Karpenter; our own follow from the spec.
    let key = json!([
        class.spec,
        class.metadata.annotations,
        [&status.instance_profile],
        status.amis,
        status.subnets,
        status.security_groups
    ])
    .to_string();
    if let Some((at, of, rehearsal)) = rehearsals.get(name)
        && *of == key
        && at.elapsed() < if rehearsal.is_ok() { REHEARSED } else { REFUSED }
    {
        return Some(rehearsal.clone());
    }
    let catalog = shared.market.catalog(&class_ref(name), class, &shared.settings).ok()?;
    let all = offers(&catalog, &Requirements::new(), &Resources::default());
    let resolved = shared.resolved(&class_ref(name), class);
    let runs = |offer: &&Offer| {
        offer.key.capacity_type == CapacityType::OnDemand
            && resolved.images.iter().any(|image| image.requirements.allow(&offer.labels))
    };
    let usual = |offer: &&Offer| COMMON.contains(&&*offer.key.instance_type) && runs(offer);
    let offer = all.iter().find(usual).or_else(|| all.iter().find(runs))?;
    let rehearsal = shared.seller.rehearse(&resolved, offer).await;
    if rehearsal.as_ref().err().is_none_or(|refused| !refused.is_unanswered()) {
        rehearsals.insert(name.to_owned(), (Instant::now(), key, rehearsal.clone()));
    }
    Some(rehearsal)
}

async fn find(shared: &Shared, parameters: &cloud::aws::alias::Parameters, class: &Ec2NodeClass) -> Findings {
    let (clients, spec) = (shared.clients(), &class.spec);
    let subnet_terms = translate::subnet_terms(&spec.subnet_selector_terms);
    let group_terms = translate::group_terms(&spec.security_group_selector_terms);
    let (images, subnets, groups, profile, reservations, placement, service_cidr) = tokio::join!(
        images(shared, parameters, class),
        resolve::subnets(clients, &subnet_terms),
        resolve::security_groups(clients, &group_terms),
        profile_of(shared, class),
        reservations(shared, class),
        placement(shared, class),
        service_cidr(shared, class),
    );
    Findings { images, subnets, groups, profile, reservations, placement, service_cidr }
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

/// Takes down what is kept for machines of a class. What EC2 did not answer stays as it was.
fn keep(shared: &Shared, class: &Ec2NodeClass, findings: &Findings) {
    let name = class_ref(class.metadata.name());
    let mut kept = shared.market.kept(&name);
    match &findings.reservations {
        None => kept.reservations.clear(),
        Some(Ok(found)) => kept.reservations.clone_from(found),
        Some(Err(_)) => {}
    }
    match &findings.placement {
        None => kept.placement = None,
        Some(Ok(found)) => kept.placement.clone_from(found),
        Some(Err(_)) => {}
    }
    shared.market.saw_kept(name, kept);
}

/// Nodes of AL2023 do not join without the addresses of services.
async fn service_cidr(shared: &Shared, class: &Ec2NodeClass) -> Found<bool> {
    match translate::family(&class.spec) {
        Some(AmiFamily::Al2023) => Ok(shared.seller.find_service_cidr().await?.is_some()),
        _ => Ok(true),
    }
}

async fn images(
    shared: &Shared,
    parameters: &cloud::aws::alias::Parameters,
    class: &Ec2NodeClass,
) -> Found<Vec<cloud::aws::Image>> {
    let clients = shared.clients();
    let terms = &class.spec.ami_selector_terms;
    let mut ours = translate::image_terms(terms);
    let mut variants = Vec::new();
    for term in terms {
        if let Some(alias) = &term.alias {
            variants.extend(parameters.of_alias(clients, alias, &shared.settings.kubernetes).await?);
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
    profile::ensure(shared.clients(), &owner(shared, class, &tags), class.spec.role.as_deref().unwrap_or_default())
        .await
}

fn owner<'a>(shared: &'a Shared, class: &'a Ec2NodeClass, tags: &'a BTreeMap<String, String>) -> profile::Owner<'a> {
    let uid = class.metadata.uid.as_deref().unwrap_or_default();
    profile::Owner { cluster: &shared.seller.cluster().name, class: class.metadata.name(), uid, tags }
}

/// Claims that were stamped by another version of the hash get the new one, so that an upgrade drifts nothing. Those that
/// drifted before stay so.
async fn restamp(shared: &Shared, class: &Ec2NodeClass, hash: &str) -> Result<(), ClassFault> {
    let version = class.metadata.annotations.get(names::NODE_CLASS_HASH_VERSION);
    if version.is_none_or(|version| version == EC2_NODE_CLASS_HASH_VERSION) {
        return Ok(());
    }
    for claim in claims_of(shared, class) {
        let conditions = claim.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let has_drifted = conditions.iter().any(|condition| condition.type_ == "Drifted");
        let mut annotations = json!({ names::NODE_CLASS_HASH_VERSION: EC2_NODE_CLASS_HASH_VERSION });
        if !has_drifted {
            annotations[names::NODE_CLASS_HASH] = json!(hash);
        }
        let patch = json!({ "metadata": { "annotations": annotations } });
        match shared.api.merge::<NodeClaim>("", claim.metadata.name(), patch).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn claims_of(shared: &Shared, class: &Ec2NodeClass) -> Vec<Arc<NodeClaim>> {
    let mut claims = shared.mirror.claims();
    claims.retain(|claim| {
        let of = &claim.spec.node_class_ref;
        of.group == CLASSES[0].group && of.kind == CLASSES[0].kind && of.name == class.metadata.name()
    });
    claims
}

/// A class that is being deleted: once no claim is left, what was made for it goes, then the class.
async fn let_go(shared: &Shared, class: &Ec2NodeClass) -> Result<(), ClassFault> {
    let meta = &class.metadata;
    if !meta.finalizers.iter().any(|finalizer| finalizer == names::TERMINATION_FINALIZER) {
        return Ok(());
    }
    let n_claims = claims_of(shared, class).len();
    if n_claims > 0 {
        tracing::info!(EC2NodeClass = meta.name(), claims = n_claims, "waiting for claims to go");
        return Ok(());
    }
    if !shared.settings.config.isolated_vpc {
        profile::delete_all(shared.clients(), &owner(shared, class, &BTreeMap::new())).await?;
    }
    shared.seller.delete_templates(meta.name()).await?;
    let kept: Vec<&String> = meta.finalizers.iter().filter(|one| *one != names::TERMINATION_FINALIZER).collect();
    let patch = json!({ "metadata": { "finalizers": kept, "resourceVersion": meta.resource_version } });
    match shared.api.merge::<Ec2NodeClass>("", meta.name(), patch).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Why a class could not be seen to.
#[derive(Debug, thiserror::Error)]
enum ClassFault {
    #[error(transparent)]
    Api(#[from] ActError),
    #[error(transparent)]
    Aws(#[from] cloud::aws::Fault),
}
