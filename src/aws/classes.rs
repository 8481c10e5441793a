//! The controller of `EC2NodeClass`es: looks up what their selectors find, writes it down, and lets go of them when nobody
//! refers to them any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cloud::ClassRef;
use cloud::aws::{NodeClass, profile};
use crds::hash::EC2_NODE_CLASS_HASH_VERSION;
use crds::names::aws as names;
use crds::{Ec2NodeClass, NodeClaim};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::lookup::{self, Caches, is_lasting, owner};
use super::verdict::{Draft, Findings, Rehearsal};
use super::{CLASSES, Shared, is_ours, translate, trial};
use crate::act::ActError;
use crate::events::{About, catalog};
use crate::observe::mirror::{Change, Kind};

/// How often a class is looked at. Its images and subnets are looked up at intervals of their own.
const PERIOD: Duration = Duration::from_mins(1);
/// How long after a failure a class is looked at again.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// How long until EC2 is asked again whether it knows a profile. IAM tells all of AWS within some ten seconds.
const SETTLING: Duration = Duration::from_secs(3);
/// How often it is seen whether a class is due.
const TICK: Duration = Duration::from_secs(1);

/// How long it holds that a launch which was not carried out went well.
const REHEARSED: Duration = Duration::from_mins(30);
/// How long it holds that one was refused: somebody may be granting what was missing. What AWS did not answer holds for no time.
const REFUSED: Duration = Duration::from_mins(1);

/// Classes that are looked at at once.
const AT_ONCE: usize = 10;

/// A class as it was when it was looked at: its generation, and whether it is being deleted.
type State = (i64, bool);

/// Classes and when each is due.
struct Looks {
    shared: Arc<Shared>,
    caches: Arc<Caches>,
    due: BTreeMap<String, Instant>,
    /// What each class was when the last look at it began: our own writes are no news.
    seen: BTreeMap<String, State>,
    /// Being looked at. What changes meanwhile is looked at after.
    under_way: BTreeSet<String>,
    looking: JoinSet<(String, Result<Looked, ClassFault>)>,
}

