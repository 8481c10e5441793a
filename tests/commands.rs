//! `explain`, `lint`, `crds` and `plan --diff` as a person runs them: output, exit code, and what goes to stderr.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test program; its helpers may panic too")]

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// A small kwok cluster: one pool with a limit, one tainted pool, a DaemonSet-free node with a pod on it.
const CLUSTER: &str = r#"
apiVersion: karpenter.kwok.sh/v1alpha1
kind: KWOKNodeClass
metadata: {name: plain}
---
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: meadow}
spec:
  weight: 20
  limits: {cpu: "64"}
  template:
    spec:
      nodeClassRef: {group: karpenter.kwok.sh, kind: KWOKNodeClass, name: plain}
      requirements:
        - {key: kubernetes.io/os, operator: In, values: [linux]}
        - {key: kubernetes.io/arch, operator: In, values: [amd64]}
        - {key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}
---
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: orchard}
spec:
  template:
    spec:
      nodeClassRef: {group: karpenter.kwok.sh, kind: KWOKNodeClass, name: plain}
      taints: [{key: fruit, value: "yes", effect: NoSchedule}]
      requirements:
        - {key: kubernetes.io/os, operator: In, values: [linux]}
        - {key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}
---
apiVersion: v1
kind: Node
metadata:
  name: barn
  labels: {kubernetes.io/hostname: barn, kubernetes.io/os: linux, kubernetes.io/arch: amd64}
status:
  capacity: {cpu: "2", memory: 4Gi, pods: "10"}
  allocatable: {cpu: "2", memory: 4Gi, pods: "10"}
---
apiVersion: v1
kind: Pod
metadata: {name: old-horse, namespace: farm}
spec:
  nodeName: barn
  containers: [{name: c, image: i, resources: {requests: {cpu: "1", memory: 1Gi}}}]
