//! The flags of `millwright controller`, as typed; what they come to is decided in `resolve`.
#![expect(clippy::doc_markdown, reason = "clap prints these comments as they stand")]

use clap::Args;

/// Flags as given, none resolved. A flag wins over its environment variable, which wins over the default.
///
/// All are text here, so that a value from a flag and one from the environment are read, and refused, in one place.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Provider")]
pub struct Flags {
    /// Who sells nodes: kwok or aws [env: MILLWRIGHT_PROVIDER] [default: aws]
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// Instance types of kwok (JSON), in place of the 144 generated ones [env: INSTANCE_TYPES_FILE_PATH]
    #[arg(long, value_name = "FILE")]
    pub instance_types_file_path: Option<String>,
    /// Name of the EKS cluster; needed with --provider aws [env: CLUSTER_NAME]
    #[arg(long, value_name = "NAME")]
    pub cluster_name: Option<String>,
    /// URL of the API server that nodes join [env: CLUSTER_ENDPOINT] [default: asked of EKS]
    #[arg(long, value_name = "URL")]
    pub cluster_endpoint: Option<String>,
    /// CA bundle of that server, base64 [env: CLUSTER_CA_BUNDLE] [default: of the kubeconfig]
    #[arg(long, value_name = "BASE64")]
    pub cluster_ca_bundle: Option<String>,
    /// The VPC has no way to the internet: no price lists are fetched [env: ISOLATED_VPC] [default: false]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub isolated_vpc: Option<String>,
    /// The control plane is EKS; its version is asked of EKS [env: EKS_CONTROL_PLANE] [default: false]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub eks_control_plane: Option<String>,
    /// Share of memory that the hypervisor keeps, 0.075 = 7.5 % [env: VM_MEMORY_OVERHEAD_PERCENT] [default: 0.075]
    #[arg(long, value_name = "SHARE")]
    pub vm_memory_overhead_percent: Option<String>,
    /// Name of the SQS queue of interruptions; empty is none [env: INTERRUPTION_QUEUE]
    #[arg(long, value_name = "NAME")]
    pub interruption_queue: Option<String>,
    /// Network interfaces kept from pods on each node [env: RESERVED_ENIS] [default: 0]
    #[arg(long, value_name = "N")]
    pub reserved_enis: Option<String>,
    /// No dry runs of launches to see whether they are allowed [env: DISABLE_DRY_RUN] [default: false]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub disable_dry_run: Option<String>,
    /// Keep out of zones that ARC shifts traffic away from [env: ENABLE_ZONAL_SHIFT] [default: false]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub enable_zonal_shift: Option<String>,
    /// How often images are looked up, at least 1m [env: AMI_REFRESH_INTERVAL] [default: 1m]
    #[arg(long, value_name = "DURATION")]
    pub ami_refresh_interval: Option<String>,
    /// How often subnets are looked up, at least 1m [env: SUBNET_REFRESH_INTERVAL] [default: 1m]
    #[arg(long, value_name = "DURATION")]
    pub subnet_refresh_interval: Option<String>,
    /// Features of the aws provider to switch: NodeClassCEL [env: AWS_FEATURE_GATES] [default: NodeClassCEL=false]
    #[arg(long, value_name = "NAME=BOOL,…")]
    pub aws_feature_gates: Option<String>,

    /// How long no further pod must have come before a plan is made [env: BATCH_IDLE_DURATION] [default: 1s]
    #[arg(long, value_name = "DURATION", help_heading = "Planning")]
    pub batch_idle_duration: Option<String>,
    /// How long pods are gathered at most [env: BATCH_MAX_DURATION] [default: 10s]
    #[arg(long, value_name = "DURATION", help_heading = "Planning")]
    pub batch_max_duration: Option<String>,
    /// What becomes of preferences that cannot all be met: Respect or Ignore [env: PREFERENCE_POLICY] [default: Respect]
    #[arg(long, value_name = "POLICY", help_heading = "Planning")]
    pub preference_policy: Option<String>,
    /// What becomes of minValues that cannot be met: Strict or BestEffort [env: MIN_VALUES_POLICY] [default: Strict]
    #[arg(long, value_name = "POLICY", help_heading = "Planning")]
    pub min_values_policy: Option<String>,
    /// Pods that ask for dynamic resources get no place [env: IGNORE_DRA_REQUESTS] [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Planning")]
    pub ignore_dra_requests: Option<String>,
    /// Default spread constraints for pods that have none (YAML) [env: SCHEDULER_CONFIG]
    #[arg(long, value_name = "FILE", help_heading = "Planning")]
    pub scheduler_config: Option<String>,
    /// Prices laid over those that AWS tells (CSV instance_type,zone,capacity_type,usd_per_hour) [env: MILLWRIGHT_PRICES]
    #[arg(long, value_name = "FILE", help_heading = "Planning")]
    pub prices: Option<String>,
    /// Steps the solver may take for a plan; one is near a microsecond [env: MILLWRIGHT_EFFORT] [default: 200000]
    #[arg(long, value_name = "STEPS", help_heading = "Planning")]
    pub effort: Option<String>,
    /// Pods are held to the nodes they were planned for: they are nominated, and nodes of one plan open together. Without,
    /// plans are as good, and what comes of them costs more [env: MILLWRIGHT_ENFORCE_PLACEMENT] [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", verbatim_doc_comment, help_heading = "Planning")]
    pub enforce_placement: Option<String>,
    /// Features to switch: ReservedCapacity (on), NodeRepair, SpotToSpotConsolidation, NodeOverlay, StaticCapacity,
    /// CapacityBuffer (off) [env: FEATURE_GATES]
    #[arg(long, value_name = "NAME=BOOL,…", verbatim_doc_comment, help_heading = "Planning")]
    pub feature_gates: Option<String>,