/// Looks at classes as they change, and at each one again after a while.
pub(super) async fn run(shared: Arc<Shared>) {
    shared.mirror.until_synced().await;
    let mut changes = shared.mirror.changes(&[Kind::Ec2NodeClass, Kind::NodeClaim]);
    let mut looks = Looks {
        shared,
        caches: Arc::default(),
        due: BTreeMap::new(),
        seen: BTreeMap::new(),
        under_way: BTreeSet::new(),
        looking: JoinSet::new(),
    };
    loop {
        tokio::select! {
            biased;
            Some(ended) = looks.looking.join_next() => match ended {
                Ok((name, looked)) => looks.ended(name, looked),
                // A fault of ours ends all, and is not to end one class in silence.
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
            // Whatever comes first: a change, or the time of the next class.
            first = timeout(TICK, changes.next()) => {
                let mut heard: Vec<Change> = first.ok().into_iter().collect();
                heard.extend(std::iter::from_fn(|| changes.try_next()));
                for change in &heard {
                    looks.heard(change);
                }
            }
        }
        looks.begin();
    }
}

impl Looks {
    fn heard(&mut self, change: &Change) {
        if change.kind == Kind::NodeClaim {
            // A class that is going waits for claims to go.
            self.due.extend(going(&self.shared).into_iter().map(|name| (name, Instant::now())));
            return;
        }
        let state = self.shared.mirror.ec2_class(&change.name).map(|class| state(&class));
        if state.is_none() || self.seen.get(&*change.name) != state.as_ref() {
            self.due.insert(change.name.to_string(), Instant::now());
        }
    }

    /// Begins to look at what is due.
    fn begin(&mut self) {
        let now = Instant::now();
        let is_due = |(name, at): &(&String, &Instant)| **at <= now && !self.under_way.contains(*name);
        let names: Vec<String> = self.due.iter().filter(is_due).map(|(name, _)| name.clone()).collect();
        for name in names {
            let Some(class) = self.shared.mirror.ec2_class(&name) else {
                self.forget(&name);
                continue;
            };
            if self.looking.len() >= AT_ONCE {
                return;
            }
            self.due.remove(&name);
            self.under_way.insert(name.clone());
            self.seen.insert(name.clone(), state(&class));
            let (shared, caches) = (self.shared.clone(), self.caches.clone());
            self.looking.spawn(async move {
                let looked = look(&shared, &caches, &class).await;
                (name, looked)
            });
        }
    }

    fn forget(&mut self, name: &str) {
        self.due.remove(name);
        self.seen.remove(name);
        self.caches.forget(name);
        self.shared.market.forget(&class_ref(name));
        self.shared.metrics.ec2nodeclasses_userdata_bytes.remove([name]);
    }

    fn ended(&mut self, name: String, looked: Result<Looked, ClassFault>) {
        self.under_way.remove(&name);
        let pause = match looked {
            Ok(Looked::Whole) => PERIOD,
            Ok(Looked::InPart) => AFTER_FAILURE,
            Ok(Looked::TooEarly) => SETTLING,
            Err(error) => {
                tracing::warn!(EC2NodeClass = name, %error, "looking at a class");
                AFTER_FAILURE
            }
        };
        // What came meanwhile is due earlier.
        self.due.entry(name).or_insert_with(|| Instant::now() + pause);
    }
}

fn state(class: &Ec2NodeClass) -> State {
    (class.metadata.generation.unwrap_or_default(), class.metadata.is_deleting())
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
    /// EC2 does not know the profile yet that IAM does.
    TooEarly,
}

async fn look(shared: &Shared, caches: &Caches, class: &Ec2NodeClass) -> Result<Looked, ClassFault> {
    if class.metadata.is_deleting() {
        return let_go(shared, class).await.map(|()| Looked::Whole);
    }
    let reserved = shared.settings.reserved_capacity;
    let mut draft = Draft::new(class.clone(), &shared.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), reserved);
    let findings = lookup::find(shared, caches, class).await;
    let mut looked = Looked::Whole;
    for fault in findings.faults() {
        tracing::warn!(EC2NodeClass = class.metadata.name(), error = %fault, "looking up what a class selects");
        if !is_lasting(fault) {
            looked = Looked::InPart;
        }
    }
    let now = shared.clock.seconds();
    keep(shared, class, &findings);
    let hash = shared.hash(class);
    restamp(shared, class, &hash).await?;
    draft.stamp(hash);
    draft.settle(findings, translate::family(&class.spec), now);
    if draft.is_sound {
        let rehearsal = if shared.settings.config.disable_dry_run {
            Ok(())
        } else {
            rehearse(shared, caches, &draft.class).await.unwrap_or(Ok(()))
        };
        draft.rehearsed(&rehearsal);
        if let Err(refused) = &rehearsal
            && refused.is_about_profile()
        {
            looked = Looked::TooEarly;
        } else if let Err(refused) = &rehearsal
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

/// What a launch under the class would come to: tried anew when the class or what its pools may buy changed, or half an hour has
/// passed. None when it sells nothing that could be tried.
async fn rehearse(shared: &Shared, caches: &Caches, class: &Ec2NodeClass) -> Option<Rehearsal> {
    let name = class.metadata.name();
    let status = class.status.clone().unwrap_or_default();
    let wishes = trial::wishes(&shared.mirror.pools(), name);
    // Any change of an annotation asks for another try, as with Karpenter; our own follow from the spec.
    let key = json!([
        class.spec,
        class.metadata.annotations,
        [&status.instance_profile],
        status.amis,
        status.subnets,
        status.security_groups,
        wishes
    ])
    .to_string();
    let holds = |rehearsal: &Rehearsal| if rehearsal.is_ok() { REHEARSED } else { REFUSED };
    if let Some(rehearsal) = caches.rehearsals.get(name, &key, holds) {
        return Some(rehearsal);
    }
    if let (Some(family), Some(custom)) = (translate::family(&class.spec), class.spec.user_data.as_deref()) {
        for setting in cloud::aws::userdata::left_out(family, custom) {
            tracing::warn!(EC2NodeClass = name, setting, "a setting of settings.kubernetes is not known and left out");
        }
    }
    let catalog = shared.catalog(&class_ref(name), class).ok()?;
    let resolved = shared.resolved(&class_ref(name), class);
    let offer = trial::offer(&catalog, &wishes, &resolved)?;
    let types = [&*offer.key.instance_type].into();
    let resolved = NodeClass { kubelets: shared.market.kubelets(class, &types, &shared.settings), ..resolved };
    let rehearsal = shared.seller.rehearse(&resolved, &offer).await;
    if rehearsal.as_ref().err().is_none_or(|refused| !refused.is_unanswered() && !refused.is_about_profile()) {
        caches.rehearsals.put(name, Instant::now(), key, &rehearsal);
    }
    Some(rehearsal)
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

/// Claims that were stamped by another version of the hash than ours get ours, so that an upgrade drifts nothing. Those that
/// drifted before stay so. Under a class that is stamped with ours there are none.
async fn restamp(shared: &Shared, class: &Ec2NodeClass, hash: &str) -> Result<(), ClassFault> {
    let version = class.metadata.annotations.get(names::NODE_CLASS_HASH_VERSION);
    if version.is_some_and(|version| version == EC2_NODE_CLASS_HASH_VERSION) {
        return Ok(());
    }
    let is_stamped = |claim: &NodeClaim| {
        let version = claim.metadata.annotations.get(names::NODE_CLASS_HASH_VERSION);
        version.is_some_and(|version| version == EC2_NODE_CLASS_HASH_VERSION)
    };
    for claim in claims_of(shared, class).into_iter().filter(|claim| !is_stamped(claim)) {
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
        is_ours(of) && of.name == class.metadata.name()
    });
    claims
}

/// A class that is being deleted: once no claim is left, what was made for it goes, then the class.
async fn let_go(shared: &Shared, class: &Ec2NodeClass) -> Result<(), ClassFault> {
    let meta = &class.metadata;
    if !meta.finalizers.iter().any(|finalizer| finalizer == names::TERMINATION_FINALIZER) {
        return Ok(());
    }
    let claims = claims_of(shared, class);
    if !claims.is_empty() {
        tracing::info!(EC2NodeClass = meta.name(), claims = claims.len(), "waiting for claims to go");
        let uid = meta.uid.as_deref().unwrap_or_default();
        let names: Vec<&str> = claims.iter().map(|claim| claim.metadata.name()).collect();
        let event = catalog::waiting_on_claims(uid, &names);
        shared.recorder.publish(About::ec2_node_class(meta.name(), uid), event);
        return Ok(());
    }
    if !shared.settings.config.isolated_vpc {
        let tags = BTreeMap::new();
        let owner = owner(shared, class, &tags);
        profile::delete_all(shared.clients(), &owner).await?;
        // One that somebody names is theirs.
        let is_named = |name: &String| {
            shared.mirror.ec2_classes().iter().any(|class| class.spec.instance_profile.as_ref() == Some(name))
        };
        if let Some(legacy) = profile::legacy_name(shared.clients(), &owner).filter(|name| !is_named(name)) {
            profile::remove(shared.clients(), &legacy).await?;
        }
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
