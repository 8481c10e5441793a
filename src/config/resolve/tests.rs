//! What flags and environment come to.

use std::time::Duration;

use super::*;

fn kwok() -> Flags {
    Flags { provider: Some("kwok".into()), ..Flags::default() }
}

fn resolve(flags: &Flags, env: &[(&str, &str)]) -> Result<Config, InputError> {
    Config::resolve(flags, &|name| env.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned()))
}

#[test]
fn without_flags_the_defaults_are_karpenters() {
    let config = resolve(&kwok(), &[]).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!((config.kube_client_qps, config.kube_client_burst), (200, 300));
    assert_eq!((config.metrics_port, config.health_probe_port), (8080, 8081));
}

#[test]
fn a_flag_wins_over_the_environment_which_wins_over_the_default() {
    let env = [("KUBE_CLIENT_QPS", "50"), ("BATCH_IDLE_DURATION", "2s")];
    let flags = Flags { kube_client_qps: Some("70".into()), ..kwok() };
    let config = resolve(&flags, &env).unwrap();
    assert_eq!(config.kube_client_qps, 70);
    assert_eq!(config.batch_idle, Duration::from_secs(2));
}

#[test]
fn a_malformed_variable_keeps_the_default_and_says_so() {
    let env = [("KUBE_CLIENT_QPS", "many"), ("ENABLE_PROFILING", "1")];
    let config = resolve(&kwok(), &env).unwrap();
    assert_eq!(config.kube_client_qps, 200);
    assert!(!config.profiling, "Karpenter takes only true and false");
    assert_eq!(config.notes.len(), 2, "{:?}", config.notes);
    assert!(config.notes[0].contains("KUBE_CLIENT_QPS=\"many\""), "{:?}", config.notes);
}

#[test]
fn a_malformed_flag_is_an_error_that_names_flag_value_and_remedy() {
    let flags = Flags { batch_max_duration: Some("ten".into()), ..kwok() };
    let error = resolve(&flags, &[]).unwrap_err().to_string();
    assert!(resolve(&Flags { aws_feature_gates: Some("NodeClassCEL".into()), ..kwok() }, &[]).is_err());
    for part in ["--batch-max-duration", "\"ten\"", "such as 500ms"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_lease_without_a_possible_name_stops_the_start() {
    let name = Flags { leader_election_name: Some("Mill_Lease".into()), ..kwok() };
    let namespace = Flags { leader_election_namespace: Some("Bad NS".into()), ..kwok() };
    for (flags, told) in [
        (name, "--leader-election-name: is no name that Kubernetes takes: \"Mill_Lease\""),
        (namespace, "--leader-election-namespace: is no name that Kubernetes takes: \"Bad NS\""),
    ] {
        let error = resolve(&flags, &[]).unwrap_err().to_string();
        assert!(error.contains(told) && error.contains("remedy: write at most"), "{error}");
    }
}

#[test]
fn a_list_of_no_logs_is_none() {
    let flags = Flags { log_output_paths: Some(" ,".into()), ..kwok() };
    assert_eq!(resolve(&flags, &[]).unwrap().log_outputs, Config::default().log_outputs);
}

#[test]
fn settings_that_stop_karpenter_stop_us_too() {
    for env in [("LOG_LEVEL", "loud"), ("PREFERENCE_POLICY", "respect"), ("MIN_VALUES_POLICY", "none")] {
        let error = resolve(&kwok(), &[env]).unwrap_err().to_string();
        assert!(error.contains(env.0) && error.contains(env.1), "{error}");
    }
    let error = resolve(&Flags::default(), &[]).unwrap_err().to_string();
    assert!(error.contains("--cluster-name") && error.contains("--provider kwok"), "{error}");
    // Not so what the longest batch ends anyhow.
    let flags = Flags { batch_idle_duration: Some("20s".into()), ..kwok() };
    let config = resolve(&flags, &[]).unwrap();
    assert_eq!((config.batch_idle, config.notes.len()), (config.batch_max, 1));
}

#[test]
fn the_chart_s_environment_is_taken_without_a_note() {
    let env = [
        ("KUBERNETES_MIN_VERSION", "1.19.0-0"),
        ("KARPENTER_SERVICE", ""),
        ("LOG_LEVEL", "info"),
        ("LOG_OUTPUT_PATHS", "stdout"),
        ("LOG_ERROR_OUTPUT_PATHS", "stderr"),
        ("METRICS_PORT", "8080"),
        ("HEALTH_PROBE_PORT", "8081"),
        ("SYSTEM_NAMESPACE", "kube-system"),
        ("MEMORY_LIMIT", "1073741824"),
        ("CPU_REQUESTS", "2000"),
        ("FEATURE_GATES", "ReservedCapacity=true,SpotToSpotConsolidation=false,NodeRepair=true,NodeOverlay=false"),
        ("BATCH_MAX_DURATION", "10s"),
        ("BATCH_IDLE_DURATION", "1s"),
        ("PREFERENCE_POLICY", "Respect"),
        ("MIN_VALUES_POLICY", "Strict"),
        ("CLUSTER_NAME", "shop"),
        ("VM_MEMORY_OVERHEAD_PERCENT", "0.075"),
        ("RESERVED_ENIS", "0"),
    ];
    let config = resolve(&Flags::default(), &env).unwrap();
    assert_eq!(config.notes, Vec::<String>::new());
    assert_eq!(config.provider, Provider::Aws);
    assert_eq!(config.leader_election_namespace.as_deref(), Some("kube-system"));
    assert!(config.feature_gates.node_repair);
}

#[test]
fn what_is_not_known_or_has_no_effect_is_said() {
    let env = [
        ("FEATURE_GATES", "Drift=true,NodeOverlay=true,SpotToSpotConsolidation=true"),
        ("AWS_FEATURE_GATES", "NodeClassCEL=1,Sandwich=true"),
        ("IGNORE_DRA_REQUESTS", "false"),
    ];
    let flags = Flags {
        karpenter_service: Some("karpenter".into()),
        cpu_requests: Some("4000".into()),
        memory_limit: Some("1073741824".into()),
        ..kwok()
    };
    let config = resolve(&flags, &env).unwrap();
    assert!(config.feature_gates.node_overlay && config.aws.node_class_cel);
    let notes = config.notes.join("\n");
    for part in [
        "Drift",
        "SpotToSpotConsolidation=true has no effect",
        "Sandwich is not known",
        "--memory-limit=1073741824 has no effect",
        "--cpu-requests=4000 has no effect",
        "--karpenter-service=karpenter has no effect",
        "--ignore-dra-requests=false",
    ] {
        assert!(notes.contains(part), "{notes}");
    }
}
