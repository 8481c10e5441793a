//! The table of mistakes: what is written, and what must be told about it.

/// One file with one mistake.
pub struct Case {
    pub about: &'static str,
    pub file: &'static str,
    pub text: &'static str,
    /// Parts of stderr.
    pub told: &'static [&'static str],
}

/// A pool and its class, without fault.
pub const POOL: &str = "apiVersion: karpenter.kwok.sh/v1alpha1
kind: KWOKNodeClass
metadata: {name: mill}
---
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: mill}
spec:
  template:
    spec:
      nodeClassRef: {group: karpenter.kwok.sh, kind: KWOKNodeClass, name: mill}
      requirements:
        - {key: kubernetes.io/arch, operator: In, values: [amd64]}
";

/// An EC2 class and its pool, without fault.
pub const EC2: &str = "apiVersion: karpenter.k8s.aws/v1
kind: EC2NodeClass
metadata: {name: cloud}
spec:
  role: mill
  amiSelectorTerms: [{alias: al2023@latest}]
  subnetSelectorTerms: [{tags: {mill: here}}]
  securityGroupSelectorTerms: [{tags: {mill: here}}]
---
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: cloud}
spec:
  template:
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: cloud}
      requirements:
        - {key: kubernetes.io/arch, operator: In, values: [amd64]}
";

macro_rules! case {
    ($about:literal, $file:literal, $text:expr, [$($told:literal),+ $(,)?]) => {
        Case { about: $about, file: $file, text: $text, told: &[$file, $($told),+] }
    };
}

/// A pod with one more line in its spec or container.
macro_rules! pod {
    ($line:literal) => {
        concat!(
            "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: mill}\nspec:\n  ",
            $line,
            "\n  containers:\n    - {name: main, image: i}\n"
        )
    };
}
macro_rules! requests {
    ($amounts:literal) => {
        concat!(
            "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: mill}\nspec:\n  containers:\n    - name: main\n      \
             image: i\n      resources: {requests: {",
            $amounts,
            "}}\n"
        )
    };
}
/// A `Deployment` of pods that are labelled `app: x`, with more in its spec.
macro_rules! deployment {
    ($more:literal) => {
        concat!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: mill}\nspec: {",
            $more,
            ", template: {metadata: {labels: {app: x}}, spec: {containers: [{name: c}]}}}\n"
        )
    };
}
/// A `NodePool` with one more line in its spec.
macro_rules! pool {
    ($line:literal) => {
        concat!(
            "apiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {name: q}\nspec:\n  ",
            $line,
            "\n  template:\n    spec:\n      nodeClassRef: {group: karpenter.kwok.sh, kind: KWOKNodeClass, name: mill}\n      \
             requirements: []\n"
        )
    };
}
/// A `NodePool` with one requirement.
macro_rules! requirement {
    ($term:literal) => {
        concat!(
            "apiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {name: q}\nspec:\n  template:\n    spec:\n      \
             nodeClassRef: {group: karpenter.kwok.sh, kind: KWOKNodeClass, name: mill}\n      requirements:\n        - {",
            $term,
            "}\n"
        )
    };
}

