//! Reading: a list of pods as `kubectl get pods -o json` prints it, to what the planner reads.

use std::fmt::Write as _;

use anyhow::Context;
use millwright::observe::{Options, Validate, files, snapshot};

use crate::measure::{cpu_seconds, forget_peak, median, peak_rss_mb};

/// What reading cost.
pub struct Reading {
    pub pods: usize,
    pub groups: usize,
    /// Of one thread, from the file to the snapshot.
    pub seconds: f64,
    pub peak_rss_mb: f64,
    pub file_mb: f64,
}

/// Reads `n` pods of 300 kinds, the median of `times`.
pub fn pods(n: usize, times: usize) -> anyhow::Result<Reading> {
    let path = std::env::temp_dir().join(format!("millwright-read-{}-{n}.json", std::process::id()));
    let text = list(n);
    let file_mb = text.len() as f64 / 1e6;
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    let read = (0..times).map(|_| once(&path)).collect::<anyhow::Result<Vec<_>>>();
    std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
    let read = read?;
    let mut seconds: Vec<f64> = read.iter().map(|(seconds, ..)| *seconds).collect();
    let (_, pods, groups, peak_rss_mb) = read.first().copied().unwrap_or_default();
    Ok(Reading { pods, groups, seconds: median(&mut seconds), peak_rss_mb, file_mb })
}

fn once(path: &std::path::Path) -> anyhow::Result<(f64, usize, usize, f64)> {
    forget_peak();
    let start = cpu_seconds();
    let objects = files::read(&[path], Validate::Strict)?;
    let observed = snapshot(objects, &Options::default())?;
    let seconds = cpu_seconds() - start;
    let groups = &observed.snapshot.groups;
    Ok((seconds, groups.iter().map(|group| group.pods.len()).sum(), groups.len(), peak_rss_mb()))
}

/// As an API server prints it, every default filled in, indented by four.
fn list(n: usize) -> String {
    let mut out = String::from("{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n");
    for at in 0..n {
        let kind = at % 300;
        let (cpu, memory) = (50 + kind * 13 % 3950, 64 + kind * 29 % 8000);
        let pod = POD
            .replace("KIND", &kind.to_string())
            .replace("AT", &format!("{at:06}"))
            .replace("CPU", &cpu.to_string())
            .replace("MEMORY", &memory.to_string());
        let comma = if at + 1 < n { "," } else { "" };
        // Writing to a text cannot fail.
        let _ = writeln!(out, "{pod}{comma}");
    }
    out + "    ],\n    \"kind\": \"List\",\n    \"metadata\": {\"resourceVersion\": \"\"}\n}\n"
}

const POD: &str = r#"        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "creationTimestamp": "2026-01-02T03:04:05Z",
                "generateName": "app-KIND-",
                "labels": {"app": "app-KIND", "pod-template-hash": "KIND"},
                "name": "app-KIND-AT",
                "namespace": "shop",
                "ownerReferences": [
                    {
                        "apiVersion": "apps/v1",
                        "blockOwnerDeletion": true,
                        "controller": true,
                        "kind": "ReplicaSet",
                        "name": "app-KIND",
                        "uid": "00000000-0000-0000-0000-KIND"
                    }
                ],
                "resourceVersion": "1AT",
                "uid": "00000000-0000-0000-0001-AT"
            },
            "spec": {
                "containers": [
                    {
                        "env": [
                            {"name": "HOME", "value": "/srv"},
                            {"name": "LEVEL", "value": "info"},
                            {"name": "POD", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}
                        ],
                        "image": "registry.example/app-KIND:1.2.3",
                        "imagePullPolicy": "IfNotPresent",
                        "livenessProbe": {
                            "failureThreshold": 3,
                            "httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"},
                            "periodSeconds": 10,
                            "successThreshold": 1,
                            "timeoutSeconds": 1
                        },
                        "name": "main",
                        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                        "resources": {"requests": {"cpu": "CPUm", "memory": "MEMORYMi"}},
                        "terminationMessagePath": "/dev/termination-log",
                        "terminationMessagePolicy": "File",
                        "volumeMounts": [
                            {
                                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                                "name": "kube-api-access",
                                "readOnly": true
                            }
                        ]
                    }
                ],
                "dnsPolicy": "ClusterFirst",
                "enableServiceLinks": true,
                "preemptionPolicy": "PreemptLowerPriority",
                "priority": 0,
                "restartPolicy": "Always",
                "schedulerName": "default-scheduler",
                "securityContext": {},
                "serviceAccount": "default",
                "serviceAccountName": "default",
                "terminationGracePeriodSeconds": 30,
                "tolerations": [
                    {
                        "effect": "NoExecute",
                        "key": "node.kubernetes.io/not-ready",
                        "operator": "Exists",
                        "tolerationSeconds": 300
                    },
                    {
                        "effect": "NoExecute",
                        "key": "node.kubernetes.io/unreachable",
                        "operator": "Exists",
                        "tolerationSeconds": 300
                    }
                ],
                "volumes": [
                    {
                        "name": "kube-api-access",
                        "projected": {
                            "defaultMode": 420,
                            "sources": [
                                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                                {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}}
                            ]
                        }
                    }
                ]
            },
            "status": {
                "conditions": [
                    {
                        "lastProbeTime": null,
                        "lastTransitionTime": "2026-01-02T03:04:05Z",
                        "message": "0/3 nodes are available: 3 Insufficient cpu.",
                        "reason": "Unschedulable",
                        "status": "False",
                        "type": "PodScheduled"
                    }
                ],
                "phase": "Pending",
                "qosClass": "Burstable"
            }
        }"#;
