//! A class while it is looked at: what its selectors found, what that says of it, and what of it is to be written.

use cloud::LaunchError;
use cloud::aws::reserve::CapacityReservation;
use cloud::aws::{Fault, Image, Kind, Refused, Subnet};
use cloud::catalog::{AmiFamily, PlacementGroup, ReservationKind};
use crds::conditions::{ConditionSet, ConditionTypes};
use crds::ec2_node_class::{
    Ami, CapacityReservationState, Ec2NodeClassStatus, InstanceMatchCriteria, ReservationType, SecurityGroup,
};
use crds::hash::EC2_NODE_CLASS_HASH_VERSION;
use crds::names::aws as names;
use crds::{Condition, Ec2NodeClass, LabelRequirement};
use planner::model::Str;
use serde_json::{Value, json};

use super::kubelet::told;
use super::lookup::UNPUBLISHED;
use super::version::UNSUPPORTED_ALIAS;
use crate::act::merge::merge_patch;
use crate::controllers::time;
use crate::observe::kubelet;

const AMIS: &str = "AMIsReady";
const SUBNETS: &str = "SubnetsReady";
const GROUPS: &str = "SecurityGroupsReady";
const PROFILE: &str = "InstanceProfileReady";
const PLACEMENT: &str = "PlacementGroupReady";
const RESERVATIONS: &str = "CapacityReservationsReady";
const VALIDATION: &str = "ValidationSucceeded";

const NOT_READY: &str = "DependenciesNotReady";
const NO_CIDR: &str = "ClusterCIDRResolutionFailed";

/// What a question of AWS came to.
pub(super) type Found<T> = Result<T, Fault>;

/// Everything that was looked up for a class. A question that AWS did not answer changes nothing of what is written.
#[derive(Debug)]
pub(super) struct Findings {
    pub images: Found<Vec<Image>>,
    pub subnets: Found<Vec<Subnet>>,
    pub groups: Found<Vec<(Str, String)>>,
    pub profile: Found<String>,
    /// None: the feature gate is off.
    pub reservations: Option<Found<Vec<CapacityReservation>>>,
    /// None: the class selects no group.
    pub placement: Option<Found<Option<PlacementGroup>>>,
    /// What became of the kubelet's expressions; None where they are not allowed.
    pub expressions: Option<Result<(), kubelet::Told>>,
    /// Whether the addresses of services are known, for images that want to be told.
    pub service_cidr: Found<bool>,
}

impl Findings {
    /// What went wrong.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        [
            self.images.as_ref().err(),
            self.subnets.as_ref().err(),
            self.groups.as_ref().err(),
            self.profile.as_ref().err(),
            self.reservations.as_ref().and_then(|found| found.as_ref().err()),
            self.placement.as_ref().and_then(|found| found.as_ref().err()),
            self.service_cidr.as_ref().err(),
        ]
        .into_iter()
        .flatten()
    }
}

/// What a launch that was not carried out came to.
pub(super) type Rehearsal = Result<(), Refused>;

/// A class as it was read, and as it is to be.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "nothing is changed before the patches are sent"]
pub(super) struct Draft {
    before: Ec2NodeClass,
    /// Whether the class is as it should be, as far as it can be seen without trying a launch.
    pub is_sound: bool,
    pub class: Ec2NodeClass,
    pub conditions: ConditionSet,
}

impl Draft {
    /// Takes up a class at a time (RFC 3339).
    pub fn new(class: Ec2NodeClass, now: &str, reserved_capacity: bool) -> Self {
        let written = class.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
        let types = ConditionTypes::ec2_node_class(reserved_capacity);
        let conditions = ConditionSet::new(types, &class.metadata, written, now);
        let mut changed = class.clone();
        changed.status.get_or_insert_default();
        Self { before: class, is_sound: false, class: changed, conditions }
    }

    /// Marks the class as ours, with the hash of what its machines are made from.
    pub fn stamp(&mut self, hash: String) {
        let meta = &mut self.class.metadata;
        if !meta.finalizers.iter().any(|finalizer| finalizer == names::TERMINATION_FINALIZER) {
            meta.finalizers.push(names::TERMINATION_FINALIZER.to_owned());
        }
        meta.annotations.insert(names::NODE_CLASS_HASH.to_owned(), hash);
        meta.annotations.insert(names::NODE_CLASS_HASH_VERSION.to_owned(), EC2_NODE_CLASS_HASH_VERSION.to_owned());
    }

