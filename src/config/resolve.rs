//! From flags and environment to settings.

use std::path::PathBuf;

use crds::words::{dns_label, subdomain};

use super::read::{Named, Parsed, Reader, boolean, duration, lenient, number, strict, wrong};
use super::{AwsConfig, Config, DebugEndpoints, Flags, LogLevel, LogOutput, Provider};
use crate::observe::{FeatureGates, InputError, SchedulerConfig, switches};

impl Config {
    /// The settings of these flags in this process's environment.
    ///
    /// # Errors
    /// As [`Config::resolve`].
    pub fn from_process(flags: &Flags) -> Result<Self, InputError> {
        Self::resolve(flags, &|name| std::env::var(name).ok())
    }

    /// The settings of these flags in that environment.
    ///
    /// # Errors
    /// On a flag that cannot be read, naming it, its value and the remedy. A malformed environment variable keeps the
    /// default and leaves a note, where Karpenter would do so without one.
    pub fn resolve(flags: &Flags, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, InputError> {
        let mut from = Reader::new(env);
        let default = Self::default();
        let provider = strict("provider", "MILLWRIGHT_PROVIDER");
        let provider = from.read(provider, flags.provider.as_ref(), Provider::Aws, parse_provider)?;
        let aws = aws(&mut from, flags, provider)?;
        let path = |from: &Reader<'_>, named, flag: &Option<String>| from.text(named, flag.as_ref()).map(PathBuf::from);
        let mut config = Self {
            provider,
            aws,
            instance_types_file: path(
                &from,
                strict("instance-types-file-path", "INSTANCE_TYPES_FILE_PATH"),
                &flags.instance_types_file_path,
            ),
            batch_idle: from.read(
                lenient("batch-idle-duration", "BATCH_IDLE_DURATION"),
                flags.batch_idle_duration.as_ref(),
                default.batch_idle,
                duration,
            )?,
            batch_max: from.read(
                lenient("batch-max-duration", "BATCH_MAX_DURATION"),
                flags.batch_max_duration.as_ref(),
                default.batch_max,
                duration,
            )?,
            preference_policy: from.read(
                strict("preference-policy", "PREFERENCE_POLICY"),
                flags.preference_policy.as_ref(),
                default.preference_policy,
                str::parse,
            )?,
            min_values_policy: from.read(
                strict("min-values-policy", "MIN_VALUES_POLICY"),
                flags.min_values_policy.as_ref(),
                default.min_values_policy,
                str::parse,
            )?,
            ignore_dra_requests: from.read(
                lenient("ignore-dra-requests", "IGNORE_DRA_REQUESTS"),
                flags.ignore_dra_requests.as_ref(),
                true,
                boolean,
            )?,
            prices_file: path(&from, strict("prices", "MILLWRIGHT_PRICES"), &flags.prices),
            scheduler_config: path(&from, strict("scheduler-config", "SCHEDULER_CONFIG"), &flags.scheduler_config)
                .map(|path| SchedulerConfig::read(&path))
                .transpose()?,
            effort: from.read(
                lenient("effort", "MILLWRIGHT_EFFORT"),
                flags.effort.as_ref(),
                default.effort,
                number(0, u64::MAX),
            )?,
            enforce_placement: from.read(
                lenient("enforce-placement", "MILLWRIGHT_ENFORCE_PLACEMENT"),
                flags.enforce_placement.as_ref(),
                default.enforce_placement,
                boolean,
            )?,
            feature_gates: gates(&mut from, flags)?,
            kubeconfig: flags.kubeconfig.clone().map(PathBuf::from),
            kube_context: flags.context.clone(),
            kube_client_qps: from.read(
                lenient("kube-client-qps", "KUBE_CLIENT_QPS"),
                flags.kube_client_qps.as_ref(),
                default.kube_client_qps,
                number(1, 1_000_000),
            )?,
            kube_client_burst: from.read(
                lenient("kube-client-burst", "KUBE_CLIENT_BURST"),
                flags.kube_client_burst.as_ref(),
                default.kube_client_burst,
                number(1, 1_000_000),
            )?,
            leader_election: !from.read(
                lenient("disable-leader-election", "DISABLE_LEADER_ELECTION"),
                flags.disable_leader_election.as_ref(),
                false,
                boolean,
            )?,
            leader_election_name: from
                .text(lenient("leader-election-name", "LEADER_ELECTION_NAME"), flags.leader_election_name.as_ref())
                .unwrap_or(default.leader_election_name),
            leader_election_namespace: from
                .text(
                    lenient("leader-election-namespace", "LEADER_ELECTION_NAMESPACE"),
                    flags.leader_election_namespace.as_ref(),
                )
                .or_else(|| from.env("SYSTEM_NAMESPACE")),
            metrics_port: from.read(
                lenient("metrics-port", "METRICS_PORT"),
                flags.metrics_port.as_ref(),
                default.metrics_port,
                number(0, u16::MAX),
            )?,
            health_probe_port: from.read(
                lenient("health-probe-port", "HEALTH_PROBE_PORT"),
                flags.health_probe_port.as_ref(),
                default.health_probe_port,
                number(0, u16::MAX),
            )?,
            bind_address: from.read(
                strict("bind-address", "MILLWRIGHT_BIND_ADDRESS"),
                flags.bind_address.as_ref(),
                default.bind_address,
                |text| text.parse().map_err(|_| "write an IP address such as 127.0.0.1".to_owned()),
            )?,
            profiling: from.read(
                lenient("enable-profiling", "ENABLE_PROFILING"),
                flags.enable_profiling.as_ref(),
                false,
                boolean,
            )?,
            debug_endpoints: from.read(
                strict("enable-debug-endpoints", "MILLWRIGHT_ENABLE_DEBUG_ENDPOINTS"),
                flags.enable_debug_endpoints.as_ref(),
                default.debug_endpoints,
                debug_endpoints,
            )?,
            log_level: from.read(
                strict("log-level", "LOG_LEVEL"),
                flags.log_level.as_ref(),
                default.log_level,
                log_level,
            )?,
            log_outputs: from
                .text(lenient("log-output-paths", "LOG_OUTPUT_PATHS"), flags.log_output_paths.as_ref())
                .map(|text| log_outputs(&text))
                .filter(|outputs| !outputs.is_empty())
                .unwrap_or(default.log_outputs),
            cluster_state_observability: !from.read(
                lenient("disable-cluster-state-observability", "DISABLE_CLUSTER_STATE_OBSERVABILITY"),
                flags.disable_cluster_state_observability.as_ref(),
                false,
                boolean,
            )?,
            notes: Vec::new(),
        };
        if config.batch_idle > config.batch_max {
            config.batch_idle = config.batch_max;
            from.notes
                .push("--batch-idle-duration is longer than --batch-max-duration, which ends every batch".to_owned());
        }
        lease_has_a_name(&config)?;
        say_what_has_no_effect(&mut from, flags, &config)?;
        config.notes = from.notes;
        Ok(config)
    }
}

/// A lease that can have no name is never held, and the controller would wait for it for ever.
fn lease_has_a_name(config: &Config) -> Result<(), InputError> {
    let no_name = |flag: &str, value: &str, rule: &str| {
        InputError::new("is no name that Kubernetes takes").field(flag).value(value).remedy(format!("write {rule}"))
    };
    let name = &config.leader_election_name;
    subdomain(name).map_err(|rule| no_name("--leader-election-name", name, rule))?;
    let Some(namespace) = &config.leader_election_namespace else { return Ok(()) };
    dns_label(namespace).map_err(|rule| no_name("--leader-election-namespace", namespace, rule))
}

fn say_what_has_no_effect(from: &mut Reader<'_>, flags: &Flags, config: &Config) -> Result<(), InputError> {
    let service = lenient("karpenter-service", "KARPENTER_SERVICE");
    from.without_effect(service, flags.karpenter_service.as_ref(), "", "there is no webhook");
    let warmup = lenient("disable-controller-warmup", "DISABLE_CONTROLLER_WARMUP");
    let why = "a replica that does not lead keeps no mirror";
    from.without_effect(warmup, flags.disable_controller_warmup.as_ref(), "true", why);
    // The chart sets these two in the environment, always.
    if let Some(cores) = &flags.cpu_requests {
        from.notes.push(format!("--cpu-requests={cores} has no effect: the number of workers is fixed"));
    }
    let limit = lenient("memory-limit", "MEMORY_LIMIT");
    let bytes = from.read(limit, flags.memory_limit.as_ref(), -1, number(i64::MIN, i64::MAX))?;
    if flags.memory_limit.is_some() && bytes > 0 {
        from.notes.push(format!("--memory-limit={bytes} has no effect: there is no garbage collector to steer"));
    }
    if config.feature_gates.spot_to_spot_consolidation {
        let why = "no node is replaced by a cheaper one";
        from.notes.push(format!("feature gate SpotToSpotConsolidation=true has no effect: {why}"));
    }
    let errors = lenient("log-error-output-paths", "LOG_ERROR_OUTPUT_PATHS");
    from.without_effect(
        errors,
        flags.log_error_output_paths.as_ref(),
        "stderr",
        "what cannot be logged goes to stderr",
    );
    if !config.ignore_dra_requests {
        from.notes.push(
            "--ignore-dra-requests=false has no effect: pods that ask for dynamic resources get no place, with the \
             reason DynamicResourcesUnsupported"
                .into(),
        );
    }
    Ok(())
}

fn aws(from: &mut Reader<'_>, flags: &Flags, provider: Provider) -> Result<AwsConfig, InputError> {
    let default = AwsConfig::default();
    let name = strict("cluster-name", "CLUSTER_NAME");
    let cluster_name = from.text(name, flags.cluster_name.as_ref()).unwrap_or_default();
    if provider == Provider::Aws && cluster_name.is_empty() {
        return Err(InputError::new("is missing").field("--cluster-name").remedy(
            "give the name of the EKS cluster with --cluster-name or CLUSTER_NAME, or run on simulated nodes with \
             --provider kwok",
        ));
    }
    let flag =
        |from: &mut Reader<'_>, named: Named, flag: &Option<String>| from.read(named, flag.as_ref(), false, boolean);
    let minutes = |text: &str| -> Parsed<_> {
        let interval = duration(text)?;
        if interval < default.ami_refresh_interval { Err("write 1m or longer".into()) } else { Ok(interval) }
    };
    Ok(AwsConfig {
        cluster_name,
        cluster_endpoint: endpoint(from, flags)?,
        cluster_ca_bundle: from
            .text(lenient("cluster-ca-bundle", "CLUSTER_CA_BUNDLE"), flags.cluster_ca_bundle.as_ref()),
        isolated_vpc: flag(from, lenient("isolated-vpc", "ISOLATED_VPC"), &flags.isolated_vpc)?,
        eks_control_plane: flag(from, lenient("eks-control-plane", "EKS_CONTROL_PLANE"), &flags.eks_control_plane)?,
        vm_memory_overhead_percent: from.read(
            lenient("vm-memory-overhead-percent", "VM_MEMORY_OVERHEAD_PERCENT"),
            flags.vm_memory_overhead_percent.as_ref(),
            default.vm_memory_overhead_percent,
            |text| {
                let share = text.parse::<f64>().ok().filter(|share| (0.0..1.0).contains(share));
                share.ok_or_else(|| "write a share from 0 to below 1, such as 0.075".into())
            },
        )?,
        interruption_queue: from
            .text(lenient("interruption-queue", "INTERRUPTION_QUEUE"), flags.interruption_queue.as_ref()),
        reserved_enis: from.read(
            lenient("reserved-enis", "RESERVED_ENIS"),
            flags.reserved_enis.as_ref(),
            default.reserved_enis,
            number(0, 1000),
        )?,
        disable_dry_run: flag(from, lenient("disable-dry-run", "DISABLE_DRY_RUN"), &flags.disable_dry_run)?,
        enable_zonal_shift: flag(from, lenient("enable-zonal-shift", "ENABLE_ZONAL_SHIFT"), &flags.enable_zonal_shift)?,
        ami_refresh_interval: from.read(
            strict("ami-refresh-interval", "AMI_REFRESH_INTERVAL"),
            flags.ami_refresh_interval.as_ref(),
            default.ami_refresh_interval,
            minutes,
        )?,
        subnet_refresh_interval: from.read(
            strict("subnet-refresh-interval", "SUBNET_REFRESH_INTERVAL"),
            flags.subnet_refresh_interval.as_ref(),
            default.subnet_refresh_interval,
            minutes,
        )?,
        node_class_cel: node_class_cel(from, flags)?,
    })
}

fn endpoint(from: &Reader<'_>, flags: &Flags) -> Result<Option<String>, InputError> {
    let named = strict("cluster-endpoint", "CLUSTER_ENDPOINT");
    let Some(text) = from.text(named, flags.cluster_endpoint.as_ref()) else { return Ok(None) };
    let is_absolute = text.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some() && uri.host().is_some());
    if is_absolute { Ok(Some(text)) } else { Err(wrong("--cluster-endpoint", &text, "write it as https://host")) }
}