status: {phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: foal, namespace: farm}
spec:
  containers: [{name: c, image: i, resources: {requests: {cpu: 500m, memory: 1Gi}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: tractor, namespace: farm}
spec:
  containers: [{name: c, image: i, resources: {requests: {cpu: "6", memory: 4Gi}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: mountain, namespace: farm}
spec:
  containers: [{name: c, image: i, resources: {requests: {cpu: "200"}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: seed, namespace: farm}
spec:
  schedulingGates: [{name: spring.example/thaw}]
  containers: [{name: c, image: i}]
"#;

/// A file below the test's own folder, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("millwright-commands-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn millwright(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_millwright")).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{}", stderr(output)))
}

/// `explain KIND NAME` on the cluster above: exit code, JSON, table.
fn explain(folder: &str, kind: &str, name: &str) -> (i32, Value, String) {
    let folder = Folder::new(folder);
    let file = folder.file("cluster.yaml", CLUSTER);
    let out = millwright(&["explain", kind, name, "-f", &file, "-o", "json"]);
    let table = millwright(&["explain", kind, name, "-f", &file]);
    assert_eq!(out.status.code(), table.status.code());
    (out.status.code().unwrap(), json(&out), stdout(&table))
}

#[test]
fn a_pod_that_fits_on_a_node_goes_there() {
    let (code, answer, table) = explain("foal", "pod", "farm/foal");
    assert_eq!((code, &answer["outcome"], &answer["node"]), (0, &"existingNode".into(), &"barn".into()));
    assert!(table.contains("barn"), "{table}");
}

#[test]
fn a_pod_for_which_a_node_is_bought_has_a_price_and_alternatives_and_a_refusal() {
    let (code, answer, table) = explain("tractor", "pod", "tractor");
    assert_eq!((code, &answer["outcome"]), (0, &"newNode".into()));
    assert_eq!(answer["offering"]["instanceType"], "c-8x-amd64-linux");
    assert_eq!(answer["alternatives"].as_array().unwrap().len(), 5);
    let pools = answer["nodePools"].as_array().unwrap();
    assert_eq!(pools.len(), 1, "the pool that buys is no refusal");
    assert_eq!(pools[0]["code"], "TaintNotTolerated");
    assert!(table.contains("toleration for fruit=yes:NoSchedule"), "{table}");
}

#[test]
fn a_pod_without_a_place_has_reasons_and_exit_code_2() {
    let (code, answer, table) = explain("mountain", "pod", "farm/mountain");
    assert_eq!((code, &answer["outcome"]), (2, &"unplaced".into()));
    let codes: Vec<&Value> = answer["reasons"].as_array().unwrap().iter().map(|r| &r["code"]).collect();
    assert_eq!(codes, ["LimitExceeded", "TaintNotTolerated"]);
    assert!(table.contains("limits.cpu 64"), "{table}");
}

#[test]
fn pods_that_run_or_wait_for_a_gate_are_told_as_such() {
    let (code, answer, _) = explain("horse", "pod", "farm/old-horse");
    assert_eq!((code, &answer["outcome"], &answer["node"]), (0, &"running".into(), &"barn".into()));
    let (_, answer, table) = explain("seed", "pod", "seed");
    assert_eq!(answer["outcome"], "ignored");
    assert!(table.contains("spring.example/thaw"), "{table}");
}

#[test]
fn pods_that_the_plan_leaves_out_are_told_why() {
    let folder = Folder::new("left-out");
    let pod = |name: &str, more: &str, status: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: farm{more}}}\n\
             spec: {{containers: [{{name: c, image: i}}], nodeName: '{}'}}\nstatus: {{phase: {status}}}\n",
            if more.is_empty() { "away" } else { "" }
        )
    };
    let daemon = ", ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: d, uid: u, controller: true}]";
    let input = folder.file(
        "pods.yaml",
        &[pod("far", "", "Running"), pod("done", "", "Succeeded"), pod("daemon", daemon, "Pending")].concat(),
    );
    for (name, told) in [
        ("far", "bound to node away, which is not in the input"),
        ("done", "not to be placed: it has finished (Succeeded)"),
        ("daemon", "not to be placed: it belongs to a DaemonSet"),
    ] {
        let out = millwright(&["explain", "pod", name, "-f", &input]);
        assert!(stdout(&out).contains(told), "{}{}", stdout(&out), stderr(&out));
    }
}

#[test]
fn an_unknown_name_is_an_error_that_names_near_ones() {
    let folder = Folder::new("unknown");
    let file = folder.file("cluster.yaml", CLUSTER);
    for (kind, name, meant) in
        [("pod", "farm/foul", "farm/foal"), ("node", "born", "barn"), ("nodepool", "medow", "meadow")]
    {
        let out = millwright(&["explain", kind, name, "-f", &file]);
        assert_eq!(out.status.code(), Some(1));
        assert!(out.stdout.is_empty());
        assert!(stderr(&out).contains(meant), "{}", stderr(&out));
    }
}

#[test]
fn a_node_tells_what_is_on_it_what_is_free_and_who_comes() {
    let (code, answer, table) = explain("barn", "node", "barn");
    assert_eq!(code, 0);
    assert_eq!(answer["pods"], serde_json::json!(["farm/old-horse"]));
    assert_eq!(answer["nominated"], serde_json::json!(["farm/foal"]));
    assert_eq!(answer["free"]["cpu"], "500m");
    assert!(table.contains("farm/foal"), "{table}");
}

#[test]
fn a_node_pool_tells_its_limits_its_launches_and_whom_it_refused() {
    let (code, answer, table) = explain("meadow", "nodepool", "meadow");
    assert_eq!(code, 0, "{table}");
    assert!(table.contains("farm/mountain") && table.contains("64"), "{table}");
    assert_eq!(answer["launches"].as_array().unwrap().len(), 1, "{answer}");
}

#[test]
fn a_comparison_has_both_summaries_and_the_pods_that_changed_sides() {
    let folder = Folder::new("diff");
    let before = folder.file("before.yaml", CLUSTER);
    let after = folder.file("after.yaml", &CLUSTER.replace("{cpu: \"64\"}", "{cpu: \"640\"}"));
    let out = millwright(&["plan", "--diff", &before, &after, "-o", "json"]);
    let answer = json(&out);
    assert_eq!(out.status.code(), Some(0), "the plan of AFTER places everything");
    assert_eq!(answer["before"]["unplaced"], 1);
    assert_eq!(answer["after"]["unplaced"], 0);
    assert_eq!(answer["newlyPlaced"], serde_json::json!(["farm/mountain"]));
    assert_eq!(answer["newlyUnplaced"], serde_json::json!([]));
    assert!(answer["hourlyCost"].as_str().unwrap().starts_with('+'));
    assert!(answer["nodes"]["added"].as_u64().unwrap() >= 1);
    let back = millwright(&["plan", "--diff", &after, &before]);
    assert_eq!(back.status.code(), Some(2), "the plan of AFTER leaves a pod out");
    assert!(stdout(&back).contains("without a place now: farm/mountain"), "{}", stdout(&back));
}

/// What `record -o NAME` writes is gzip, and `replay` reads it.
fn is_recording(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

#[test]
fn a_recording_goes_where_a_link_leads_and_through_a_pipe_and_replaces_neither() {
    let folder = Folder::new("record");
    let input = folder.file("cluster.yaml", CLUSTER);
    let mine = folder.file("r.gz.part", "mine");
    let at = |name: &str| folder.0.join(name);
    std::os::unix::fs::symlink("real.gz", at("link.gz")).unwrap();
    for _ in ["nothing there yet", "there"] {
        let out = millwright(&["record", "-f", &input, "-o", at("link.gz").to_str().unwrap()]);
        assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
        assert!(at("link.gz").is_symlink() && is_recording(&fs::read(at("real.gz")).unwrap()));
    }
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    let pipe = at("pipe");
    let reading = std::thread::spawn(move || fs::read(pipe).unwrap());
    let out = millwright(&["record", "-f", &input, "-o", at("pipe").to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    assert!(is_recording(&reading.join().unwrap()) && at("pipe").exists());
    let out = millwright(&["record", "-f", &input, "-o", at("r.gz").to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    assert_eq!(fs::read_to_string(mine).unwrap(), "mine");
}

#[test]
fn where_nothing_can_be_recorded_is_told_before_anything_is_read() {
    let folder = Folder::new("nowhere");
    let here = folder.0.to_str().unwrap();
    for output in [here, &format!("{here}/none/r.gz")] {
        let out = millwright(&["record", "-f", "/nowhere.yaml", "-o", output]);
        assert_eq!(out.status.code(), Some(1));
        let told = stderr(&out);
        assert!(told.contains(&format!("-o {output}: ")) && told.contains("remedy: name a file"), "{told}");
    }
}

#[test]
fn a_signal_leaves_no_half_of_a_recording() {
    let folder = Folder::new("signal");
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut run = Command::new(env!("CARGO_BIN_EXE_millwright"));
        let run = run.args(["record", "-f", "-", "-o"]).arg(folder.0.join("r.gz"));
        let mut recording = run.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let files = || fs::read_dir(&folder.0).unwrap().count();
        while files() == 0 && recording.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        assert_eq!(files(), 1);
        let id = recording.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        // Its standard input stays open until it has ended by itself.
        let input = recording.stdin.take();
        let ended = recording.wait().unwrap();
        drop(input);
        assert_eq!((ended.code(), files()), (Some(code), 0), "{signal}");
    }
}

#[test]
fn a_class_in_another_region_than_is_planned_for_is_told_so() {
    let folder = Folder::new("region");
    let ready = "status: {conditions: [{type: Ready, status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z', reason: R, message: m}]";
    let class = CLASS.replace("---", &format!("{ready}, subnets: [{{id: subnet-1, zone: eu-west-1a}}]}}\n---"));
    let pool = pool("far", "weight: 1", "", &[]) + ready + "}\n";
    let pod = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: foal, namespace: farm}\nspec:\n  containers: [{name: c, image: i}]\n";
    let file = folder.file("eu.yaml", &(class + &pool + pod));
    let note = "note: zone eu-west-1a is of region eu-west-1, not us-east-1; give --region eu-west-1";
    let out = millwright(&["plan", "-f", &file]);
    assert_eq!(out.status.code(), Some(2), "{}", stderr(&out));
    assert!(stderr(&out).contains(note), "{}", stderr(&out));
    let told = stdout(&out);
    assert!(told.contains("the node class of NodePool far has no zone where anything is sold"), "{told}");
    let told = stdout(&millwright(&["lint", "-f", &file]));
    assert!(told.contains("no zone where anything is sold") && !told.contains("drop requirements"), "{told}");
    let told = stdout(&millwright(&["explain", "nodepool", "far", "-f", &file]));
    assert!(told.contains("can buy       nothing"), "{told}");
    let out = millwright(&["plan", "-f", &file, "--region", "eu-west-1"]);
    assert_eq!((out.status.code(), stderr(&out).contains("note")), (Some(0), false), "{}", stderr(&out));
}

#[test]
fn a_static_pool_says_how_many_nodes_it_asks_for_though_its_gate_is_off() {
    let folder = Folder::new("static");
    let file = folder.file("static.yaml", &(CLASS.to_owned() + &pool("base", "replicas: 6", "", &[])));
    let ask = |more: &[&str]| {
        let out = millwright(&[&["explain", "nodepool", "base", "-f", &file][..], more].concat());
        (stdout(&out), stderr(&out))
    };
    let (told, notes) = ask(&[]);
    let line = "static        6 nodes asked for, none bought: the feature gate StaticCapacity is off";
    assert!(told.contains(line), "{told}");
    assert_eq!(notes.matches("StaticCapacity is off").count(), 1, "{notes}");
    assert!(ask(&["-o", "json"]).0.contains("\"replicas\": 6"));
    let (told, _) = ask(&["--feature-gates", "StaticCapacity=true"]);
    assert!(told.contains("static        6 nodes\n"), "{told}");
}

/// A controller that answers one request as a replica does that does not lead.
fn follower() -> String {
    use std::io::{Read as _, Write as _};
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut asked = Vec::new();
        let mut one = [0];
        while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut one).unwrap() > 0 {
            asked.push(one[0]);
        }
        stream.write_all(b"HTTP/1.0 503 Service Unavailable\r\n\r\nthis replica does not lead\n").unwrap();
    });
    address
}

#[test]
fn a_replica_that_does_not_lead_sends_one_to_the_leader() {
    let out = millwright(&["top", "--once", "--controller", &follower()]);
    let told = stderr(&out);
    assert_eq!(out.status.code(), Some(1), "{told}");
    assert!(told.contains("does not lead") && told.contains("remedy: ask the replica that leads"), "{told}");
    assert!(told.contains("holderIdentity") && !told.contains("metrics port"), "{told}");
}

/// A kubeconfig whose server nobody is at.
const NOBODY: &str = "apiVersion: v1\nkind: Config\ncurrent-context: mill\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]\n\
                      users: [{name: u, user: {}}]\ncontexts: [{name: mill, context: {cluster: c, user: u}}]\n";

/// `top --once` of a cluster that `kubeconfig` (a list, as kubectl reads it) leads to: what is said on stderr.
fn told_of_cluster(kubeconfig: &str, more: &[&str]) -> String {
    let mut run = Command::new(env!("CARGO_BIN_EXE_millwright"));
    let run = run.args(["top", "--once"]).args(more).env("KUBECONFIG", kubeconfig).env("HOME", "/nowhere");
    let out = run.env_remove("KUBERNETES_SERVICE_HOST").output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
    stderr(&out)
}

#[test]
fn a_kubeconfig_is_found_as_kubectl_finds_it_and_its_faults_are_told() {
    let folder = Folder::new("kubeconfig");
    let here = folder.file("here", NOBODY);
    let told = told_of_cluster(&format!("/nowhere/config:{here}"), &[]);
    assert!(told.contains("127.0.0.1:9: ") && told.contains("cannot be listed"), "{told}");
    let told = told_of_cluster(&here, &["--context", "nope"]);
    assert!(told.contains("there is no context \"nope\"\n  remedy: name one of mill with --context"), "{told}");
    let told = told_of_cluster("/nowhere/config", &[]);
    assert!(told.contains("no cluster to run on") && told.contains("name them with -f"), "{told}");
    let exec = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: /nowhere/login, interactiveMode: Never}}";
    let plugin = folder.file("plugin", &NOBODY.replace("user: {}", &format!("user: {exec}")));
    let told = told_of_cluster(&plugin, &[]);
    assert!(
        told.contains("user u of the kubeconfig") && told.contains("see that /nowhere/login is installed"),
        "{told}"
    );
}