    /// Writes what was found, and what follows from it. A class that is sound then is valid once [`Draft::rehearsed`] says so.
    pub fn settle(&mut self, findings: Findings, family: Option<AmiFamily>, now: i64) {
        self.images(findings.images);
        self.subnets(findings.subnets);
        self.groups(findings.groups);
        self.profile(findings.profile);
        self.reservations(findings.reservations, now);
        self.placement(findings.placement);
        self.validate(family, findings.service_cidr, findings.expressions.as_ref());
    }

    /// What trying a launch came to. Where AWS did not answer, what was written of this generation stays; a class that was
    /// never tried is unknown.
    pub fn rehearsed(&mut self, rehearsal: &Rehearsal) {
        let Err(refused) = rehearsal else {
            self.conditions.set_true(VALIDATION);
            return;
        };
        match refused {
            Refused::Template(LaunchError::Rejected { reason, message, .. }) => {
                // By a policy of the role, of its boundary or of the organisation.
                let is_denied = reason.starts_with("Unauthorized");
                let reason = if is_denied { "CreateLaunchTemplateAuthCheckFailed" } else { reason };
                self.conditions.set_false(VALIDATION, reason, message);
            }
            Refused::Template(error) => self.not_tried("LaunchFailed", &error.to_string()),
            Refused::Fleet(fault) if fault.kind == Kind::Unauthorized => {
                self.conditions.set_false(VALIDATION, "CreateFleetAuthCheckFailed", &fault.to_string());
            }
            Refused::Run(fault) if fault.kind == Kind::Unauthorized => {
                self.conditions.set_false(VALIDATION, "RunInstancesAuthCheckFailed", &fault.to_string());
            }
            Refused::Fleet(fault) | Refused::Run(fault) if refused.is_about_profile() => {
                if self.class.spec.instance_profile.is_some() {
                    self.conditions.set_false(VALIDATION, "InstanceProfileNotFound", &fault.to_string());
                } else {
                    // Made a moment ago: IAM knows it, and EC2 will.
                    self.not_tried(fault.reason(), &fault.to_string());
                }
            }
            Refused::Fleet(fault) | Refused::Run(fault) if refused.is_unanswered() => {
                self.not_tried(fault.reason(), &fault.to_string());
            }
            Refused::Fleet(fault) | Refused::Run(fault) => {
                self.conditions.set_unknown_because(VALIDATION, fault.reason(), &fault.to_string());
            }
        }
    }

    /// A launch could not be tried: the last one under the same spec counts, if there was one.
    fn not_tried(&mut self, reason: &str, message: &str) {
        let generation = self.before.metadata.generation;
        let mut written = self.before.status.iter().flat_map(|status| &status.conditions);
        let last = written.rfind(|one| one.type_ == VALIDATION && Some(one.observed_generation) == generation);
        match last.cloned() {
            Some(last) if last.is_true() => drop(self.conditions.set_true(VALIDATION)),
            Some(last) if last.is_false() && last.reason != NOT_READY => {
                self.conditions.set_false(VALIDATION, &last.reason, &last.message);
            }
            _ => drop(self.conditions.set_unknown_because(VALIDATION, reason, message)),
        }
    }

    fn status(&mut self) -> &mut Ec2NodeClassStatus {
        self.class.status.get_or_insert_default()
    }

    fn images(&mut self, found: Found<Vec<Image>>) {
        match found {
            Err(fault) if fault.code == UNSUPPORTED_ALIAS => {
                self.status().amis.clear();
                self.conditions.set_false(AMIS, UNSUPPORTED_ALIAS, &fault.message);
            }
            // Machines are bought with the last images for as long as nothing takes their place.
            Err(fault) if fault.code == UNPUBLISHED => {
                if !self.is_current(AMIS) {
                    self.conditions.set_unknown_because(AMIS, UNPUBLISHED, &fault.message);
                }
            }
            Err(fault) => self.unanswered(AMIS, &fault),
            Ok(images) if images.is_empty() => {
                self.status().amis.clear();
                self.conditions.set_false(AMIS, "AMINotFound", "AMISelector did not match any AMIs");
            }
            Ok(images) => {
                self.status().amis = images.iter().map(ami).collect();
                self.conditions.set_true(AMIS);
            }
        }
    }