fn gates(from: &mut Reader<'_>, flags: &Flags) -> Result<FeatureGates, InputError> {
    let named = lenient("feature-gates", "FEATURE_GATES");
    FeatureGates::parse(&known_gates(from, named, flags.feature_gates.as_ref(), &FeatureGates::NAMES))
}

/// The one gate that the aws provider has.
fn node_class_cel(from: &mut Reader<'_>, flags: &Flags) -> Result<bool, InputError> {
    let named = lenient("aws-feature-gates", "AWS_FEATURE_GATES");
    let text = known_gates(from, named, flags.aws_feature_gates.as_ref(), &["NodeClassCEL"]);
    let mut on = false;
    for switch in switches("--aws-feature-gates", &text) {
        on = switch?.on;
    }
    Ok(on)
}

/// What is switched of these gates. Unknown ones are passed over with a note, as Karpenter passes them over without one.
fn known_gates(from: &mut Reader<'_>, named: Named, flag: Option<&String>, names: &[&str]) -> String {
    let text = from.text(named, flag).unwrap_or_default();
    let mut known = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let name = part.split('=').next().unwrap_or_default().trim();
        if names.contains(&name) {
            known.push(part);
        } else {
            from.notes.push(format!("feature gate {name} is not known and passed over"));
        }
    }
    known.join(",")
}

fn parse_provider(text: &str) -> Parsed<Provider> {
    match text {
        "aws" => Ok(Provider::Aws),
        "kwok" => Ok(Provider::Kwok),
        _ => Err("write kwok or aws".into()),
    }
}

fn debug_endpoints(text: &str) -> Parsed<DebugEndpoints> {
    match text {
        "true" => Ok(DebugEndpoints::Everybody),
        "false" => Ok(DebugEndpoints::Nobody),
        "loopback" => Ok(DebugEndpoints::Loopback),
        _ => Err("write true, false or loopback".into()),
    }
}

fn log_level(text: &str) -> Parsed<LogLevel> {
    match text {
        "debug" => Ok(LogLevel::Debug),
        "info" | "" => Ok(LogLevel::Info),
        "error" => Ok(LogLevel::Error),
        _ => Err("write debug, info or error".into()),
    }
}

fn log_outputs(text: &str) -> Vec<LogOutput> {
    let paths = text.split(',').map(str::trim).filter(|path| !path.is_empty());
    paths
        .map(|path| match path {
            "stdout" => LogOutput::Stdout,
            "stderr" => LogOutput::Stderr,
            path => LogOutput::File(path.into()),
        })
        .collect()
}

#[cfg(test)]
mod tests;
