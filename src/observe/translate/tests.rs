//! The translation seen whole: objects as text in, what the snapshot says of them out.

use planner::model::{Code, PodGroup};

use super::super::documents;
use super::super::error::InputError;
use super::super::objects::{Builder, Validate};
use super::super::{Observed, Options, snapshot};

const POOL: &str = "
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: general}
spec:
  template:
    spec:
      nodeClassRef: {group: karpenter.kwok.sh, kind: KWOKNodeClass, name: default}
      requirements: [{key: kubernetes.io/arch, operator: In, values: [amd64]}]
";

fn observe_with(text: &str, change: impl FnOnce(&mut Options)) -> Result<Observed, InputError> {
    let mut builder = Builder::new(Validate::Strict);
    documents::each("f.yaml", text.as_bytes(), &mut builder)?;
    let mut options = Options { now: 1_767_312_000, ..Options::default() };
    change(&mut options);
    snapshot(builder.finish(), &options)
}

fn observe(text: &str) -> Observed {
    observe_with(text, |_| {}).unwrap()
}

/// Per group its pods.
fn pods(groups: &[PodGroup]) -> Vec<Vec<&str>> {
    groups.iter().map(|group| group.pods.iter().map(|pod| &*pod.key).collect()).collect()
}

fn pod(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, labels: {{app: {name}}}}}\nspec: {{containers: [], {spec}}}\n"
    )
}

#[test]
fn pods_that_differ_only_in_a_label_nobody_looks_at_are_one_group() {
    let seen = observe(&(pod("a", "") + &pod("b", "")));
    assert_eq!(pods(&seen.snapshot.groups), [["shop/a", "shop/b"]]);
    let looks = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: a}}}]";
    assert_eq!(observe(&(pod("a", "") + &pod("b", "") + &pod("c", looks))).snapshot.groups.len(), 3);
}

#[test]
fn gated_opted_out_and_nominated_pods_are_left_out_with_a_code() {
    let out = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: \
               [{key: karpenter.sh/nodepool, operator: DoesNotExist}]}]}}}";
    let nominated = pod("c", "") + "status: {nominatedNodeName: n}\n";
    let seen = observe(&(pod("a", "schedulingGates: [{name: x}]") + &pod("b", out) + &nominated));
    let codes: Vec<Code> = seen.snapshot.ignored.iter().map(|i| i.code).collect();
    assert_eq!(codes, [Code::SchedulingGated, Code::OptedOut, Code::NotPending]);
    assert!(seen.snapshot.groups.is_empty());
}

#[test]
fn a_deployment_with_its_set_and_some_pods_is_short_of_the_rest_only() {
    let template =
        "selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: []}}";
    let deployment = format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: shop}}\nspec: {{replicas: 4, {template}}}\n"
    );
    let set = format!(
        "---\napiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {{name: web-1, namespace: shop, ownerReferences: [{{apiVersion: apps/v1, kind: \
         Deployment, name: web, uid: u, controller: true}}]}}\nspec: {{replicas: 4, {template}}}\n"
    );
    let first = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: web-0, namespace: shop, labels: {app: web}}\nspec: {containers: [], nodeName: gone}\n";
    let seen = observe(&(deployment + &set + first));
    assert_eq!(pods(&seen.snapshot.groups), [["shop/web-1", "shop/web-2", "shop/web-3"]]);
}

#[test]
fn a_stateful_set_gets_its_missing_ordinals_and_their_claims() {
    let set = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: []}}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {storageClassName: fast}}]
---
apiVersion: v1
kind: Pod
metadata: {name: db-1, namespace: shop, labels: {app: db}}
spec: {containers: [], nodeName: gone}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data-db-2, namespace: shop, annotations: {pv.kubernetes.io/bind-completed: 'yes'}}
spec: {volumeName: pv}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: pv}
spec: {nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: topology.ebs.csi.aws.com/zone, operator: In, values: [z]}]}]}}}
";
    let seen = observe(set);
    assert_eq!(pods(&seen.snapshot.groups), [["shop/db-0"], ["shop/db-2"]]);
    let refused = seen.snapshot.groups[0].shape.refused.as_ref().unwrap();
    assert_eq!(refused.code, Code::VolumeNotReady);
    assert!(refused.message.contains("StorageClass fast, which does not exist"), "{}", refused.message);
    let zone = &seen.snapshot.groups[1].shape.volumes[0][0];
    assert_eq!(zone.to_string(), "topology.kubernetes.io/zone In [z]");
}