    fn subnets(&mut self, found: Found<Vec<Subnet>>) {
        match found {
            Err(fault) => self.unanswered(SUBNETS, &fault),
            Ok(subnets) if subnets.is_empty() => {
                self.status().subnets.clear();
                self.conditions.set_false(SUBNETS, "SubnetsNotFound", "SubnetSelector did not match any Subnets");
            }
            Ok(subnets) => {
                let written = subnets.iter().map(|subnet| crds::ec2_node_class::Subnet {
                    id: subnet.id.to_string(),
                    zone: subnet.zone.to_string(),
                    zone_id: (!subnet.zone_id.is_empty()).then(|| subnet.zone_id.to_string()),
                });
                let written: Vec<_> = written.collect();
                // Free addresses change with every machine; the order alone is no news.
                let sorted = |of: &[crds::ec2_node_class::Subnet]| {
                    let mut ids: Vec<String> = of.iter().map(|subnet| subnet.id.clone()).collect();
                    ids.sort();
                    ids
                };
                if sorted(&self.status().subnets) != sorted(&written) {
                    self.status().subnets = written;
                }
                self.conditions.set_true(SUBNETS);
            }
        }
    }

    fn groups(&mut self, found: Found<Vec<(Str, String)>>) {
        match found {
            Err(fault) => self.unanswered(GROUPS, &fault),
            Ok(groups) if groups.is_empty() => {
                self.status().security_groups.clear();
                let message = "SecurityGroupSelector did not match any SecurityGroups";
                self.conditions.set_false(GROUPS, "SecurityGroupsNotFound", message);
            }
            Ok(groups) => {
                let of = |(id, name): &(Str, String)| SecurityGroup { id: id.to_string(), name: Some(name.clone()) };
                self.status().security_groups = groups.iter().map(of).collect();
                self.conditions.set_true(GROUPS);
            }
        }
    }

    fn profile(&mut self, found: Found<String>) {
        match found {
            Err(fault) => self.unanswered(PROFILE, &fault),
            Ok(name) => {
                self.status().instance_profile = Some(name);
                self.conditions.set_true(PROFILE);
            }
        }
    }

    /// Selectors that find no reservation are no fault: there may be one tomorrow.
    fn reservations(&mut self, found: Option<Found<Vec<CapacityReservation>>>, now: i64) {
        match found {
            None => {}
            Some(Err(fault)) => self.unanswered(RESERVATIONS, &fault),
            Some(Ok(found)) => {
                self.status().capacity_reservations = found.iter().map(|one| reservation(one, now)).collect();
                self.conditions.set_true(RESERVATIONS);
            }
        }
    }

    fn placement(&mut self, found: Option<Found<Option<PlacementGroup>>>) {
        match found {
            None | Some(Ok(Some(_))) => drop(self.conditions.set_true(PLACEMENT)),
            Some(Ok(None)) => {
                let message = "PlacementGroupSelector did not match any Placement Group";
                self.conditions.set_false(PLACEMENT, "PlacementGroupNotFound", message);
            }
            Some(Err(fault)) if fault.is_unanswered() => self.unanswered(PLACEMENT, &fault),
            Some(Err(fault)) => {
                self.conditions.set_false(PLACEMENT, "PlacementGroupResolutionFailed", &fault.to_string());
            }
        }
    }

    /// Whether a condition is true of the class as it is now.
    fn is_current(&self, condition: &str) -> bool {
        let generation = self.before.metadata.generation.unwrap_or_default();
        let known = self.conditions.get(condition);
        known.is_some_and(|known| known.is_true() && known.observed_generation == generation)
    }

    /// A question without an answer: what is known stays if AWS was only busy or out of reach, and anything else is told,
    /// with what to grant.
    fn unanswered(&mut self, condition: &str, fault: &Fault) {
        let is_known = self.conditions.get(condition).is_some_and(Condition::is_true);
        if !is_known || !fault.is_unanswered() {
            self.conditions.set_unknown_because(condition, fault.reason(), &fault.to_string());
        }
    }

