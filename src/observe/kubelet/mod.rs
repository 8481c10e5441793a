//! Whether `spec.kubelet` of an `EC2NodeClass` says what a kubelet understands, and what images of the class's family are
//! told. The class' controller writes it into a condition; a plan from files says it of the pools.

pub(crate) mod entries;
mod fields;

use std::collections::BTreeSet;
use std::fmt;

use cloud::catalog::AmiFamily;
use entries::path;
use planner::model::Quantity;
use serde_json::{Map, Value, json};

/// Reason and message of a condition.
pub(crate) type Told = (&'static str, String);

/// A setting that cannot stay as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Why a condition is false.
    reason: &'static str,
    /// Of the field, below `spec`.
    pub(crate) path: String,
    pub(crate) what: String,
    pub(crate) remedy: String,
}

impl Fault {
    fn invalid(path: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason: INVALID, path: path.into(), what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.path, self.what, self.remedy)
    }
}

impl From<Fault> for Told {
    fn from(fault: Fault) -> Self {
        (fault.reason, fault.to_string())
    }
}

const INVALID: &str = "InvalidKubeletConfiguration";
const EXPRESSIONS: &str = "KubeletExpressionsDisabled";
const UNSUPPORTED: &str = "UnsupportedKubeletConfiguration";

/// Signals that a kubelet evicts by.
const SIGNALS: [&str; 6] = [
    "memory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "imagefs.available",
    "imagefs.inodesFree",
    "pid.available",
];
/// What can be kept back for the system.
const RESERVABLE: [&str; 4] = ["cpu", "memory", "ephemeral-storage", "pid"];
/// Fields that images other than AL2023's and the user's own are told.
const TOLD_TO_ALL: [&str; 12] = [
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

/// What is wrong with settings of a kubelet; nothing for good ones.
pub(crate) fn fault(
    kubelet: &Map<String, Value>,
    family: Option<AmiFamily>,
    are_expressions_allowed: bool,
) -> Option<Fault> {
    shape(kubelet)
        .or_else(|| if are_expressions_allowed { None } else { expression(kubelet) })
        .or_else(|| unsupported(kubelet, family))
}

/// What holds whatever the family is, and however expressions come out.
pub(crate) fn shape(kubelet: &Map<String, Value>) -> Option<Fault> {
    let mut plain = kubelet.clone();
    // An expression is no number, and is judged by itself.
    if plain.get("maxPods").is_some_and(Value::is_string) {
        plain.insert("maxPods".into(), json!(0));
    }
    fields::fault(&plain).or_else(|| rules(&plain))
}

/// What the shape of fields does not show.
fn rules(kubelet: &Map<String, Value>) -> Option<Fault> {
    if kubelet.get("registerWithTaints").is_some_and(|taints| !taints.is_null()) {
        return Some(Fault::invalid(
            "kubelet.registerWithTaints",
            "is set by the controller",
            "use the NodePool's taints",
        ));
    }
    thresholds(kubelet)
        .or_else(|| grace_periods(kubelet))
        .or_else(|| reserved(kubelet))
        .or_else(|| images(kubelet))
        .or_else(|| not_negative(kubelet))
}

/// The entries of a map of texts.
pub(crate) fn texts<'a>(kubelet: &'a Map<String, Value>, field: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let entries = kubelet.get(field).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

fn no_signal(field: &str, key: &str) -> Option<Fault> {
    let is_one = SIGNALS.contains(&key);
    (!is_one).then(|| Fault::invalid(path(field, key), "is no signal", format!("write one of {}", SIGNALS.join(", "))))
}

fn thresholds(kubelet: &Map<String, Value>) -> Option<Fault> {
    ["evictionHard", "evictionSoft", "evictionMinimumReclaim"].into_iter().find_map(|field| {
        texts(kubelet, field).find_map(|(key, value)| {
            no_signal(field, key).or_else(|| {
                let fits = match value.strip_suffix('%') {
                    Some(share) => share.parse::<f64>().is_ok_and(|share| (0.0..=100.0).contains(&share)),
                    None => Quantity::parse(value).is_ok_and(|quantity| !quantity.is_negative()),
                };
                (!fits).then(|| {
                    let remedy = "write a share from 0% to 100% or a quantity such as 100Mi";
                    Fault::invalid(path(field, key), format!("is \"{value}\""), remedy)
                })
            })
        })
    })
}

fn grace_periods(kubelet: &Map<String, Value>) -> Option<Fault> {
    const SOFT: &str = "evictionSoft";
    const GRACE: &str = "evictionSoftGracePeriod";
    let bad = texts(kubelet, GRACE).find_map(|(key, value)| {
        no_signal(GRACE, key).or_else(|| {
            let is_span = crds::Duration::from(value).nanos().is_some_and(|nanos| nanos >= 0);
            (!is_span)
                .then(|| Fault::invalid(path(GRACE, key), format!("is \"{value}\""), "write a duration such as 1m30s"))
        })
    });
    let keys = |field| texts(kubelet, field).map(|(key, _)| key).collect::<BTreeSet<_>>();
    let (soft, grace) = (keys(SOFT), keys(GRACE));
    let lone = soft.symmetric_difference(&grace).next();
    bad.or_else(|| {
        lone.map(|key| {
            let (has, lacks) = if soft.contains(key) { (SOFT, GRACE) } else { (GRACE, SOFT) };
            Fault::invalid(path(has, key), format!("has no match in kubelet.{lacks}"), "write both or neither")
        })
    })
}

fn reserved(kubelet: &Map<String, Value>) -> Option<Fault> {
    ["kubeReserved", "systemReserved"].into_iter().find_map(|field| {
        texts(kubelet, field).find_map(|(key, value)| {
            if !RESERVABLE.contains(&key) {
                let remedy = format!("write one of {}", RESERVABLE.join(", "));
                return Some(Fault::invalid(path(field, key), "cannot be reserved", remedy));
            }
            value
                .starts_with('-')
                .then(|| Fault::invalid(path(field, key), format!("is \"{value}\""), "write no less than 0"))
        })
    })
}

fn whole(kubelet: &Map<String, Value>, field: &str) -> Option<i64> {
    kubelet.get(field).and_then(Value::as_i64)
}

fn images(kubelet: &Map<String, Value>) -> Option<Fault> {
    const HIGH: &str = "imageGCHighThresholdPercent";
    const LOW: &str = "imageGCLowThresholdPercent";
    let beyond = [HIGH, LOW].into_iter().find_map(|field| {
        let n = whole(kubelet, field).filter(|n| !(0..=100).contains(n))?;
        Some(Fault::invalid(path(field, ""), format!("is {n}"), "write a share from 0 to 100"))
    });
    beyond.or_else(|| {
        let (high, low) = (whole(kubelet, HIGH)?, whole(kubelet, LOW)?);
        (high <= low).then(|| {
            Fault::invalid(
                path(HIGH, ""),
                format!("is {high} and kubelet.{LOW} is {low}"),
                format!("write a higher {HIGH}"),
            )
        })
    })
}

fn not_negative(kubelet: &Map<String, Value>) -> Option<Fault> {
    ["podsPerCore", "evictionMaxPodGracePeriod", "maxPods"].into_iter().find_map(|field| {
        let n = whole(kubelet, field).filter(|n| *n < 0)?;
        Some(Fault::invalid(path(field, ""), format!("is {n}"), "write no less than 0"))
    })
}

/// Something that would have to be evaluated for each type, which the feature gate does not allow.
fn expression(kubelet: &Map<String, Value>) -> Option<Fault> {
    let (path, text) = entries::first(kubelet)?;
    Some(Fault {
        reason: EXPRESSIONS,
        path,
        what: format!("is the expression \"{text}\""),
        remedy: "write a number, or switch on --aws-feature-gates NodeClassCEL=true".to_owned(),
    })
}

/// Something that the images of the family would not be told.
fn unsupported(kubelet: &Map<String, Value>, family: Option<AmiFamily>) -> Option<Fault> {
    if matches!(family, Some(AmiFamily::Al2023 | AmiFamily::Custom) | None) {
        return None;
    }
    let n_dns = kubelet.get("clusterDNS").and_then(Value::as_array).map_or(0, Vec::len);
    let (field, what, remedy) = if family == Some(AmiFamily::Bottlerocket) && kubelet.contains_key("podsPerCore") {
        ("podsPerCore", "is not supported by images of Bottlerocket".to_owned(), "write kubelet.maxPods")
    } else if n_dns > 1 {
        ("clusterDNS", format!("has {n_dns} entries, of which images of this family take one"), "write one")
    } else {
        let field = kubelet.keys().find(|key| !TOLD_TO_ALL.contains(&key.as_str()))?;
        (&**field, "is not supported by images of this family".to_owned(), "take it out, or use AL2023")
    };
    Some(Fault { reason: UNSUPPORTED, path: path(field, ""), what, remedy: remedy.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(family: AmiFamily, kubelet: &Value) -> Option<&'static str> {
        fault(kubelet.as_object().unwrap(), Some(family), false).map(|fault| fault.reason)
    }

    #[test]
    fn settings_are_judged_as_karpenter_judges_them() {
        use AmiFamily::{Al2, Al2023, Bottlerocket, Custom};
        let good = json!({
            "maxPods": 110, "podsPerCore": 4, "clusterDNS": ["10.0.0.10"],
            "kubeReserved": { "cpu": "100m", "memory": "1Gi", "ephemeral-storage": "1Gi", "pid": "100" },
            "evictionHard": { "memory.available": "5%", "nodefs.inodesFree": "10%", "pid.available": "100" },
            "evictionSoft": { "memory.available": "200Mi" }, "evictionSoftGracePeriod": { "memory.available": "1m30s" },
            "imageGCHighThresholdPercent": 80, "imageGCLowThresholdPercent": 70, "cpuCFSQuota": true,
        });
        for family in [Al2, Al2023, Custom] {
            assert_eq!(reason(family, &good), None, "{family:?}");
        }
        for (bad, want) in [
            (json!({ "nonsense": 1 }), INVALID),
            (json!({ "registerWithTaints": [] }), INVALID),
            (json!({ "evictionHard": { "memory": "5%" } }), INVALID),
            (json!({ "evictionHard": { "memory.available": "101%" } }), INVALID),
            (json!({ "evictionHard": { "memory.available": "-1%" } }), INVALID),
            (json!({ "evictionHard": { "memory.available": "-100Mi" } }), INVALID),
            (json!({ "evictionMinimumReclaim": { "cpu": "5%" } }), INVALID),
            (json!({ "evictionSoft": { "memory.available": "5%" } }), INVALID),
            (json!({ "evictionSoftGracePeriod": { "memory.available": "1m" } }), INVALID),
            (
                json!({ "evictionSoft": { "pid.available": "5%" }, "evictionSoftGracePeriod": { "pid.available": "-1m" } }),
                INVALID,
            ),
            (json!({ "kubeReserved": { "gpu": "1" } }), INVALID),
            (json!({ "systemReserved": { "cpu": "-1" } }), INVALID),
            (json!({ "imageGCHighThresholdPercent": 101 }), INVALID),
            (json!({ "imageGCHighThresholdPercent": 50, "imageGCLowThresholdPercent": 50 }), INVALID),
            (json!({ "maxPods": -1 }), INVALID),
            (json!({ "podsPerCore": -1 }), INVALID),
            (json!({ "evictionMaxPodGracePeriod": -1 }), INVALID),
            (json!({ "maxPods": "vcpus * 2" }), EXPRESSIONS),
            (json!({ "kubeReserved": { "memory": "memory_mib / 10" } }), EXPRESSIONS),
        ] {
            assert_eq!(reason(Al2023, &bad), Some(want), "{bad}");
        }
        assert_eq!(reason(Al2023, &json!({ "podPidsLimit": 100, "clusterDNS": ["a", "b"] })), None);
        assert_eq!(reason(Al2, &json!({ "podPidsLimit": 100 })), Some(UNSUPPORTED));
        assert_eq!(reason(Al2, &json!({ "clusterDNS": ["a", "b"] })), Some(UNSUPPORTED));
        assert_eq!(reason(Bottlerocket, &json!({ "podsPerCore": 1 })), Some(UNSUPPORTED));
        assert_eq!(reason(AmiFamily::Windows2022, &json!({ "podsPerCore": 1 })), None);
    }
}