#[test]
fn a_job_runs_what_parallelism_and_completions_leave() {
    let job = |spec: &str| {
        format!(
            "---\napiVersion: batch/v1\nkind: Job\nmetadata: {{name: j, namespace: shop}}\nspec: {{{spec}, template: {{spec: {{containers: []}}}}}}\n"
        )
    };
    let count = |spec: &str| observe(&job(spec)).snapshot.groups.first().map_or(0, |group| group.pods.len());
    assert_eq!(count("parallelism: 4, completions: 10"), 4);
    assert_eq!(count("parallelism: 4, completions: 2"), 2);
    assert_eq!(count("parallelism: 3"), 3);
    assert_eq!(count("completions: 5"), 1);
    assert_eq!(count("parallelism: 3, suspend: true"), 0);
}

#[test]
fn pods_of_a_node_on_its_way_out_move_unless_something_holds_them() {
    let node = "---\napiVersion: v1\nkind: Node\nmetadata: {name: n, deletionTimestamp: '2026-01-01T00:00:00Z'}\n";
    let bound = pod("a", "nodeName: n") + &pod("b", "nodeName: n");
    let budget = "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: x, namespace: shop}\nspec: {maxUnavailable: 0, selector: {matchLabels: {app: b}}}\n";
    let seen = observe(&format!("{node}{bound}{budget}"));
    assert_eq!(pods(&seen.snapshot.groups), [["shop/a"]]);
    assert_eq!(seen.snapshot.nodes[0].pods[0].pods, ["shop/b".into()]);
}

#[test]
fn do_not_disrupt_counts_for_as_long_as_it_says() {
    let held = |value: &str| {
        let text = format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: a, annotations: {{karpenter.sh/do-not-disrupt: '{value}'}}}}\n\
             spec: {{containers: []}}\nstatus: {{startTime: '2026-01-01T22:30:00Z'}}\n"
        );
        observe(&text).snapshot.groups[0].shape.do_not_disrupt
    };
    assert!(held("true") && held("2h") && !held("1h") && !held("yes") && !held("-1h"));
}

#[test]
fn a_node_that_is_starting_loses_the_taints_that_go_by_themselves() {
    let text = "
apiVersion: v1
kind: Node
metadata: {name: n, labels: {karpenter.sh/registered: 'true', beta.kubernetes.io/arch: arm64}}
spec:
  providerID: p
  unschedulable: true
  taints:
  - {key: node.kubernetes.io/not-ready, effect: NoSchedule}
  - {key: startup, effect: NoExecute}
  - {key: dedicated, value: gpu, effect: NoSchedule}
---
apiVersion: karpenter.sh/v1
kind: NodeClaim
metadata: {name: c}
spec:
  nodeClassRef: {group: karpenter.kwok.sh, kind: KWOKNodeClass, name: default}
  requirements: []
  startupTaints: [{key: startup, effect: NoExecute}]
status: {providerID: p, allocatable: {cpu: 2}}
";
    let node = &observe(text).snapshot.nodes[0];
    let taints: Vec<String> = node.taints.iter().map(ToString::to_string).collect();
    assert_eq!(taints, ["dedicated=gpu:NoSchedule", "node.kubernetes.io/unschedulable:NoSchedule"]);
    assert_eq!(node.labels.get("kubernetes.io/arch").map(AsRef::as_ref), Some("arm64"));
    assert_eq!((node.claim.as_deref(), node.initialized, node.allocatable.get("cpu")), (Some("c"), false, 2000));
    assert!(observe(text).snapshot.claims.is_empty());
}

#[test]
fn a_claim_on_its_way_has_the_room_it_was_asked_for_until_it_is_launched() {
    let text = "
apiVersion: karpenter.sh/v1
kind: NodeClaim
metadata: {name: c, labels: {karpenter.sh/nodepool: general}}
spec:
  nodeClassRef: {group: karpenter.kwok.sh, kind: KWOKNodeClass, name: default}
  requirements: [{key: topology.kubernetes.io/zone, operator: In, values: [z]}, {key: kubernetes.io/arch, operator: In, values: [a, b]}]
  resources: {requests: {cpu: 1500m}}
";
    let claim = &observe(text).snapshot.claims[0];
    let labels: Vec<String> = claim.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(labels, ["karpenter.sh/nodepool=general", "kubernetes.io/hostname=c", "topology.kubernetes.io/zone=z"]);
    assert_eq!(claim.allocatable.get("cpu"), 1500);
}