#[test]
fn a_controller_with_a_file_that_it_cannot_use_does_not_start() {
    let folder = Folder::new("inputs");
    let (server, torn) = (folder.file("kubeconfig", NOBODY), folder.file("torn", "{{{ nothing that anybody reads"));
    for flag in ["--scheduler-config", "--instance-types-file-path", "--prices"] {
        for path in ["/nowhere", &torn] {
            let ports = ["--metrics-port", "0", "--health-probe-port", "0"];
            let args = ["controller", "--provider", "kwok", "--kubeconfig", &server, flag, path];
            let out = millwright(&[&args[..], &ports].concat());
            assert_eq!(out.status.code(), Some(1), "{flag} {path}");
            assert!(stderr(&out).contains(path) && stderr(&out).contains("remedy"), "{flag}: {}", stderr(&out));
            assert!(!stdout(&out).contains("serving"), "{}", stdout(&out));
        }
    }
}

#[test]
fn options_that_would_change_nothing_are_refused() {
    let folder = Folder::new("idle");
    let file = folder.file("cluster.yaml", CLUSTER);
    let controller = ["--controller", "127.0.0.1:9"];
    for args in [
        &[&["explain", "nodepool", "meadow", "--unavailable", "*/*/spot"][..], &controller].concat()[..],
        &[&["top", "--once", "--effort", "5"][..], &controller].concat(),
        &[&["record", "-o", "r.gz", "--kubeconfig", "k"][..], &controller].concat(),
        &["plan", "-f", &file, "--context", "nope"],
        &["plan", "--diff", &file, &file, "--kubeconfig", "k"],
        &["lint", "-f", &file, "--validate", "warn"],
        &["plan", "--diff", "-", "-"],
    ] {
        let out = millwright(args);
        let told = stderr(&out);
        assert_eq!(out.status.code(), Some(1), "{args:?}: {told}");
        let why = ["cannot be used with", "unexpected argument", "can be read once"];
        assert!(why.iter().any(|why| told.contains(why)), "{args:?}: {told}");
    }
    let out = millwright(&["plan", "--diff", &file, "/nowhere"]);
    assert!(stderr(&out).contains("remedy: check the paths given with --diff"), "{}", stderr(&out));
    // As in Go, the last one wins.
    let out = millwright(&["controller", "--provider", "kwok", "--effort", "x", "--effort", "y"]);
    assert!(stderr(&out).contains("--effort: cannot be read: \"y\""), "{}", stderr(&out));
}

