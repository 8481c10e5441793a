//! User data of each family, as a machine would read it.

use super::*;

fn cluster() -> Cluster {
    Cluster {
        name: "shop".into(),
        endpoint: "https://api.example".into(),
        ca_bundle: "Q0E=".into(),
        service_cidr: Some("10.100.0.0/16".into()),
        dns: Some("10.100.0.10".into()),
    }
}

fn text(family: AmiFamily, custom: Option<&str>, kubelet: &Value) -> Result<String, UserDataError> {
    let label = |key: &str, value: &str| (key.into(), value.into());
    let labels = [
        label("karpenter.sh/capacity-type", "spot"),
        label("karpenter.sh/nodepool", "general"),
        label("node.kubernetes.io/instance-type", "m5.large"),
        label("team", "a"),
    ];
    UserData {
        family,
        cluster: &cluster(),
        custom,
        labels: &labels.into(),
        taints: vec![Taint { key: "dedicated".into(), value: "gpu".into(), effect: Effect::NoSchedule }],
        kubelet: kubelet.as_object().unwrap(),
        max_pods: 29,
        raid0: true,
        image_name: "bottlerocket-aws-k8s-1.35-x86_64-v1.50.0-abcdef01",
    }
    .text()
}

#[test]
fn al2023_is_told_by_a_node_config_that_comes_last() {
    let kubelet = serde_json::json!({ "maxPods": "default", "evictionHard": { "memory.available": "5%" }, "shutdownGracePeriod": "45s" });
    let made = text(AmiFamily::Al2023, Some("#!/bin/bash\r\necho \"hi: there\"\r\n"), &kubelet).unwrap();
    insta::assert_snapshot!(made, @r#"
    MIME-Version: 1.0
    Content-Type: multipart/mixed; boundary="//"

    --//
    Content-Type: text/x-shellscript; charset="us-ascii"

    #!/bin/bash
    echo "hi: there"

    --//
    Content-Type: application/node.eks.aws

    # Karpenter Generated NodeConfig
    apiVersion: node.eks.aws/v1alpha1
    kind: NodeConfig
    metadata: {}
    spec:
      cluster:
        apiServerEndpoint: "https://api.example"
        certificateAuthority: "Q0E="
        cidr: "10.100.0.0/16"
        name: shop
      containerd: {}
      instance:
        localStorage:
          strategy: RAID0
      kubelet:
        config:
          clusterDNS:
            - "10.100.0.10"
          evictionHard:
            memory.available: "5%"
          maxPods: 29
          registerWithTaints:
            -
              effect: NoSchedule
              key: dedicated
              value: gpu
            -
              effect: NoExecute
              key: karpenter.sh/unregistered
          shutdownGracePeriod: "45s"
        flags:
          - "--node-labels=\"karpenter.sh/capacity-type=spot,karpenter.sh/do-not-sync-taints=true,karpenter.sh/nodepool=general,team=a\""

    --//--
    "#);
}

#[test]
fn al2_is_told_by_arguments_of_its_bootstrap_script() {
    let kubelet = serde_json::json!({ "podsPerCore": 4, "systemReserved": { "memory": "1Gi", "cpu": "100m" }, "cpuCFSQuota": false });
    let made = text(AmiFamily::Al2, None, &kubelet).unwrap();
    insta::assert_snapshot!(made, @r#"
    MIME-Version: 1.0
    Content-Type: multipart/mixed; boundary="//"

    --//
    Content-Type: text/x-shellscript; charset="us-ascii"

    #!/bin/bash -xe
    exec > >(tee /var/log/user-data.log|logger -t user-data -s 2>/dev/console) 2>&1
    /etc/eks/bootstrap.sh 'shop' --apiserver-endpoint 'https://api.example' --b64-cluster-ca 'Q0E=' \
    --dns-cluster-ip '10.100.0.10' \
    --use-max-pods false \
    --kubelet-extra-args '--node-labels="karpenter.sh/capacity-type=spot,karpenter.sh/do-not-sync-taints=true,karpenter.sh/nodepool=general,team=a" --register-with-taints="dedicated=gpu:NoSchedule,karpenter.sh/unregistered=:NoExecute" --max-pods=29 --pods-per-core=4 --system-reserved="cpu=100m,memory=1Gi" --cpu-cfs-quota=false' \
    --local-disks raid0

    --//--
    "#);
}

#[test]
fn parts_of_a_mime_document_are_kept_with_their_kinds() {
    let custom = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"X\"\n\n--X\nContent-Type: text/cloud-config\nMerge-Type: list(append)\n\nruncmd: [ls]\n--X--\n";
    let made = text(AmiFamily::Al2, Some(custom), &serde_json::json!({})).unwrap();
    let whole = "--//\nContent-Type: text/cloud-config\nMerge-Type: list(append)\n\nruncmd: [ls]\n--//\n";
    assert!(made.contains(whole), "{made}");
    let made = text(AmiFamily::Al2023, Some(custom), &serde_json::json!({})).unwrap();
    assert!(made.contains("--//\nContent-Type: text/cloud-config\n\nruncmd: [ls]\n--//\n"), "{made}");
    let broken = text(AmiFamily::Al2, Some("Content-Type: multipart/mixed\n\n--X\n"), &serde_json::json!({}));
    assert!(broken.unwrap_err().to_string().contains("names no boundary"));
}

#[test]
fn a_mapping_is_a_node_config_and_anything_else_a_script() {
    let kind_of = |custom: &str| {
        let made = text(AmiFamily::Al2023, Some(custom), &serde_json::json!({})).unwrap();
        made.lines().nth(4).unwrap().to_owned()
    };
    assert_eq!(
        kind_of("apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n  kubelet: {}\n"),
        "Content-Type: application/node.eks.aws"
    );
    for custom in [
        r#"{"apiVersion": "node.eks.aws/v1alpha1", "kind": "NodeConfig", "spec": {"kubelet": {"config": {"maxPods": 7}}}}"#,
        "{\n  \"apiVersion\": \"node.eks.aws/v1alpha1\",\n  \"kind\": \"NodeConfig\"\n}\n",
        "\n---\napiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: {\n  kubelet: {}\n}\n",
        "# of the team\nkind: NodeConfig\nspec:\n  containerd:\n    config: |\n      version = 2\n",
    ] {
        assert_eq!(kind_of(custom), "Content-Type: application/node.eks.aws", "{custom}");
    }
    for custom in ["# nothing\n", "[ -e /x ] && echo hi\n", "export A=b\necho $A: $B\n", "- a\n- b\n"] {
        assert_eq!(kind_of(custom), "Content-Type: text/x-shellscript; charset=\"us-ascii\"", "{custom}");
    }
    assert_eq!(kind_of("#!/bin/bash\necho: hi\n"), "Content-Type: text/x-shellscript; charset=\"us-ascii\"");
    assert_eq!(kind_of("echo hi\n"), "Content-Type: text/x-shellscript; charset=\"us-ascii\"");
}

#[test]
fn windows_and_custom_images_are_told_in_their_own_ways() {
    let made = text(AmiFamily::Windows2022, Some("Write-Host hi"), &serde_json::json!({})).unwrap();
    assert!(made.starts_with("<powershell>\nWrite-Host hi\n[string]$EKSBootstrapScriptFile = "));
    assert!(
        made.contains("-EKSClusterName 'shop'") && made.ends_with("-DNSClusterIP '10.100.0.10'\n</powershell>"),
        "{made}"
    );
    assert_eq!(text(AmiFamily::Custom, Some("as it is\r\n"), &serde_json::json!({})).unwrap(), "as it is\r\n");
}

#[test]
fn settings_that_bottlerocket_does_not_know_are_named() {
    let custom = "[settings.kubernetes]\nmax-pods = 3\nmax-puds = 4\n[settings.host]\nx = 1\n";
    assert_eq!(left_out(AmiFamily::Bottlerocket, custom), ["max-puds"]);
    let of_a_machine = "[settings.kubernetes]\nprovider-id = \"x\"\nserver-key = \"x\"\nstandalone-mode = true\n";
    assert_eq!(left_out(AmiFamily::Bottlerocket, of_a_machine), ["provider-id", "server-key", "standalone-mode"]);
    assert!(left_out(AmiFamily::Al2023, custom).is_empty());
}

#[test]
fn bottlerocket_is_told_by_settings_over_those_of_the_class() {
    let kubelet =
        serde_json::json!({ "evictionHard": { "memory.available": "5%" }, "imageGCHighThresholdPercent": 80 });
    let custom = "[settings.kubernetes]\nlog-level = 4\nmax-pods = 7\nnonsense = 1\n[settings.kubernetes.node-labels]\nteam = \"b\"\nown = \"x\"\n[settings.ntp]\ntime-servers = [\"a\"]\n";
    let made = text(AmiFamily::Bottlerocket, Some(custom), &kubelet).unwrap();
    insta::assert_snapshot!(made, @r#"
    [settings.bootstrap-commands.000-mount-instance-storage]
    commands = [["apiclient", "ephemeral-storage", "init"], ["apiclient", "ephemeral-storage", "bind"]]
    essential = true
    mode = "always"

    [settings.kubernetes]
    api-server = "https://api.example"
    cluster-certificate = "Q0E="
    cluster-dns-ip = "10.100.0.10"
    cluster-name = "shop"
    image-gc-high-threshold-percent = "80"
    log-level = 4
    max-pods = 29

    [settings.kubernetes.eviction-hard]
    "memory.available" = "5%"

    [settings.kubernetes.node-labels]
    "karpenter.sh/capacity-type" = "spot"
    "karpenter.sh/do-not-sync-taints" = "true"
    "karpenter.sh/nodepool" = "general"
    own = "x"
    team = "a"

    [settings.kubernetes.node-taints]
    dedicated = ["gpu:NoSchedule"]
    "karpenter.sh/unregistered" = [":NoExecute"]

    [settings.ntp]
    time-servers = ["a"]
    "#);
    let broken = text(AmiFamily::Bottlerocket, Some("#!/bin/bash"), &serde_json::json!({}));
    assert!(broken.is_ok(), "a comment is TOML");
    let broken = text(AmiFamily::Bottlerocket, Some("echo hi"), &serde_json::json!({})).unwrap_err();
    assert!(broken.to_string().contains("it is no TOML"));
}