#[test]
fn a_node_that_its_claim_owns_counts_once_though_the_claim_does_not_name_it_yet() {
    let text = "
apiVersion: karpenter.sh/v1
kind: NodeClaim
metadata: {name: c, labels: {karpenter.sh/nodepool: general}}
spec:
  nodeClassRef: {group: karpenter.kwok.sh, kind: KWOKNodeClass, name: default}
  requirements: []
  resources: {requests: {cpu: 900m}}
---
apiVersion: v1
kind: Node
metadata:
  name: n
  labels: {karpenter.sh/registered: 'true'}
  ownerReferences: [{apiVersion: karpenter.sh/v1, kind: NodeClaim, name: c, uid: u}]
spec: {providerID: 'kwok://n'}
status: {allocatable: {cpu: 1900m}}
";
    let snapshot = observe(text).snapshot;
    assert_eq!((snapshot.nodes.len(), snapshot.claims.len()), (1, 0));
    assert_eq!((snapshot.nodes[0].claim.as_deref(), snapshot.nodes[0].initialized), (Some("c"), false));
}

/// A claim with this status, and a node of 1900m on `kwok://n`.
fn claimed(name: &str, status: &str) -> String {
    format!(
        "---\napiVersion: karpenter.sh/v1\nkind: NodeClaim\nmetadata: {{name: {name}, labels: {{karpenter.sh/nodepool: general}}}}\n\
         spec: {{nodeClassRef: {{group: karpenter.kwok.sh, kind: KWOKNodeClass, name: default}}, requirements: []}}\nstatus: {{{status}}}\n"
    )
}

#[test]
fn a_node_that_has_the_name_of_one_that_is_gone_belongs_to_the_claim_of_its_own_machine() {
    let node = "---\napiVersion: v1\nkind: Node\nmetadata: {name: n}\nspec: {providerID: 'kwok://new'}\n";
    let new = claimed("new", "providerID: 'kwok://new'");
    for old in ["a-old", "z-old"] {
        let old = claimed(old, "nodeName: n, providerID: 'kwok://old'");
        let snapshot = observe(&(old.clone() + &new + node)).snapshot;
        assert_eq!(snapshot.nodes[0].claim.as_deref(), Some("new"));
        let snapshot = observe(&(old + node)).snapshot;
        assert_eq!(snapshot.nodes[0].claim, None, "its own claim is not known yet");
    }
    let nameless = claimed("c", "nodeName: n");
    assert_eq!(observe(&(nameless + node)).snapshot.nodes[0].claim.as_deref(), Some("c"));
}

#[test]
fn a_claim_whose_node_is_gone_has_no_room_and_counts_against_limits() {
    let registered = |status: &str| {
        let condition =
            format!("{{type: Registered, status: '{status}', reason: r, lastTransitionTime: '2026-01-01T00:00:00Z'}}");
        claimed("c", &format!("capacity: {{cpu: 4}}, allocatable: {{cpu: 3, pods: 8}}, conditions: [{condition}]"))
    };
    let amounts = |status: &str| {
        let claim = &observe(&registered(status)).snapshot.claims[0];
        (claim.capacity.get("cpu"), claim.allocatable.get("cpu"), claim.allocatable.get("pods"), claim.deleting)
    };
    assert_eq!(amounts("Unknown"), (4000, 3000, 8, false));
    assert_eq!(amounts("True"), (4000, 0, 0, false));
}

#[test]
fn pools_are_ready_when_nothing_has_a_status_and_must_say_so_when_something_has() {
    let reason = |text: &str| observe(text).snapshot.pools[0].not_ready.clone().map(|reason| reason.message);
    assert_eq!(reason(POOL), None);
    let class = "---\napiVersion: karpenter.kwok.sh/v1alpha1\nkind: KWOKNodeClass\nmetadata: {name: other}\nspec: {}\nstatus: {conditions: []}\n";
    assert_eq!(
        reason(&format!("{POOL}{class}")).unwrap(),
        "NodePool general refers to KWOKNodeClass default, which does not exist"
    );
    let class = class.replace("other", "default");
    assert_eq!(
        reason(&format!("{POOL}{class}")).unwrap(),
        "NodePool general: KWOKNodeClass default has no Ready condition yet"
    );
    let assumed = observe_with(&format!("{POOL}{class}"), |options| options.assume_ready = Some(true)).unwrap();
    assert_eq!(assumed.snapshot.pools[0].not_ready, None);
}

