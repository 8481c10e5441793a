//! What `--scheduler-config` says of kube-scheduler, and how files are read that an option names.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::error::InputError;
use super::k8s::pod::SpreadConstraint;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Config {
    pod_topology_spread: Option<PodTopologySpread>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PodTopologySpread {
    #[serde(default)]
    default_constraints: Vec<Default>,
}

/// A constraint without a selector: the pod's services and owner give it one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Default {
    max_skew: i64,
    topology_key: String,
    when_unsatisfiable: String,
    min_domains: Option<i64>,
    #[serde(default)]
    node_affinity_policy: String,
    #[serde(default)]
    node_taints_policy: String,
}

/// Spread constraints of pods that have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchedulerConfig(pub(super) Vec<SpreadConstraint>);

impl SchedulerConfig {
    /// Reads the document `podTopologySpread: {defaultConstraints: […]}`.
    ///
    /// # Errors
    /// When the file cannot be read, or says something else.
    pub fn read(path: &Path) -> Result<Self, InputError> {
        parse(&path.to_string_lossy(), &read_text(path, "--scheduler-config")?).map(Self)
    }
}

fn parse(file: &str, text: &str) -> Result<Vec<SpreadConstraint>, InputError> {
    let wrong = |message: String| {
        let remedy = "write podTopologySpread: {defaultConstraints: [{maxSkew, topologyKey, whenUnsatisfiable}]}";
        InputError::new(message).file(file).remedy(remedy)
    };
    let config: Config = serde_saphyr::from_str(text).map_err(|error| wrong(error.without_snippet().to_string()))?;
    let mut out: Vec<SpreadConstraint> = Vec::new();
    for (index, d) in config.pod_topology_spread.into_iter().flat_map(|p| p.default_constraints).enumerate() {
        let fault = |part: &str, message: &str| {
            wrong(message.into()).field(format!("podTopologySpread.defaultConstraints[{index}].{part}"))
        };
        if d.max_skew < 1 {
            return Err(fault("maxSkew", "must be 1 or more").value(&d.max_skew.to_string()));
        }
        if d.topology_key.is_empty() {
            return Err(fault("topologyKey", "is empty"));
        }
        if !["DoNotSchedule", "ScheduleAnyway"].contains(&d.when_unsatisfiable.as_str()) {
            return Err(
                fault("whenUnsatisfiable", "must be DoNotSchedule or ScheduleAnyway").value(&d.when_unsatisfiable)
            );
        }
        if out.iter().any(|o| *o.topology_key == *d.topology_key && *o.when_unsatisfiable == *d.when_unsatisfiable) {
            return Err(fault("topologyKey", "stands twice with the same whenUnsatisfiable").value(&d.topology_key));
        }
        out.push(SpreadConstraint {
            max_skew: Some(d.max_skew),
            topology_key: d.topology_key.into(),
            when_unsatisfiable: d.when_unsatisfiable.into(),
            label_selector: None,
            min_domains: d.min_domains,
            node_affinity_policy: d.node_affinity_policy.into(),
            node_taints_policy: d.node_taints_policy.into(),
            match_label_keys: Vec::new(),
        });
    }
    Ok(out)
}

/// The text of a file named by an option.
pub(crate) fn read_text(path: &Path, option: &str) -> Result<String, InputError> {
    fs::read_to_string(path).map_err(|error| {
        InputError::new(format!("cannot be read: {error}"))
            .file(&path.to_string_lossy())
            .remedy(format!("check the path given with {option}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_are_read_and_faults_are_named() {
        let read = |text: &str| parse("s.yaml", text).map_err(|error| error.to_string());
        let one = "{maxSkew: 2, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}";
        let all = |list: &str| read(&format!("podTopologySpread: {{defaultConstraints: [{list}]}}"));
        assert_eq!(all(one).unwrap().len(), 1);
        assert!(all(&format!("{one}, {one}")).unwrap_err().contains("stands twice"));
        assert!(all("{maxSkew: 0, topologyKey: a, whenUnsatisfiable: DoNotSchedule}").unwrap_err().contains("maxSkew"));
        assert!(all("{maxSkew: 1, topologyKey: a, whenUnsatisfiable: Never}").unwrap_err().contains("Never"));
        assert!(all("{maxSkew: 1, topologyKey: a, whenUnsatisfiable: DoNotSchedule, labelSelector: {}}").is_err());
        assert!(read("profiles: []").is_err());
        assert_eq!(read("{}").unwrap().len(), 0);
    }
}
