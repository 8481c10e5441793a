//! A class while it is looked at: what its selectors found, what that says of it, and what of it is to be written.

use cloud::LaunchError;
use cloud::aws::{Fault, Image, Kind, Refused, Subnet};
use cloud::catalog::AmiFamily;
use crds::conditions::{ConditionSet, ConditionTypes};
use crds::ec2_node_class::{Ami, Ec2NodeClassStatus, SecurityGroup};
use crds::hash::EC2_NODE_CLASS_HASH_VERSION;
use crds::names::aws as names;
use crds::{Condition, Ec2NodeClass, LabelRequirement};
use planner::model::Str;
use serde_json::{Value, json};

use crate::act::merge::merge_patch;

const AMIS: &str = "AMIsReady";
const SUBNETS: &str = "SubnetsReady";
const GROUPS: &str = "SecurityGroupsReady";
const PROFILE: &str = "InstanceProfileReady";
const PLACEMENT: &str = "PlacementGroupReady";
const RESERVATIONS: &str = "CapacityReservationsReady";
const VALIDATION: &str = "ValidationSucceeded";

/// What a question of AWS came to.
pub(super) type Found<T> = Result<T, Fault>;

/// Everything that was looked up for a class. A question that AWS did not answer changes nothing of what is written.
#[derive(Debug)]
pub(super) struct Findings {
    pub images: Found<Vec<Image>>,
    pub subnets: Found<Vec<Subnet>>,
    pub groups: Found<Vec<(Str, String)>>,
    pub profile: Found<String>,
}

/// What a launch that was not carried out came to.
pub(super) type Rehearsal = Result<(), Refused>;

/// A class as it was read, and as it is to be.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "nothing is changed before the patches are sent"]
pub(super) struct Draft {
    before: Ec2NodeClass,
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
        Self { before: class, class: changed, conditions }
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

    /// Writes what was found, and what follows from it.
    pub fn settle(&mut self, findings: Findings, family: Option<AmiFamily>, reserved_capacity: bool) {
        self.images(findings.images);
        self.subnets(findings.subnets);
        self.groups(findings.groups);
        self.profile(findings.profile);
        self.others(reserved_capacity);
        self.validate(family);
    }

    /// Whether the class is as it should be, as far as it can be seen without trying a launch.
    pub fn is_sound(&self) -> bool {
        self.conditions.get(VALIDATION).is_some_and(Condition::is_true)
    }

    /// What trying a launch came to. What AWS did not answer changes nothing of what is written; a class that was never
    /// tried stays unknown.
    pub fn rehearsed(&mut self, rehearsal: &Rehearsal) {
        let Err(refused) = rehearsal else { return };
        let told = match refused {
            Refused::Template(LaunchError::Rejected { reason, message }) => match reason.as_str() {
                "Unauthorized" => Some(("CreateLaunchTemplateAuthCheckFailed", message.clone())),
                "UserDataSizeLimitExceeded" => Some(("UserDataSizeLimitExceeded", message.clone())),
                _ => None,
            },
            Refused::Fleet(fault) if fault.kind == Kind::Unauthorized => {
                Some(("CreateFleetAuthCheckFailed", fault.to_string()))
            }
            Refused::Run(fault) if fault.kind == Kind::Unauthorized => {
                Some(("RunInstancesAuthCheckFailed", fault.to_string()))
            }
            Refused::Run(fault) if fault.reason() == "InstanceProfileNameInvalid" => {
                Some(("InstanceProfileNotFound", fault.to_string()))
            }
            _ => None,
        };
        if let Some((reason, message)) = told {
            self.conditions.set_false(VALIDATION, reason, &message);
        }
    }

    fn status(&mut self) -> &mut Ec2NodeClassStatus {
        self.class.status.get_or_insert_default()
    }