#[test]
fn a_node_that_is_not_well_is_told_so() {
    let folder = Folder::new("unwell");
    let node = "apiVersion: v1\nkind: Node\nmetadata: {name: barn}\n\
                spec: {taints: [{key: node.kubernetes.io/not-ready, effect: NoSchedule}]}\n";
    let out = millwright(&["explain", "node", "barn", "-f", &folder.file("node.yaml", node)]);
    assert!(stdout(&out).starts_with("Node barn: not ready\n  has no labels that tell"), "{}", stdout(&out));
}

#[test]
fn the_definitions_are_printed_as_yaml() {
    let out = millwright(&["crds"]);
    assert_eq!(out.status.code(), Some(0));
    let text = stdout(&out);
    assert_eq!(text.matches("kind: CustomResourceDefinition").count(), 6);
    assert_eq!(text, stdout(&millwright(&["crds", "--format", "yaml"])));
}

/// A pool for Linux, with what a case adds.
fn pool(name: &str, spec: &str, template: &str, requirements: &[&str]) -> String {
    let mut out = format!(
        "apiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {{name: {name}}}\nspec:\n  {spec}\n  template:\n    spec:\n      \
         nodeClassRef: {{group: karpenter.k8s.aws, kind: EC2NodeClass, name: plain}}\n      {template}\n      requirements:\n"
    );
    for requirement in ["kubernetes.io/os, operator: In, values: [linux]"].iter().chain(requirements) {
        writeln!(out, "        - {{key: {requirement}}}").unwrap();
    }
    out
}

