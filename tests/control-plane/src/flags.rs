//! The command line of each program. Every listener is on loopback.

use crate::files::Folder;
use crate::ports::Ports;
use crate::{Component, Options};

/// Controllers that tests need: workloads, disruption budgets, deletion in all its forms, node health, and the roles
/// that are made of other roles (without it `view`, `edit` and `admin` are empty).
const CONTROLLERS: &str = "deployment-controller,replicaset-controller,daemonset-controller,statefulset-controller,\
    job-controller,disruption-controller,garbage-collector-controller,namespace-controller,node-lifecycle-controller,\
    taint-eviction-controller,pod-garbage-collector-controller,resourceclaim-controller,clusterrole-aggregation-controller";

/// Seconds that a simulated node's Lease is good for; it is renewed every quarter of that.
const NODE_LEASE_SECONDS: u32 = 40;

/// What the program is started with.
pub(crate) fn flags(component: Component, folder: &Folder, ports: &Ports, options: &Options) -> Vec<String> {
    let file = |name: &str| folder.file(name).display().to_string();
    let kubeconfig = folder.kubeconfig(component.name()).display().to_string();
    let (crt, key) = (file("certs/apiserver.crt"), file("certs/apiserver.key"));
    match component {
        Component::Etcd => vec![
            format!("--data-dir={}", file("etcd")),
            format!("--listen-client-urls=http://127.0.0.1:{}", ports.etcd),
            format!("--advertise-client-urls=http://127.0.0.1:{}", ports.etcd),
            format!("--listen-peer-urls=http://127.0.0.1:{}", ports.etcd_peer),
            format!("--initial-advertise-peer-urls=http://127.0.0.1:{}", ports.etcd_peer),
            format!("--initial-cluster=default=http://127.0.0.1:{}", ports.etcd_peer),
            "--unsafe-no-fsync=true".to_owned(),
            "--quota-backend-bytes=4294967296".to_owned(),
            "--log-level=warn".to_owned(),
        ],
        Component::Apiserver => vec![
            format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            // Loopback is no address for endpoints of the Service `kubernetes`; nobody here uses it.
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--secure-port={}", ports.apiserver),
            format!("--cert-dir={}", file("certs")),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--allow-privileged=true".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            format!("--token-auth-file={}", file("tokens.csv")),
            "--service-account-issuer=https://localhost".to_owned(),
            format!("--service-account-key-file={}", file("sa.pub")),
            format!("--service-account-signing-key-file={}", file("sa.key")),
            format!("--audit-log-path={}", file("audit.log")),
            format!("--audit-policy-file={}", file("audit.yaml")),
            format!("--max-requests-inflight={}", options.max_requests_inflight.0),
            format!("--max-mutating-requests-inflight={}", options.max_requests_inflight.1),
            "--profiling=false".to_owned(),
        ],
        Component::ControllerManager => vec![
            format!("--kubeconfig={kubeconfig}"),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            format!("--tls-cert-file={crt}"),
            format!("--tls-private-key-file={key}"),
            "--leader-elect=false".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", ports.controller_manager),
            format!("--kube-api-qps={}", options.component_qps),
            format!("--kube-api-burst={}", options.component_qps.saturating_mul(2)),
            "--concurrent-deployment-syncs=10".to_owned(),
            "--concurrent-replicaset-syncs=20".to_owned(),
            "--concurrent-gc-syncs=30".to_owned(),
            format!("--controllers={CONTROLLERS}"),
        ],
        Component::Scheduler => vec![
            format!("--config={}", file("scheduler.yaml")),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            format!("--tls-cert-file={crt}"),
            format!("--tls-private-key-file={key}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", ports.scheduler),
        ],
        Component::Kwok => vec![
            format!("--kubeconfig={kubeconfig}"),
            format!("--config={}", file("stages.yaml")),
            "--manage-all-nodes=false".to_owned(),
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake".to_owned(),
            "--cidr=10.0.0.1/16".to_owned(),
            "--node-ip=10.0.0.1".to_owned(),
            format!("--node-lease-duration-seconds={NODE_LEASE_SECONDS}"),
            format!("--server-address=127.0.0.1:{}", ports.kwok),
        ],
    }
}