    /// The cluster to run on [env: KUBECONFIG] [default: ~/.kube/config, else the pod's service account]
    #[arg(long, value_name = "FILE", help_heading = "API server")]
    pub kubeconfig: Option<String>,
    /// Context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME", help_heading = "API server")]
    pub context: Option<String>,
    /// Requests per second, all kinds together [env: KUBE_CLIENT_QPS] [default: 200]
    #[arg(long, value_name = "N", help_heading = "API server")]
    pub kube_client_qps: Option<String>,
    /// Requests that may be sent at once after a pause [env: KUBE_CLIENT_BURST] [default: 300]
    #[arg(long, value_name = "N", help_heading = "API server")]
    pub kube_client_burst: Option<String>,
    /// Act without holding the lease: only where one replica runs [env: DISABLE_LEADER_ELECTION] [default: false]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "API server")]
    pub disable_leader_election: Option<String>,
    /// Name of the Lease [env: LEADER_ELECTION_NAME] [default: karpenter-leader-election]
    #[arg(long, value_name = "NAME", help_heading = "API server")]
    pub leader_election_name: Option<String>,
    /// Its namespace [env: LEADER_ELECTION_NAMESPACE, then SYSTEM_NAMESPACE] [default: the pod's]
    #[arg(long, value_name = "NAMESPACE", help_heading = "API server")]
    pub leader_election_namespace: Option<String>,

    /// Port of /metrics, /debug/* and profiles; 0 is any free one [env: METRICS_PORT] [default: 8080]
    #[arg(long, value_name = "PORT", help_heading = "Telemetry")]
    pub metrics_port: Option<String>,
    /// Port of /healthz and /readyz; 0 is any free one [env: HEALTH_PROBE_PORT] [default: 8081]
    #[arg(long, value_name = "PORT", help_heading = "Telemetry")]
    pub health_probe_port: Option<String>,
    /// Address both ports listen on [env: MILLWRIGHT_BIND_ADDRESS] [default: ::, all of both families]
    #[arg(long, value_name = "ADDRESS", help_heading = "Telemetry")]
    pub bind_address: Option<String>,
    /// Profiles on /debug/pprof of the metrics port, for whoever reaches it [env: ENABLE_PROFILING] [default: false]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Telemetry")]
    pub enable_profiling: Option<String>,
    /// Who may read /debug/plan, snapshot and explain: true everybody, false nobody, loopback this machine (kubectl
    /// port-forward counts as it). Profiles have their own switch, --enable-profiling
    /// [env: MILLWRIGHT_ENABLE_DEBUG_ENDPOINTS] [default: loopback]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "WHO", verbatim_doc_comment, help_heading = "Telemetry")]
    pub enable_debug_endpoints: Option<String>,
    /// debug, info or error [env: LOG_LEVEL] [default: info]
    #[arg(long, value_name = "LEVEL", help_heading = "Telemetry")]
    pub log_level: Option<String>,
    /// Where logs go, separated by commas: stdout, stderr, files [env: LOG_OUTPUT_PATHS] [default: stdout]
    #[arg(long, value_name = "PATHS", help_heading = "Telemetry")]
    pub log_output_paths: Option<String>,
    /// No metrics of single pods and nodes [env: DISABLE_CLUSTER_STATE_OBSERVABILITY] [default: false]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Telemetry")]
    pub disable_cluster_state_observability: Option<String>,

    /// Memory of the container in bytes, -1 unknown. No effect: there is no garbage collector to steer
    /// [env: MEMORY_LIMIT] [default: -1]
    #[arg(
        long,
        value_name = "BYTES",
        verbatim_doc_comment,
        allow_hyphen_values = true,
        help_heading = "Accepted for compatibility"
    )]
    pub memory_limit: Option<String>,
    /// No effect: the number of workers is fixed
    /// [env: CPU_REQUESTS] [default: 1000]
    #[arg(
        long,
        value_name = "MILLICORES",
        verbatim_doc_comment,
        allow_hyphen_values = true,
        help_heading = "Accepted for compatibility"
    )]
    pub cpu_requests: Option<String>,
    /// No effect: there is no webhook [env: KARPENTER_SERVICE]
    #[arg(long, value_name = "NAME", help_heading = "Accepted for compatibility")]
    pub karpenter_service: Option<String>,
    /// No effect: a replica that does not lead keeps no mirror [env: DISABLE_CONTROLLER_WARMUP] [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Accepted for compatibility")]
    pub disable_controller_warmup: Option<String>,
    /// No effect: what cannot be logged is told on stderr [env: LOG_ERROR_OUTPUT_PATHS] [default: stderr]
    #[arg(long, value_name = "PATHS", help_heading = "Accepted for compatibility")]
    pub log_error_output_paths: Option<String>,
}