const CLASS: &str = "apiVersion: karpenter.k8s.aws/v1\nkind: EC2NodeClass\nmetadata: {name: plain}\nspec:\n  role: r\n  \
                     amiSelectorTerms: [{alias: al2023@v20250920}]\n  subnetSelectorTerms: [{id: subnet-1}]\n  \
                     securityGroupSelectorTerms: [{id: sg-1}]\n---\n";
const ON_DEMAND: &str = "karpenter.sh/capacity-type, operator: In, values: [on-demand]";

/// Exit code and (level, code, field) of every finding.
fn lint(name: &str, yaml: &str, more: &[&str]) -> (i32, Vec<(String, String, String)>) {
    let folder = Folder::new(name);
    let file = folder.file("pools.yaml", yaml);
    let args = [&["lint", "-f", &file, "-o", "json"], more].concat();
    let out = millwright(&args);
    let report = json(&out);
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_string();
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().map(|f| (text(f, "level"), text(f, "code"), text(f, "field"))).collect();
    (out.status.code().unwrap(), found)
}

#[test]
fn a_sound_pool_has_no_findings() {
    let (code, found) = lint("sound", &(CLASS.to_string() + &pool("sound", "weight: 1", "", &[ON_DEMAND])), &[]);
    assert_eq!((code, found), (0, vec![]));
}

