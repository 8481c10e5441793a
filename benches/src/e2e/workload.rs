//! What the cluster is asked to run.

use serde_json::{Value, json};

/// Pods that are all alike.
#[derive(Clone, Debug)]
pub struct Deployment {
    pub name: String,
    pub replicas: u64,
    /// Quantities of Kubernetes.
    pub cpu: &'static str,
    pub memory: &'static str,
    pub placement: Placement,
}

/// Where they may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    Anywhere,
    /// Zones differ by one pod at most.
    OverZones,
    /// No two on one host.
    OnePerHost,
    /// On nodes with a label that no pool gives.
    Nowhere,
}

impl Deployment {
    pub fn object(&self) -> Value {
        let labels = json!({ "app": self.name });
        let selector = json!({ "matchLabels": labels });
        let requests = json!({ "cpu": self.cpu, "memory": self.memory });
        let mut spec = json!({
            "terminationGracePeriodSeconds": 0,
            "containers": [{ "name": "main", "image": "none", "resources": { "requests": requests } }],
        });
        match self.placement {
            Placement::Anywhere => {}
            Placement::OverZones => {
                spec["topologySpreadConstraints"] = json!([{ "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
                    "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector }]);
            }
            Placement::OnePerHost => {
                spec["affinity"] = json!({ "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [
                    { "topologyKey": "kubernetes.io/hostname", "labelSelector": selector }] } });
            }
            Placement::Nowhere => spec["nodeSelector"] = json!({ "example.com/nowhere": "true" }),
        }
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": self.name, "namespace": "default" },
            "spec": {
                "replicas": self.replicas, "selector": selector,
                // All replicas are wanted at once, however long the cluster takes.
                "progressDeadlineSeconds": 3600,
                "template": { "metadata": { "labels": labels }, "spec": spec },
            },
        })
    }
}

/// Half small pods, half large ones.
pub fn two_sizes(n_pods: u64) -> Vec<Deployment> {
    let deployment = |name: &str, cpu, memory| Deployment {
        name: name.to_owned(),
        replicas: n_pods / 2,
        cpu,
        memory,
        placement: Placement::Anywhere,
    };
    vec![deployment("small", "900m", "3100Mi"), deployment("large", "3500m", "28Gi")]
}

/// Twenty Deployments: half spread over zones, two with one pod per host. Sizes go round so that no two neighbours are
/// alike.
pub fn twenty(n_pods: u64) -> Vec<Deployment> {
    const N_DEPLOYMENTS: u64 = 20;
    const SIZES: [(&str, &str); 5] =
        [("250m", "512Mi"), ("500m", "2Gi"), ("1", "1Gi"), ("1500m", "6Gi"), ("100m", "256Mi")];
    let deployment = |nth: u64| {
        let (cpu, memory) = SIZES[usize::try_from(nth).unwrap_or_default() % SIZES.len()];
        let placement = match nth {
            0 | 1 => Placement::OnePerHost,
            nth if nth % 2 == 0 => Placement::OverZones,
            18.. => Placement::OverZones,
            _ => Placement::Anywhere,
        };
        // One pod per host means as many hosts as pods; a few dozen of them are realistic.
        let replicas = match placement {
            Placement::OnePerHost => n_pods / 128,
            _ => (n_pods - n_pods / 128 * 2).div_ceil(N_DEPLOYMENTS - 2),
        };
        Deployment { name: format!("wide-{nth}"), replicas, cpu, memory, placement }
    };
    let mut all: Vec<_> = (0..N_DEPLOYMENTS).map(deployment).collect();
    // The last one takes what rounding left over.
    let surplus = all.iter().map(|d| d.replicas).sum::<u64>().saturating_sub(n_pods);
    if let Some(last) = all.last_mut() {
        last.replicas = last.replicas.saturating_sub(surplus);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_deployments_have_the_pods_asked_for_and_half_of_them_are_spread() {
        for n_pods in [512, 5120] {
            let all = twenty(n_pods);
            assert_eq!(all.len(), 20);
            assert_eq!(all.iter().map(|d| d.replicas).sum::<u64>(), n_pods);
            assert_eq!(all.iter().filter(|d| d.placement == Placement::OverZones).count(), 10);
            assert_eq!(all.iter().filter(|d| d.placement == Placement::OnePerHost).count(), 2);
        }
    }
}