#[test]
fn a_buffer_keeps_as_much_free_as_it_says_when_the_gate_is_on() {
    let buffer = "
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {replicas: 10, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: i, resources: {requests: {cpu: 1}}}]}}}
---
apiVersion: autoscaling.x-k8s.io/v1beta1
kind: CapacityBuffer
metadata: {name: spare, namespace: shop}
spec: {scalableRef: {apiGroup: apps, kind: Deployment, name: web}, percentage: 25, limits: {cpu: 2}}
";
    let on = observe_with(buffer, |options| options.feature_gates.capacity_buffer = true).unwrap();
    let stand_ins: Vec<&str> =
        on.snapshot.groups.iter().flat_map(|g| &g.pods).filter(|pod| pod.stand_in).map(|pod| &*pod.key).collect();
    assert_eq!(stand_ins, ["shop/capacity-buffer-spare-0", "shop/capacity-buffer-spare-1"]);
    let off = observe(buffer);
    assert!(off.snapshot.groups.iter().flat_map(|g| &g.pods).all(|pod| !pod.stand_in));
    assert!(off.notes.iter().any(|note| note.contains("CapacityBuffer is off")), "{:?}", off.notes);
}

#[test]
fn a_buffer_without_a_template_says_what_is_missing() {
    for (spec, why) in [
        ("{replicas: 1}", "neither podTemplateRef nor scalableRef is set"),
        ("{replicas: 1, scalableRef: {apiGroup: batch, kind: Job, name: web}}", "none of Deployment, ReplicaSet and"),
        ("{replicas: 1, podTemplateRef: {name: web}}", "what it refers to does not exist"),
    ] {
        let meta = "metadata: {name: spare, namespace: shop}";
        let buffer = format!("apiVersion: autoscaling.x-k8s.io/v1beta1\nkind: CapacityBuffer\n{meta}\nspec: {spec}\n");
        let seen = observe_with(&buffer, |options| options.feature_gates.capacity_buffer = true).unwrap();
        assert!(seen.notes.iter().any(|note| note.contains(why)), "{:?} {why}", seen.notes);
    }
}

#[test]
fn an_overlay_changes_prices_and_resources_of_what_it_matches() {
    let overlay = "
---
apiVersion: karpenter.sh/v1alpha1
kind: NodeOverlay
metadata: {name: o}
spec:
  requirements: [{key: topology.kubernetes.io/zone, operator: In, values: [test-zone-a]}]
  priceAdjustment: '-50%'
  capacity: {example.com/fpga: 2}
";
    let text = format!("{POOL}{overlay}");
    let plain = observe(&text).snapshot.pools[0].types.clone();
    let changed = observe_with(&text, |options| options.feature_gates.node_overlay = true).unwrap().snapshot.pools[0]
        .types
        .clone();
    let price = |types: &[planner::model::InstanceType], zone: &str| {
        let all = types.iter().filter(|t| &*t.name == "c-1x-amd64-linux").flat_map(|t| &t.offerings);
        all.filter(|o| &*o.zone == zone && o.capacity_type.as_str() == "on-demand").map(|o| o.price.0).min().unwrap()
    };
    assert_eq!(price(&changed, "test-zone-b"), price(&plain, "test-zone-b"));
    assert_eq!(price(&changed, "test-zone-a"), (price(&plain, "test-zone-a") + 1) / 2);
    let has = |t: &&planner::model::InstanceType| t.allocatable.get("example.com/fpga") == 2;
    assert!(changed.iter().filter(has).all(|t| t.offerings.iter().all(|o| &*o.zone == "test-zone-a")));
    assert!(changed.iter().any(|t| has(&t)));
}