/// Mistakes in files.
pub const CASES: &[Case] = &[
    case!(
        "wrong indentation",
        "a.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n   namespace: mill\n",
        [":5", "broken YAML", "remedy: check the indentation"]
    ),
    case!("a tab", "b.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n\tname: p\n", ["broken YAML", "remedy"]),
    case!("a quote that does not end", "c.yaml", "kind: \"Pod\nmetadata: {}\n", ["broken YAML", "remedy"]),
    case!(
        "a key written twice",
        "d.yaml",
        "apiVersion: v1\nkind: Pod\nkind: Node\n",
        [":3", "broken YAML: field kind is written twice", "remedy: remove one; between two objects put a line ---"]
    ),
    case!("broken JSON", "e.json", "{\"kind\": \"Pod\",\n \"metadata\": }\n", [":2", "broken JSON", "remedy"]),
    case!("JSON cut short", "f.json", "{\"kind\": \"Pod\", \"metadata\": {\n", ["broken JSON", "remedy"]),
    case!(
        "a list at the top",
        "g.yaml",
        "- a\n- b\n",
        ["holds a list, not a Kubernetes object", "remedy: begin with apiVersion and kind"]
    ),
    case!("a text at the top", "h.yaml", "hello\n", ["holds a text", "remedy"]),
    case!("no kind", "i.yaml", "apiVersion: v1\nmetadata: {name: p}\n", ["kind is missing", "remedy"]),
    case!("no apiVersion", "j.yaml", "kind: Pod\nmetadata: {name: p}\n", ["apiVersion is missing", "remedy"]),
    case!(
        "no name",
        "k.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {generateName: p-}\nspec: {containers: []}\n",
        ["Pod", "metadata.name", "has no name", "remedy"]
    ),
    case!(
        "an old Deployment",
        "l.yaml",
        "apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: web}\n",
        ["Deployment", "web", "extensions/v1beta1", "not served", "remedy: write apiVersion: apps/v1"]
    ),
    case!(
        "an old NodePool",
        "m.yaml",
        "apiVersion: karpenter.sh/v1beta1\nkind: NodePool\nmetadata: {name: q}\n",
        ["NodePool q", "karpenter.sh/v1beta1", "remedy: write apiVersion: karpenter.sh/v1 "]
    ),
    case!(
        "an old CronJob is passed over, an old PodDisruptionBudget is not",
        "n.yaml",
        "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: d}\n",
        ["PodDisruptionBudget", "policy/v1beta1", "policy/v1 "]
    ),
    case!(
        "a misspelt field",
        "o.yaml",
        pod!("nodeSelectr: {a: b}"),
        [":1", "Pod mill/p", "spec.nodeSelectr", "nodeSelector"]
    ),
    case!(
        "a misspelt field of a container",
        "p.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: mill}\nspec:\n  containers:\n    - {name: a, image: i, resource: {}}\n",
        ["Pod mill/p", "spec.containers[0].resource", "resources"]
    ),
    case!("a misspelt field of a pool", "q.yaml", pool!("limit: {cpu: 1}"), ["NodePool q", "spec.limit", "limits"]),
    case!(
        "a text for a number",
        "r.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: mill}\nspec: {replicas: lots}\n",
        ["Deployment mill/web", "spec.replicas", "lots"]
    ),
    case!("a number for a text", "s.yaml", pod!("nodeSelector: {floor: 3}"), ["Pod mill/p", "spec.nodeSelector", "3"]),
    case!("a text for a list", "t.yaml", pod!("tolerations: all"), ["Pod mill/p", "spec.tolerations", "all"]),
    case!(
        "a comma in a quantity",
        "u.yaml",
        requests!("cpu: \"1,5\""),
        ["Pod mill/p", "spec.containers[0].resources.requests.cpu", "1,5", "remedy: write a number"]
    ),
    case!("an unknown unit", "v.yaml", requests!("memory: 4GB"), ["Pod mill/p", "requests.memory", "4GB", "remedy"]),
    case!(
        "a negative request",
        "w.yaml",
        requests!("cpu: -100m"),
        ["Pod mill/p", "requests.cpu", "-100m", "negative", "remedy"]
    ),
    case!("a quantity that is empty", "y.yaml", requests!("cpu: \"\""), ["Pod mill/p", "requests.cpu", "remedy"]),
    case!(
        "replicas below zero",
        "z.yaml",
        deployment!("replicas: -3, selector: {matchLabels: {app: x}}"),
        ["Deployment mill/web", "spec.replicas", "-3", "remedy"]
    ),
    case!(
        "more replicas than anybody means",
        "aa.yaml",
        deployment!("replicas: 2000000000, selector: {matchLabels: {app: x}}"),
        ["Deployment mill/web", "spec.replicas", "2000000000", "remedy"]
    ),
    case!(
        "an operator that is none",
        "ab.yaml",
        requirement!("key: a.example/b, operator: Includes, values: [x]"),
        ["NodePool q", "operator", "Includes", "In"]
    ),
    case!(
        "In without values",
        "ac.yaml",
        requirement!("key: a.example/b, operator: In"),
        ["NodePool q", "requirements[0]", "must have a value defined"]
    ),
    case!(
        "Gt with a word",
        "ad.yaml",
        requirement!("key: a.example/b, operator: Gt, values: [many]"),
        ["NodePool q", "requirements"]
    ),
    case!("a weight out of range", "ae.yaml", pool!("weight: 1000"), ["NodePool q", "spec.weight", "1000", "100"]),
    case!("a negative limit", "af.yaml", pool!("limits: {cpu: -4}"), ["NodePool q", "spec.limits.cpu", "-4"]),
    case!(
        "a restricted label in a pool",
        "ag.yaml",
        requirement!("key: karpenter.sh/nodepool, operator: In, values: [x]"),
        ["NodePool q", "requirements", "karpenter.sh/nodepool"]
    ),
    case!(
        "a misspelt effect of a taint",
        "ah.yaml",
        "apiVersion: v1\nkind: Node\nmetadata: {name: hall}\nspec: {taints: [{key: a, effect: NoScheduling}]}\n",
        ["Node hall", "spec.taints[0]", "NoScheduling", "NoSchedule"]
    ),
    case!(
        "a maxSkew of nothing",
        "ai.yaml",
        pod!("topologySpreadConstraints: [{topologyKey: zone, maxSkew: 0, whenUnsatisfiable: DoNotSchedule}]"),
        ["Pod mill/p", "maxSkew", "0", "remedy"]
    ),
    case!(
        "a policy that is none",
        "aj.yaml",
        pod!("topologySpreadConstraints: [{topologyKey: zone, maxSkew: 1, whenUnsatisfiable: Maybe}]"),
        ["Pod mill/p", "whenUnsatisfiable", "Maybe", "DoNotSchedule"]
    ),
    case!(
        "two objects of one name",
        "al.yaml",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: m}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: m, labels: {a: b}}\n",
        [":5", "Namespace m", "al.yaml:1", "differ", "remedy: keep one of them"]
    ),
    case!(
        "a price that is none",
        "am.yaml",
        "apiVersion: karpenter.sh/v1alpha1\nkind: NodeOverlay\nmetadata: {name: o}\nspec: {requirements: [], price: cheap}\n",
        ["NodeOverlay o", "spec.price", "cheap"]
    ),
    case!(
        "a time that is none",
        "ao.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: mill, deletionTimestamp: tomorrow}\nspec: {containers: []}\n",
        [
            "Pod mill/p",
            "metadata.deletionTimestamp",
            "is no time",
            "tomorrow",
            "remedy: write it like 2026-01-31T12:00:00Z"
        ]
    ),
    case!(
        "a time that is none, in JSON",
        "ap.json",
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"mill\",\"creationTimestamp\":\"2026-02-30T00:00:00Z\"},\"spec\":{\"containers\":[]}}\n",
        ["Pod mill/p", "metadata.creationTimestamp", "2026-02-30T00:00:00Z", "remedy"]
    ),
    case!(
        "a time that is none, in a status",
        "aq.yaml",
        "apiVersion: v1\nkind: Node\nmetadata: {name: hall}\nspec: {}\nstatus: {conditions: [{type: Ready, status: 'True', lastTransitionTime: soon}]}\n",
        ["Node hall", "status.conditions[0].lastTransitionTime", "soon", "remedy"]
    ),
    case!(
        "a time that is none, in a kind of ours",
        "ar.yaml",
        "apiVersion: karpenter.sh/v1alpha1\nkind: NodeOverlay\nmetadata: {name: o, creationTimestamp: 2026-02-30T00:00:00Z}\nspec: {requirements: []}\n",
        ["NodeOverlay o", "metadata.creationTimestamp", "2026-02-30", "remedy"]
    ),
    case!(
        "a start that is no time",
        "as.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: mill}\nspec: {containers: []}\nstatus: {startTime: 12:00}\n",
        ["Pod mill/p", "status.startTime", "12:00", "remedy"]
    ),
    case!(
        "an exponent beyond all measure",
        "at.yaml",
        requests!("cpu: \"1e99999999999999999999\""),
        ["Pod mill/p", "requests.cpu", "1e99999999999999999999", "not a quantity", "remedy"]
    ),
    case!(
        "an amount beyond all measure",
        "au.yaml",
        requests!("memory: 90000000000Ei"),
        ["Pod mill/p", "requests.memory", "90000000000Ei", "more than Kubernetes can count", "remedy"]
    ),
    case!(
        "an amount beyond all measure, in a limit of a pool",
        "av.yaml",
        pool!("limits: {cpu: \"1e99999999999999999999\"}"),
        ["NodePool q", "spec.limits.cpu", "1e99999999999999999999", "remedy"]
    ),
    case!("a number that is none", "aw.yaml", requests!("cpu: .nan"), [":8", "broken YAML", ".nan", "remedy"]),
    case!(
        "a whole number of more than 64 bits",
        "ax.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 99999999999999999999}\n",
        ["Deployment default/web", "spec.replicas", "1e+20", "remedy: write a whole number"]
    ),
    case!(
        "a field written twice in JSON",
        "ay.json",
        "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"p\",\n \"name\": \"q\"}}\n",
        [":2", "broken JSON", "duplicate field \"name\"", "remedy"]
    ),
    case!(
        "a field written twice in an item of a JSON list",
        "az.json",
        "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n {\"apiVersion\": \"v1\", \"kind\": \"Pod\",\n \"kind\": \"Node\"}]}\n",
        [":3", "duplicate field \"kind\"", "remedy"]
    ),
    case!(
        "a fault in an item of a JSON list",
        "ba.json",
        "{\"apiVersion\": \"v1\", \"kind\": \"PodList\", \"items\": [\n {\"metadata\": {\"name\": \"p\"},\n \"spec\": {\"nodeNam\": \"x\"}}]}\n",
        [":2", "Pod default/p", "spec.nodeNam", "nodeName"]
    ),
    case!(
        "a comma too many in a JSON list",
        "bb.json",
        "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n {\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"p\"}},\n ]}\n",
        [":3", "broken JSON", "trailing comma", "remedy"]
    ),
    case!(
        "a second object after a broken bracket",
        "bc.json",
        "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"m\"}}\n]\n",
        [":2", "broken JSON", "remedy"]
    ),
    case!(
        "a List in a List with a fault",
        "bd.yaml",
        "apiVersion: v1\nkind: List\nitems:\n  - kind: List\n    items:\n      - {apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {nodeNam: x}}\n",
        ["Pod default/p", "spec.nodeNam", "nodeName"]
    ),
    case!(
        "an item that is no object",
        "be.json",
        "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [7]}\n",
        ["holds a single value", "remedy"]
    ),
    case!(
        "aliases that grow without end",
        "bf.yaml",
        "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\n\
         d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\n\
         g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f]\nh: &h [*g, *g, *g, *g, *g, *g, *g, *g, *g]\ni: &i [*h, *h, *h, *h, *h, *h, *h, *h, *h]\n",
        ["broken YAML", "aliases", "remedy: write out"]
    ),
    case!(
        "an alias of nothing",
        "bg.yaml",
        "apiVersion: v1\nkind: *nobody\n",
        [":2", "broken YAML", "unknown anchor", "remedy"]
    ),
    case!("a key that is a list", "bh.yaml", "apiVersion: v1\nkind: Pod\n? [a, b]\n: c\n", ["broken YAML", "remedy"]),
    case!(
        "a fault inside a List",
        "an.yaml",
        "apiVersion: v1\nkind: List\nitems:\n  - {apiVersion: v1, kind: Pod, metadata: {name: p, namespace: mill}, spec: {containers: [], nodeNam: x}}\n",
        ["Pod mill/p", "spec.nodeNam", "nodeName"]
    ),
    case!(
        "a List whose items are none",
        "bi.yaml",
        "apiVersion: v1\nkind: List\nitems: foo\n",
        ["List: items: must be a list, is a text: \"foo\"", "remedy"]
    ),
    case!(
        "a priority that does not fit",
        "bj.yaml",
        pod!("priority: 99999999999"),
        [
            "spec.priority: is out of range: \"99999999999\"",
            "remedy: write a whole number from -2147483648 to 2147483647"
        ]
    ),
    case!(
        "a name that is a number",
        "bk.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: 5}\n",
        ["metadata.name: must be a text, is a number: \"5\"", "remedy: put it in quotes: \"5\""]
    ),
    case!(
        "a number in hexadecimal for a text",
        "bl.yaml",
        pod!("nodeSelector: {floor: 0x1F}"),
        ["spec.nodeSelector.floor: must be a text, is a number\n", "remedy: put it in quotes, as it is written"]
    ),
    case!(
        "a label value with a blank",
        "bm.json",
        "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"p\", \"labels\": {\"a\": \"b c\"}}}\n",
        ["Pod default/p", "metadata.labels.a: is no label value: \"b c\"", "remedy"]
    ),
    case!(
        "a name that commands the terminal",
        "bn.json",
        "{\"apiVersion\": \"v1\", \"kind\": \"Node\", \"metadata\": {\"name\": \"a\\u001b[2Jb\"}}\n",
        ["metadata.name: is no name for an object of this kind: \"a\\u{1b}[2Jb\"", "remedy"]
    ),
    case!(
        "a bound of two numbers, in one requirement of many",
        "bo.yaml",
        requirement!("key: a, operator: Exists}\n        - {key: b, operator: Gt, values: ['1', '2']"),
        [
            "spec.template.spec.requirements[1]: {\"key\":\"b\",\"operator\":\"Gt\",\"values\":[\"1\",\"2\"]} is not allowed",
            "remedy: requirements operator 'Gt'"
        ]
    ),
    case!(
        "a weight of a static pool",
        "bp.yaml",
        pool!("weight: 5\n  replicas: 1"),
        ["NodePool q: spec.weight: 5 is not allowed", "remedy: 'weight' is not supported on static NodePools"]
    ),
    case!(
        "more asked for than the limit allows",
        "bq.json",
        "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"p\"}, \"spec\": {\"containers\": [{\"name\": \"c\", \
         \"resources\": {\"requests\": {\"cpu\": 2}, \"limits\": {\"cpu\": 1}}}]}}\n",
        [
            ":1: Pod default/p: spec.containers[0].resources.requests.cpu: is more than its limit of 1: \"2\"",
            "remedy: ask for at most 1, or raise limits.cpu"
        ]
    ),
    case!(
        "a Deployment that picks other pods than its own",
        "br.yaml",
        deployment!("selector: {matchLabels: {app: y}}"),
        [
            ":1: Deployment mill/web: spec.selector: does not match spec.template.metadata.labels: \"app=y\"",
            "remedy: the template has {app: x}"
        ]
    ),
    case!(
        "a Deployment that picks none",
        "bs.yaml",
        deployment!("replicas: 2"),
        ["Deployment mill/web: spec.selector: is missing", "remedy: write matchLabels: {app: x}"]
    ),
    case!(
        "a spread without a skew",
        "bt.yaml",
        pod!("topologySpreadConstraints: [{topologyKey: z, whenUnsatisfiable: DoNotSchedule}]"),
        ["Pod mill/p: spec.topologySpreadConstraints[0].maxSkew: is missing\n", "remedy: write how many"]
    ),
];