/// Name, spec, template, requirements beyond Linux, and the (level, code, field) that must be found.
type Case =
    (&'static str, &'static str, &'static str, &'static [&'static str], (&'static str, &'static str, &'static str));

const PLAIN: &str = "replicas: null";
const REQUIREMENTS: &str = "spec.template.spec.requirements";
const CASES: &[Case] = &[
    (
        "misspelt-label",
        PLAIN,
        "",
        &["karpenter.k8s.aws/instance-famly, operator: In, values: [m5]"],
        ("error", "UnknownLabel", "spec.template.spec.requirements[1]"),
    ),
    (
        "unknown-value",
        PLAIN,
        "",
        &["karpenter.k8s.aws/instance-family, operator: In, values: [m55]"],
        ("error", "UnknownValue", "spec.template.spec.requirements[1]"),
    ),
    (
        "one-unknown-value",
        PLAIN,
        "",
        &["karpenter.k8s.aws/instance-family, operator: In, values: [m5, m55]"],
        ("warning", "UnknownValue", "spec.template.spec.requirements[1]"),
    ),
    (
        "bound-above-all",
        PLAIN,
        "",
        &["karpenter.k8s.aws/instance-cpu, operator: Gt, values: [\"9000\"]"],
        ("error", "UnknownValue", "spec.template.spec.requirements[1]"),
    ),
    (
        "zone-of-elsewhere",
        PLAIN,
        "",
        &["topology.kubernetes.io/zone, operator: In, values: [eu-west-1a]"],
        ("error", "ImpossibleZone", "spec.template.spec.requirements[1]"),
    ),
    (
        "one-wrong-zone",
        PLAIN,
        "",
        &["topology.kubernetes.io/zone, operator: In, values: [us-east-1a, us-east-1z]"],
        ("warning", "ImpossibleZone", "spec.template.spec.requirements[1]"),
    ),
    (
        "alias",
        PLAIN,
        "",
        &["beta.kubernetes.io/arch, operator: In, values: [amd64]"],
        ("warning", "DeprecatedLabel", "spec.template.spec.requirements[1]"),
    ),
    (
        "restricted",
        PLAIN,
        "",
        &["kubernetes.io/hostname, operator: In, values: [a]"],
        ("error", "RestrictedLabel", "spec.template.spec.requirements[1]"),
    ),
    (
        "no-common-value",
        PLAIN,
        "",
        &["kubernetes.io/arch, operator: In, values: [amd64]", "kubernetes.io/arch, operator: In, values: [arm64]"],
        ("error", "ContradictoryRequirements", REQUIREMENTS),
    ),
    (
        "crossed-bounds",
        PLAIN,
        "",
        &[
            "karpenter.k8s.aws/instance-cpu, operator: Gt, values: [\"8\"]",
            "karpenter.k8s.aws/instance-cpu, operator: Lt, values: [\"4\"]",
        ],
        ("error", "ContradictoryRequirements", REQUIREMENTS),
    ),
    (
        "not-together",
        PLAIN,
        "",
        &[
            "karpenter.k8s.aws/instance-family, operator: In, values: [t3]",
            "kubernetes.io/arch, operator: In, values: [arm64]",
        ],
        ("error", "NothingToBuy", REQUIREMENTS),
    ),
    ("limit-below-a-node", "limits: {cpu: 500m}", "", &[], ("error", "LimitTooSmall", "spec.limits.cpu")),
    ("limit-of-no-nodes", "limits: {nodes: \"0\"}", "", &[], ("warning", "LimitTooSmall", "spec.limits.nodes")),
    (
        "limit-on-devices",
        "limits: {nvidia.com/gpu: \"2\"}",
        "",
        &["node.kubernetes.io/instance-type, operator: In, values: [p4d.24xlarge]"],
        ("error", "LimitTooSmall", "spec.limits.nvidia.com/gpu"),
    ),
    (
        "min-values",
        PLAIN,
        "",
        &[
            "karpenter.k8s.aws/instance-family, operator: In, values: [m5, m6i], minValues: 2",
            "node.kubernetes.io/instance-type, operator: In, values: [m5.large, m5.xlarge]",
        ],
        ("error", "MinValuesImpossible", REQUIREMENTS),
    ),
    (
        "little-spot-choice",
        PLAIN,
        "",
        &[
            "karpenter.sh/capacity-type, operator: In, values: [spot, on-demand]",
            "karpenter.k8s.aws/instance-family, operator: In, values: [t3]",
        ],
        ("warning", "TooLittleSpotChoice", REQUIREMENTS),
    ),
    (
        "taint-twice",
        PLAIN,
        "taints: [{key: a, value: b, effect: NoSchedule}, {key: a, value: c, effect: NoSchedule}]",
        &[],
        ("error", "DuplicateTaint", "spec.template.spec.taints[1]"),
    ),
    (
        "budget-of-none",
        "disruption: {budgets: [{nodes: \"0\"}]}",
        "",
        &[],
        ("warning", "BudgetBlocksAlways", "spec.disruption.budgets[0]"),
    ),
    (
        "weight-beyond-the-api",
        "weight: 5000\n  limits: {cpu: \"1000\"}",
        "",
        &[],
        ("error", "InvalidObject", "spec.weight"),
    ),
];