#[test]
fn what_no_pool_can_change_is_refused_with_its_code() {
    let code = |spec: &str| observe(&pod("a", spec)).snapshot.groups[0].shape.refused.clone().map(|reason| reason.code);
    assert_eq!(code("nodeSelector: {kubernetes.io/hostname: n}"), Some(Code::RestrictedLabel));
    assert_eq!(code("resourceClaims: [{name: gpu}]"), Some(Code::DynamicResourcesUnsupported));
    assert_eq!(code("volumes: [{name: v, persistentVolumeClaim: {claimName: none}}]"), Some(Code::VolumeNotReady));
    let fields = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields: \
                  [{key: metadata.name, operator: In, values: [n]}]}]}}}";
    assert_eq!(code(fields), Some(Code::UnsupportedField));
    assert_eq!(code("nodeSelector: {topology.kubernetes.io/zone: z}"), None);
}

#[test]
fn errors_in_fields_name_the_field_and_the_remedy() {
    for (spec, field) in [
        ("tolerations: [{key: a, operator: Is}]", "spec.tolerations[0].operator"),
        (
            "topologySpreadConstraints: [{maxSkew: 0, topologyKey: z, whenUnsatisfiable: DoNotSchedule}]",
            "spec.topologySpreadConstraints[0].maxSkew",
        ),
        ("overhead: {cpu: '-1'}", "spec.overhead.cpu"),
    ] {
        let error = observe_with(&pod("a", spec), |_| {}).unwrap_err();
        assert_eq!(error.field.as_deref(), Some(field));
        assert!(error.remedy.is_some() && error.value.is_some(), "{error}");
        assert_eq!(error.object.as_deref(), Some("Pod shop/a"));
    }
}

#[test]
fn a_namespace_selector_is_resolved_to_names() {
    let namespaces = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: front, labels: {team: web}}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: back}\n";
    let term = "affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: z, labelSelector: {}, \
                namespaceSelector: {matchLabels: {team: web}}, namespaces: [extra]}]}}";
    let seen = observe(&format!("{namespaces}{}", pod("a", term)));
    let names: Vec<&str> = seen.snapshot.groups[0].shape.affinity[0].namespaces.iter().map(AsRef::as_ref).collect();
    assert_eq!(names, ["extra", "front"]);
}

/// An EC2 class with these settings of its kubelet, and a pool of it.
fn of_ec2(kubelet: &str, more: &str) -> String {
    format!(
        "---\napiVersion: karpenter.k8s.aws/v1\nkind: EC2NodeClass\nmetadata: {{name: c}}\nspec:\n  role: r\n  \
         amiSelectorTerms: [{{alias: al2023@v20250920}}]\n  subnetSelectorTerms: [{{id: subnet-1}}]\n  \
         securityGroupSelectorTerms: [{{id: sg-1}}]\n  kubelet: {kubelet}\n{more}{}",
        POOL.replace("karpenter.kwok.sh", "karpenter.k8s.aws")
            .replace("KWOKNodeClass, name: default", "EC2NodeClass, name: c")
            .replace("\napiVersion", "---\napiVersion")
    )
}

#[test]
fn a_class_whose_kubelet_cannot_be_makes_its_pools_not_ready() {
    let not_ready = |kubelet: &str| {
        let seen = observe(&of_ec2(kubelet, ""));
        seen.snapshot.pools[0].not_ready.clone().map(|reason| (reason.code, reason.message))
    };
    for (kubelet, why) in [
        ("{maxPodz: 4}", "kubelet.maxPodz is no field of a kubelet's configuration"),
        ("{maxPods: abc}", "kubelet.maxPods is the expression \"abc\""),
        ("{maxPods: -5}", "kubelet.maxPods is -5: write no less than 0"),
        ("{podsPerCore: many}", "kubelet.podsPerCore is \"many\""),
        ("{kubeReserved: {cpu: '-1'}}", "kubelet.kubeReserved[cpu] is \"-1\""),
        ("{kubeReserved: {cpu: abc}}", "kubelet.kubeReserved[cpu] is the expression \"abc\""),
        ("{evictionSoft: {memory.available: 5%}}", "kubelet.evictionSoft[memory.available] has no match"),
        ("{evictionHard: {memory.available: much}}", "kubelet.evictionHard[memory.available] is \"much\""),
        ("{registerWithTaints: []}", "kubelet.registerWithTaints is set by the controller"),
    ] {
        let (code, message) = not_ready(kubelet).unwrap();
        assert_eq!(code, Code::NodePoolNotReady);
        assert!(message.starts_with(&format!("NodePool general: EC2NodeClass c is not valid: {why}")), "{message}");
    }
    assert_eq!(not_ready("{maxPods: 30, kubeReserved: {cpu: 100m}}"), None);
    let ready = "status: {conditions: [{type: Ready, status: 'True', reason: Ready, message: '', lastTransitionTime: \
                 '2026-01-01T00:00:00Z'}]}\n";
    let assume = |options: &mut Options| options.assume_ready = Some(true);
    let seen = observe_with(&of_ec2("{maxPods: vcpus * 8}", ready), assume).unwrap();
    assert_eq!(seen.snapshot.pools[0].not_ready, None, "where a class is ready, expressions are switched on");
}