/// Mistakes in options.
pub const OPTIONS: &[(&[&str], &[&str])] = &[
    (&["--region", "moon-east-1"], &["--region", "moon-east-1"]),
    (&["--zones", "moon-1"], &["--zones", "moon-1"]),
    (&["--unavailable", "m5.large"], &["--unavailable", "m5.large", "TYPE/ZONE/CAPACITY_TYPE"]),
    (&["--unavailable", "*/*/spott"], &["\"spott\" is no capacity type", "write on-demand, spot, reserved or *"]),
    (&["--kubeconfig", "k"], &["--kubeconfig <FILE>", "cannot be used with"]),
    (&["--context", "c"], &["--context <NAME>", "cannot be used with"]),
    (&["--feature-gates", "NodeOverlays=true"], &["NodeOverlays", "did you mean NodeOverlay?"]),
    (&["--feature-gates", "NodeOverlay=perhaps"], &["NodeOverlay=perhaps", "neither true nor false"]),
    (&["--region", ""], &["--region", "remedy"]),
    (&["--zones", ""], &["--zones", "remedy"]),
    (&["--zones", "us-east-1a,,us-east-1b"], &["--zones", "remedy"]),
    (&["--unavailable", ""], &["--unavailable", "TYPE/ZONE/CAPACITY_TYPE"]),
    (&["--now", "2026-02-30T00:00:00Z"], &["--now", "2026-02-30T00:00:00Z", "2026-01-31T12:00:00Z"]),
    (&["--now", ""], &["--now", "2026-01-31T12:00:00Z"]),
    (&["--prices", "nan.csv"], &["nan.csv", "line 2", "NaN", "remedy"]),
    (&["--prices", "infinite.csv"], &["infinite.csv", "line 2", "inf", "remedy"]),
    (&["--prices", "negative.csv"], &["negative.csv", "line 2", "-0.1", "remedy"]),
    (&["--prices", "short.csv"], &["short.csv", "line 2", "2 fields", "remedy"]),
    (&["--prices", "binary.csv"], &["binary.csv", "UTF-8"]),
    (&["--effort", "many"], &["--effort", "many"]),
    (&["--effort", "99999999999999999999"], &["--effort", "99999999999999999999"]),
    (&["--now", "yesterday"], &["--now", "yesterday", "2026-01-31T12:00:00Z"]),
    (&["--prices", "torn.csv"], &["torn.csv", "cheap", "remedy"]),
    (&["--prices", "lost.csv"], &["lost.csv", "cannot be read", "remedy"]),
    (&["--effort=-1"], &["--effort"]),
    (&["--output", "xml"], &["xml", "html"]),
    (&["--trace", "lost.csv"], &["lost.csv", "cannot be read"]),
];
