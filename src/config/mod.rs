//! Every setting of the controller with its unit and default: Karpenter's flags and environment variables, and ours.

mod flags;
mod read;
mod resolve;

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use crate::observe::{FeatureGates, MinValuesPolicy, PreferencePolicy, SchedulerConfig};

pub use flags::Flags;

/// Settings of one controller process, resolved and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub provider: Provider,
    pub aws: AwsConfig,
    /// Instance types of kwok, in place of the generated ones.
    pub instance_types_file: Option<PathBuf>,

    /// A batch of pods closes when none has come for so long.
    pub batch_idle: Duration,
    /// A batch of pods closes after so long at the latest.
    pub batch_max: Duration,
    pub preference_policy: PreferencePolicy,
    pub min_values_policy: MinValuesPolicy,
    /// Pods that ask for dynamic resources get no place.
    pub ignore_dra_requests: bool,
    /// Spread constraints of pods that have none.
    pub scheduler_config: Option<SchedulerConfig>,
    /// Prices that go before those that are asked for.
    pub prices_file: Option<PathBuf>,
    /// Steps the solver may take for one plan.
    pub effort: u64,
    /// Pods are nominated to the nodes they were planned for, and nodes of one plan open together.
    pub enforce_placement: bool,
    pub feature_gates: FeatureGates,

    /// Unset: `~/.kube/config`, else the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// Unset: the kubeconfig's current one.
    pub kube_context: Option<String>,
    /// Requests per second to the API server.
    pub kube_client_qps: u32,
    /// Requests that may be sent at once after a pause.
    pub kube_client_burst: u32,
    pub leader_election: bool,
    /// Name of the Lease.
    pub leader_election_name: String,
    /// Unset: the namespace the process runs in.
    pub leader_election_namespace: Option<String>,

    /// 0 is any free port.
    pub metrics_port: u16,
    /// 0 is any free port.
    pub health_probe_port: u16,
    pub bind_address: IpAddr,
    pub profiling: bool,
    pub debug_endpoints: DebugEndpoints,
    pub log_level: LogLevel,
    pub log_outputs: Vec<LogOutput>,
    /// Metrics of single pods and nodes.
    pub cluster_state_observability: bool,

    /// What there is to say about settings that were not taken as given; for the log.
    pub notes: Vec<String>,
}

/// Settings of the aws provider.
#[derive(Clone, Debug, PartialEq)]
pub struct AwsConfig {
    pub cluster_name: String,
    pub cluster_endpoint: Option<String>,
    /// Base64.
    pub cluster_ca_bundle: Option<String>,
    pub isolated_vpc: bool,
    pub eks_control_plane: bool,
    /// 0.075 is 7.5 %; at least 0.
    pub vm_memory_overhead_percent: f64,
    pub interruption_queue: Option<String>,
    pub reserved_enis: u32,
    pub disable_dry_run: bool,
    pub enable_zonal_shift: bool,
    /// At least a minute.
    pub ami_refresh_interval: Duration,
    /// At least a minute.
    pub subnet_refresh_interval: Duration,
    pub node_class_cel: bool,
}

/// Who sells nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    Aws,
    Kwok,
}

impl Provider {
    /// As metrics and logs call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Kwok => "kwok",
        }
    }
}

/// Who may read `/debug/*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebugEndpoints {
    Nobody,
    /// Requests from this machine.
    Loopback,
    Everybody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Debug,
    Info,
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogOutput {
    Stdout,
    Stderr,
    File(PathBuf),
}

impl Default for Config {
    /// The defaults, with kwok for provider: what tests and the demo start from.
    fn default() -> Self {
        Self {
            provider: Provider::Kwok,
            aws: AwsConfig::default(),
            instance_types_file: None,
            batch_idle: Duration::from_secs(1),
            batch_max: Duration::from_secs(10),
            preference_policy: PreferencePolicy::default(),
            min_values_policy: MinValuesPolicy::default(),
            ignore_dra_requests: true,
            scheduler_config: None,
            prices_file: None,
            effort: planner::model::snapshot::DEFAULT_EFFORT,
            enforce_placement: true,
            feature_gates: FeatureGates::default(),
            kubeconfig: None,
            kube_context: None,
            kube_client_qps: 200,
            kube_client_burst: 300,
            leader_election: true,
            leader_election_name: crds::names::core::LEADER_LEASE.into(),
            leader_election_namespace: None,
            metrics_port: 8080,
            health_probe_port: 8081,
            bind_address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            profiling: false,
            debug_endpoints: DebugEndpoints::Loopback,
            log_level: LogLevel::Info,
            log_outputs: vec![LogOutput::Stdout],
            cluster_state_observability: true,
            notes: Vec::new(),
        }
    }
}

impl Default for AwsConfig {
    fn default() -> Self {
        Self {
            cluster_name: String::new(),
            cluster_endpoint: None,
            cluster_ca_bundle: None,
            isolated_vpc: false,
            eks_control_plane: false,
            vm_memory_overhead_percent: 0.075,
            interruption_queue: None,
            reserved_enis: 0,
            disable_dry_run: false,
            enable_zonal_shift: false,
            ami_refresh_interval: Duration::from_mins(1),
            subnet_refresh_interval: Duration::from_mins(1),
            node_class_cel: false,
        }
    }
}