#[test]
fn each_mistake_is_found_at_its_level_and_field() {
    let pools: Vec<String> =
        CASES.iter().map(|(name, spec, template, own, _)| pool(name, spec, template, own)).collect();
    let folder = Folder::new("cases");
    let file = folder.file("pools.yaml", &(CLASS.to_string() + &pools.join("---\n")));
    let out = millwright(&["lint", "-f", &file, "-o", "json"]);
    assert_eq!(out.status.code(), Some(2));
    let report = json(&out);
    for (name, _, _, _, (level, code, field)) in CASES {
        let object = format!("NodePool {name}");
        let own: Vec<&Value> =
            report["findings"].as_array().unwrap().iter().filter(|f| f["object"] == object.as_str()).collect();
        let found = own.iter().any(|f| f["level"] == *level && f["code"] == *code && f["field"] == *field);
        assert!(found, "{name}: {own:#?}");
        let graver = own.iter().filter(|f| f["level"] != "info").count();
        assert_eq!(graver, 1, "{name} has one mistake: {own:#?}");
    }
}

#[test]
fn warnings_alone_do_not_fail() {
    let (code, found) =
        lint("warnings", &(CLASS.to_string() + &pool("p", "limits: {nodes: \"0\"}", "", &[ON_DEMAND])), &[]);
    assert_eq!((code, found.len()), (0, 1), "{found:?}");
}