    fn validate(
        &mut self,
        family: Option<AmiFamily>,
        service_cidr: Found<bool>,
        expressions: Option<&Result<(), kubelet::Told>>,
    ) {
        let parts = [AMIS, PROFILE, GROUPS, SUBNETS];
        if parts.iter().any(|part| self.conditions.get(part).is_some_and(Condition::is_false)) {
            let message = "Awaiting AMI, Instance Profile, Security Group, and Subnet resolution";
            self.conditions.set_false(VALIDATION, NOT_READY, message);
        } else if !self.conditions.are_true(&parts) {
            let message = "Awaiting AMI, Instance Profile, Security Group, and Subnet resolution";
            self.conditions.set_unknown_because(VALIDATION, NOT_READY, message);
        } else if let Some(tag) =
            self.class.spec.tags.iter().flatten().map(|(key, _)| key).find(|key| is_restricted(key))
        {
            let message = format!("\"{tag}\" tag does not pass tag validation requirements");
            self.conditions.set_false(VALIDATION, "TagValidationFailed", &message);
        } else if let Some(kubelet) = self.class.spec.kubelet.as_ref().and_then(|of| told(of, family, expressions)) {
            self.conditions.set_false(VALIDATION, kubelet.0, &kubelet.1);
        } else {
            match service_cidr {
                Ok(true) => self.is_sound = true,
                Ok(false) => {
                    let message =
                        "EKS tells no addresses of services of the cluster, which nodes of AL2023 are to know";
                    self.conditions.set_false(VALIDATION, NO_CIDR, message);
                }
                Err(fault) if fault.is_unanswered() => self.not_tried(NO_CIDR, &fault.to_string()),
                Err(fault) => drop(self.conditions.set_false(VALIDATION, NO_CIDR, &fault.to_string())),
            }
        }
    }

    /// The patch for annotations and finalizers; none if nothing differs. Only if nobody wrote since: the list of
    /// finalizers is replaced as a whole.
    pub fn metadata_patch(&self) -> Option<Value> {
        let part = |class: &Ec2NodeClass| json!({ "metadata": { "annotations": class.metadata.annotations, "finalizers": class.metadata.finalizers } });
        let mut patch = merge_patch(&part(&self.before), &part(&self.class))?;
        patch["metadata"]["resourceVersion"] = json!(self.before.metadata.resource_version);
        Some(patch)
    }

    /// The patch for the status; none if nothing differs.
    pub fn status_patch(&self) -> Option<Value> {
        let part = |class: &Ec2NodeClass, conditions: &[Condition]| {
            let mut status = json!(class.status.clone().unwrap_or_default());
            status["conditions"] = json!(conditions);
            json!({ "status": status })
        };
        let written = self.before.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        merge_patch(&part(&self.before, written), &part(&self.class, self.conditions.conditions()))
    }
}

fn ami(image: &Image) -> Ami {
    let mut requirements: Vec<LabelRequirement> = image
        .requirements
        .iter()
        .flat_map(|requirement| {
            requirement.entries().into_iter().filter_map(|(operator, values)| {
                let operator = crds::Operator::ALL.into_iter().find(|one| one.as_str() == format!("{operator:?}"))?;
                let values = values.iter().map(ToString::to_string).collect();
                Some(LabelRequirement { key: requirement.key.to_string(), operator, values })
            })
        })
        .collect();
    requirements.sort_by(|a, b| (a.key.len(), &a.key).cmp(&(b.key.len(), &b.key)));
    Ami {
        id: image.id.to_string(),
        name: Some(image.name.clone()),
        deprecated: image.is_deprecated.then_some(true),
        requirements,
    }
}

fn reservation(one: &CapacityReservation, now: i64) -> crds::ec2_node_class::CapacityReservation {
    let is_block = one.kind == ReservationKind::CapacityBlock;
    crds::ec2_node_class::CapacityReservation {
        availability_zone: one.zone.clone(),
        end_time: one.ends_at.map(time::text),
        id: one.id.clone(),
        instance_match_criteria: if one.is_open {
            InstanceMatchCriteria::Open
        } else {
            InstanceMatchCriteria::Targeted
        },
        instance_type: one.instance_type.clone(),
        owner_id: one.owner.clone(),
        reservation_type: if is_block { ReservationType::CapacityBlock } else { ReservationType::Default },
        interruptible: Some(one.is_interruptible),
        state: if one.is_expiring(now) { CapacityReservationState::Expiring } else { CapacityReservationState::Active },
    }
}

/// Tags that are ours to set.
fn is_restricted(key: &str) -> bool {
    [names::CLUSTER_NAME_TAG, "karpenter.sh/nodepool", names::NODE_CLAIM_TAG, names::NODE_CLASS].contains(&key)
        || key.starts_with(names::CLUSTER_TAG_PREFIX)
}