    fn images(&mut self, found: Found<Vec<Image>>) {
        match found {
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

    /// Placement groups and capacity reservations are not bought into by this version: a class that asks for them says so
    /// rather than being launched without.
    fn others(&mut self, reserved_capacity: bool) {
        if self.class.spec.placement_group_selector.is_none() {
            self.conditions.set_true(PLACEMENT);
        } else {
            let message =
                "placement groups are not supported by this version: take placementGroupSelector out of the class";
            self.conditions.set_false(PLACEMENT, "PlacementGroupResolutionFailed", message);
        }
        if reserved_capacity {
            if self.class.spec.capacity_reservation_selector_terms.is_empty() {
                self.conditions.set_true(RESERVATIONS);
            } else {
                let message = "capacity reservations are not supported by this version: take \
                               capacityReservationSelectorTerms out of the class, or set the feature gate ReservedCapacity=false";
                self.conditions.set_false(RESERVATIONS, "CapacityReservationsUnsupported", message);
            }
        }
    }

    /// A question without an answer: what is known stays, and what was never known is told.
    fn unanswered(&mut self, condition: &str, fault: &Fault) {
        let is_known = self.conditions.get(condition).is_some_and(Condition::is_true);
        if !is_known {
            self.conditions.set_unknown_because(condition, fault.reason(), &fault.to_string());
        }
    }

    fn validate(&mut self, family: Option<AmiFamily>) {
        let parts = [AMIS, PROFILE, GROUPS, SUBNETS];
        if parts.iter().any(|part| self.conditions.get(part).is_some_and(Condition::is_false)) {
            let message = "Awaiting AMI, Instance Profile, Security Group, and Subnet resolution";
            self.conditions.set_false(VALIDATION, "DependenciesNotReady", message);
        } else if !self.conditions.are_true(&parts) {
            let message = "Awaiting AMI, Instance Profile, Security Group, and Subnet resolution";
            self.conditions.set_unknown_because(VALIDATION, "DependenciesNotReady", message);
        } else if let Some(tag) =
            self.class.spec.tags.iter().flatten().map(|(key, _)| key).find(|key| is_restricted(key))
        {
            let message = format!("\"{tag}\" tag does not pass tag validation requirements");
            self.conditions.set_false(VALIDATION, "TagValidationFailed", &message);
        } else if let Some(kubelet) = kubelet_fault(&self.class, family) {
            self.conditions.set_false(VALIDATION, kubelet.0, &kubelet.1);
        } else {
            self.conditions.set_true(VALIDATION);
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

/// Tags that are ours to set.
fn is_restricted(key: &str) -> bool {
    [names::CLUSTER_NAME_TAG, "karpenter.sh/nodepool", names::NODE_CLAIM_TAG, names::NODE_CLASS].contains(&key)
        || key.starts_with(names::CLUSTER_TAG_PREFIX)
}

/// Fields of `spec.kubelet` that images other than AL2023's and the user's own are told.
const KUBELET: [&str; 12] = [
    "clusterDNS",
    "maxPods",
    "podsPerCore",
    "systemReserved",
    "kubeReserved",
    "evictionHard",
    "evictionSoft",
    "evictionSoftGracePeriod",
    "evictionMaxPodGracePeriod",
    "imageGCHighThresholdPercent",
    "imageGCLowThresholdPercent",
    "cpuCFSQuota",
];

/// Reason and message of kubelet settings that would not reach the kubelet, or not as meant.
fn kubelet_fault(class: &Ec2NodeClass, family: Option<AmiFamily>) -> Option<(&'static str, String)> {
    let kubelet = class.spec.kubelet.as_ref()?;
    if kubelet.contains_key("registerWithTaints") {
        let message = "kubelet.registerWithTaints is set by the controller: use the NodePool's taints".to_owned();
        return Some(("InvalidKubeletConfiguration", message));
    }
    if kubelet.get("maxPods").is_some_and(Value::is_string) {
        let message =
            "kubelet.maxPods is an expression, which this version does not evaluate: write a number".to_owned();
        return Some(("KubeletExpressionsDisabled", message));
    }
    if matches!(family, Some(AmiFamily::Al2023 | AmiFamily::Custom) | None) {
        return None;
    }
    if family == Some(AmiFamily::Bottlerocket) && kubelet.contains_key("podsPerCore") {
        let message = "kubelet.podsPerCore is not supported by images of Bottlerocket".to_owned();
        return Some(("UnsupportedKubeletConfiguration", message));
    }
    let unsupported = kubelet.keys().find(|key| !KUBELET.contains(&key.as_str()))?;
    let message = format!("kubelet.{unsupported} is not supported by images of this family");
    Some(("UnsupportedKubeletConfiguration", message))
}