#[test]
fn a_bound_that_is_no_number_is_told_as_what_it_is() {
    let above = |value: &str| {
        let affinity = format!(
            "affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{{matchExpressions: \
             [{{key: a, operator: Gt, values: ['{value}']}}]}}]}}}}}}"
        );
        observe(&pod("p", &affinity)).snapshot.groups[0].shape.refused.clone()
    };
    for bad in ["x", "-1", "1.5", "99999999999999999999"] {
        let reason = above(bad).unwrap();
        assert_eq!(reason.code, Code::RequirementConflict);
        assert!(reason.message.contains(&format!("a Gt \"{bad}\" can never be met")), "{}", reason.message);
    }
    assert!(above("4").is_none());
}

#[test]
fn prices_and_shortages_of_what_is_not_sold_are_noted() {
    let ask = |prices: &str, unavailable: &[&str]| {
        let change = |options: &mut Options| {
            let rows = format!("instance_type,zone,capacity_type,usd_per_hour\n{prices}");
            options.prices = cloud::catalog::PriceList::parse_csv(&rows).unwrap();
            let pattern = |text: &&str| cloud::catalog::UnavailablePattern::parse(text).unwrap();
            options.unavailable = unavailable.iter().map(pattern).collect();
        };
        observe_with(&of_ec2("{}", ""), change).unwrap().notes
    };
    let good = ask("m5.large,,spot,0.03\nm5.large,us-east-1a,spot,0.02\n", &["m5.*/*/*", "*/us-east-1a/spot"]);
    assert_eq!(good, [""; 0]);
    let found = ask("m5.lrge,,spot,0.03\nm5.large,us-east-1q,spot,0.02\n", &["m5.lrge/*/*", "m5.large/eu-west-1a/*"]);
    assert_eq!(
        found,
        [
            "--prices: region us-east-1 has no instance type m5.lrge; prices of it change nothing",
            "--prices: region us-east-1 has no zone us-east-1q; prices of it change nothing",
            "--unavailable m5.large/eu-west-1a/* names nothing that is sold: no such instance type, or zone",
            "--unavailable m5.lrge/*/* names nothing that is sold: no such instance type, or zone",
        ]
    );
}

#[test]
fn a_place_that_there_is_not_is_an_error_though_nothing_is_bought_there() {
    let ask = |region: &str, zones: &[&str]| {
        observe_with(POOL, |options| {
            options.region = region.into();
            options.zones = (!zones.is_empty()).then(|| zones.iter().map(|zone| (*zone).into()).collect());
        })
    };
    let error = ask("mars-1", &[]).unwrap_err();
    assert_eq!(error.field.as_deref(), Some("--region"));
    assert!(error.to_string().contains("region \"mars-1\" is not in"), "{error}");
    let error = ask("us-east-1", &["us-east-1a", "us-east-9z"]).unwrap_err();
    assert_eq!(error.field.as_deref(), Some("--zones"));
    assert!(error.to_string().contains("us-east-9z"), "{error}");
    for (region, zone) in [("eu-west-1", "eu-west-1a"), ("us-east-1", "test-zone-a")] {
        let notes = ask(region, &[zone]).unwrap().notes;
        assert!(notes.iter().any(|note| note.starts_with("--zones changes nothing")), "{notes:?}");
    }
    assert_eq!(ask("eu-west-1", &[]).unwrap().notes, [""; 0]);
}

#[test]
fn a_weight_beyond_all_numbers_is_told_with_its_range() {
    let preferred = "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 99999999999, preference: \
                     {matchExpressions: [{key: a, operator: Exists}]}}]}}";
    let error = observe_with(&pod("p", preferred), |_| {}).unwrap_err().to_string();
    let told = "preferredDuringSchedulingIgnoredDuringExecution[0].weight: is out of range: \"99999999999\"\n  remedy: write a weight from 1 to 100";
    assert!(error.contains(told), "{error}");
}