#[test]
fn a_pool_behind_a_heavier_one_without_limits_is_shadowed() {
    let heavy = |spec: &str| CLASS.to_string() + &pool("heavy", spec, "", &[ON_DEMAND]) + "---\n";
    let light = pool(
        "light",
        "weight: 5",
        "",
        &[ON_DEMAND, "karpenter.k8s.aws/instance-family, operator: In, values: [m5, m6i]"],
    );
    let shadowed =
        |spec: &str| lint("shadow", &(heavy(spec) + &light), &[]).1.iter().any(|(_, c, _)| c == "ShadowedPool");
    assert!(shadowed("weight: 50"));
    assert!(!shadowed("weight: 50\n  limits: {cpu: \"1000\"}"), "a limit leaves room for the lighter one");
    assert!(!shadowed("weight: 5"), "equal weights shadow nothing");
}

#[test]
fn a_node_class_that_is_missing_beside_others_is_an_error() {
    let other = CLASS.replace("{name: plain}", "{name: plane}");
    let (code, found) = lint("class", &(other + &pool("p", "weight: 1", "", &[ON_DEMAND])), &[]);
    assert_eq!(code, 2);
    assert!(found.iter().any(|(l, c, _)| l == "error" && c == "NodeClassMissing"), "{found:?}");
    assert!(found.iter().any(|(l, c, _)| l == "info" && c == "NodeClassUnused"), "{found:?}");
    let (code, found) = lint("no-class", &pool("p", "weight: 1", "", &[ON_DEMAND]), &[]);
    assert_eq!(code, 0, "pools alone may be linted: {found:?}");
    assert!(found.iter().any(|(l, c, _)| l == "warning" && c == "NodeClassMissing"), "{found:?}");
}

#[test]
fn overlays_that_match_nothing_or_fight_are_found() {
    let overlay = |name: &str, body: &str| {
        format!(
            "---\napiVersion: karpenter.sh/v1alpha1\nkind: NodeOverlay\nmetadata: {{name: {name}}}\nspec:\n  {body}\n"
        )
    };
    let base = CLASS.to_string() + &pool("p", "weight: 1", "", &[ON_DEMAND]);
    let m5 = "requirements: [{key: karpenter.k8s.aws/instance-family, operator: In, values: [m5]}]";
    let none = overlay("none", &format!("{}\n  price: \"1\"", m5.replace("m5", "m55")));
    let (code, found) = lint("overlay", &(base.clone() + &none), &["--feature-gates", "NodeOverlay=true"]);
    assert_eq!(code, 2, "{found:?}");
    assert!(found.iter().any(|(_, c, _)| c == "UnknownValue" || c == "OverlayMatchesNothing"), "{found:?}");
    let fight = overlay("one", &format!("{m5}\n  price: \"1\"")) + &overlay("two", &format!("{m5}\n  price: \"2\""));
    let folder = Folder::new("overlays");
    let out = millwright(&["lint", "-f", &folder.file("fight.yaml", &(base + &fight))]);
    let told = "NodeOverlay one: spec.weight: changes the price of m5.";
    assert!(stdout(&out).contains(told), "names count from the end of the alphabet: {}", stdout(&out));
}

#[test]
fn the_table_names_file_object_field_and_remedy() {
    let folder = Folder::new("lint-table");
    let yaml = CLASS.to_string()
        + &pool("p", "weight: 1", "", &[ON_DEMAND, "karpenter.k8s.aws/instance-famly, operator: Exists"]);
    let file = folder.file("pools.yaml", &yaml);
    let out = millwright(&["lint", "-f", &file]);
    assert_eq!(out.status.code(), Some(2));
    let text = stdout(&out);
    for part in [
        "pools.yaml:10",
        "NodePool p",
        "spec.template.spec.requirements[2]",
        "karpenter.k8s.aws/instance-family",
        "1 error",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}
