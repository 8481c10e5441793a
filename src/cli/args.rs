//! The command line: every option with its unit and default.
#![expect(clippy::doc_markdown, reason = "clap prints these comments as they stand")]

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use cloud::catalog::UnavailablePattern;

use super::demo::scenario::{Name as ScenarioName, Provider as DemoProvider};
use crate::observe::{
    FeatureGates, InputError, MinValuesPolicy, Options, PreferencePolicy, SchedulerConfig, Validate, read_prices,
};

/// Options that do nothing with `--controller`: it has its own objects, and has planned them by its own settings.
const OF_ITS_OWN: [&str; 17] = [
    "files",
    "trace",
    "kubeconfig",
    "context",
    "region",
    "zones",
    "prices",
    "unavailable",
    "preference_policy",
    "min_values_policy",
    "feature_gates",
    "now",
    "effort",
    "assume_ready",
    "validate",
    "instance_types_file_path",
    "scheduler_config",
];

/// Plans the nodes of a Kubernetes cluster near a proven cost bound, and explains every decision.
#[derive(Parser, Debug)]
#[command(
    name = "millwright",
    version,
    after_help = "Exit codes: 0 all is well · 1 an error, told on stderr (stdout stays empty) · 2 see the command's -h · 130 interrupted"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// The whole product on a world in this process: a shop opens, scales, runs into a shortage, and closes again.
    #[command(
        after_help = "Nothing but this program is needed: the controller is the real one, the cluster around it is \
                      simulated. Prices are US dollars per hour, times hours:minutes:seconds of the cluster's clock.\nExit \
                      codes: 0 the scenario went to its end and nothing leaked · 1 it did not, what was missing is told on \
                      stderr · 130 interrupted"
    )]
    Demo(DemoArgs),
    /// Which nodes to buy for these objects, at what price, how near to the proven cheapest, and why any pod has no place.
    #[command(
        after_help = "Prices are US dollars per hour.\nExit codes: 0 everything placed · 2 some pods have no place (with --diff: in AFTER) · 1 an error, told on stderr (stdout stays empty) · 130 interrupted"
    )]
    Plan(PlanArgs),
    /// Why a pod, node or NodePool is as it is.
    #[command(
        after_help = "Prices are US dollars per hour.\nExit codes: 0 it has a place, or can be used · 2 the pod has no place, or the NodePool is not ready · 1 an error, such as an unknown name, told on stderr (stdout stays empty) · 130 interrupted"
    )]
    Explain(ExplainArgs),
    /// Mistakes in NodePools, node classes and overlays.
    #[command(
        after_help = "Exit codes: 0 no error found (warnings and infos do not count) · 2 an error found · 1 the input cannot be read, told on stderr (stdout stays empty) · 130 interrupted"
    )]
    Lint(LintArgs),
    /// The controller: watches a cluster, buys nodes for its pending pods and takes away those it does not need.
    #[command(
        after_help = "Flags win over environment variables, which win over defaults; both are Karpenter's. Durations are \
                      written as 500ms, 10s or 1m30s. The CustomResourceDefinitions have to be installed: millwright crds | \
                      kubectl apply --server-side -f -\nExit codes: 0 stopped by a signal · 1 an error, or the leader's lease \
                      was lost, told in the log or on stderr"
    )]
    #[command(args_override_self = true)]
    Controller(Box<crate::config::Flags>),
    /// Take a snapshot and the plan for it into a file, to be replayed anywhere.
    #[command(
        after_help = "Without --controller and -f, the cluster of the current kubeconfig context is read and planned as the \
                      controller would.\nExit codes: 0 written · 1 an error, told on stderr · 130 interrupted"
    )]
    Record(RecordArgs),
    /// Plan a recording again, bit for bit.
    #[command(
        after_help = "Whether the plan is the recorded one is said on stderr. The same version makes the same plan.\nExit codes: \
                      0 everything placed (with --diff: the same plan) · 2 some pods have no place (with --diff: another \
                      plan) · 1 an error, told on stderr (stdout stays empty) · 130 interrupted"
    )]
    Replay(ReplayArgs),
    /// A cluster at a glance: nodes, dollars, utilisation, what is to be bought, and why pods wait.
    #[command(
        after_help = "Prices are US dollars per hour. Utilisation is what pods request of what nodes have for pods. On a \
                      terminal it is shown live until q is pressed (? shows the keys); elsewhere it is printed once.\nExit codes: 0 printed · 1 an error, told on stderr · 130 interrupted"
    )]
    Top(TopArgs),
    /// Print the CustomResourceDefinitions.
    #[command(after_help = "Exit codes: 0 printed · 1 an error, told on stderr")]
    Crds(CrdsArgs),
    /// Parts of the simulated world, served to other programs.
    #[command(after_help = "Exit codes: 0 ended with Ctrl-C · 1 an error, told on stderr")]
    Sim(SimArgs),
}

#[derive(Args, Debug)]
pub struct SimArgs {
    #[command(subcommand)]
    pub part: SimPart,
}

#[derive(Subcommand, Debug)]
pub enum SimPart {
    /// An EC2 on a loopback port: finite stock, fleets that fail in part, slow machines, limits, faults.
    #[command(
        after_help = "Its address is printed on stdout; programs find it by AWS_ENDPOINT_URL and any credentials. What it does not \
                      implement it refuses with 501 NotImplemented.\nExit codes: 0 ended with Ctrl-C · 1 an error, told on stderr"
    )]
    Ec2(SimEc2Args),
}

#[derive(Args, Debug)]
pub struct SimEc2Args {
    /// Where to listen; a loopback address only. Port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
    /// Stock, prices, ids and delays are drawn from this number.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// A script of what is there, what goes wrong and when (JSON: faults, chance, stock, prices, interruptions,
    /// reservations, placementGroups).
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// A region of the embedded catalogue.
    #[arg(long, value_name = "NAME", default_value = "us-east-1")]
    pub region: String,
    /// The cluster that its subnets and security groups are tagged for (karpenter.sh/discovery).
    #[arg(long, value_name = "NAME", default_value = "demo")]
    pub cluster: String,
}

#[derive(Args, Debug)]
pub struct DemoArgs {
    /// A virtual clock: an hour passes in seconds, and the same seed gives the same lines. Without it the run takes
    /// about three and a half minutes.
    #[arg(long, verbatim_doc_comment)]
    pub fast: bool,
    /// What is left to chance (replicas, delays) is drawn from this number.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Write the run as one web page with plots over time.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// What happens.
    #[arg(long, value_enum, value_name = "NAME", default_value_t = ScenarioName::Shop)]
    pub scenario: ScenarioName,
    /// Whose nodes are bought: kwok's, or machines of a simulated EC2 through the real SDK (needs the feature aws), where
    /// the shop also trains on a GPU and outlives spot interruptions.
    #[arg(long, value_enum, value_name = "NAME", default_value_t = DemoProvider::Kwok, verbatim_doc_comment)]
    pub provider: DemoProvider,
}

#[derive(Args, Debug)]
pub struct PlanArgs {
    #[command(flatten)]
    pub input: InputArgs,
    #[command(flatten)]
    pub validate: ValidateArgs,
    /// Compare two sets of files: nodes, $/h and pods without a place.
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"], conflicts_with_all = ["files", "kubeconfig", "context"])]
    pub diff: Option<Vec<PathBuf>>,
    /// How to print the plan.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// What kind of thing NAME is.
    #[arg(value_enum)]
    pub kind: ExplainKind,
    /// Its name; pods as NAMESPACE/NAME (NAME alone where only one has it).
    pub name: String,
    /// Explain what this controller planned last, and do not list the cluster: HOST:PORT of its metrics port, as opened by
    /// kubectl port-forward.
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = OF_ITS_OWN, verbatim_doc_comment)]
    pub controller: Option<String>,
    #[command(flatten)]
    pub input: InputArgs,
    #[command(flatten)]
    pub validate: ValidateArgs,
    /// How to print the answer.
    #[arg(short, long, value_enum, default_value_t = Plain::Table)]
    pub output: Plain,
}

#[derive(Args, Debug)]
pub struct LintArgs {
    #[command(flatten)]
    pub input: InputArgs,
    /// How to print what was found.
    #[arg(short, long, value_enum, default_value_t = Plain::Table)]
    pub output: Plain,
}

#[derive(Args, Debug)]
pub struct RecordArgs {
    /// Where to write it (gzip); - is standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Ask this controller for the last snapshot that it planned: HOST:PORT of its metrics port, as opened by kubectl
    /// port-forward.
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = OF_ITS_OWN, verbatim_doc_comment)]
    pub controller: Option<String>,
    #[command(flatten)]
    pub input: InputArgs,
    #[command(flatten)]
    pub validate: ValidateArgs,
}

#[derive(Args, Clone, Debug)]
pub struct TopArgs {
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub every: u64,
    /// Print the view once.
    #[arg(long)]
    pub once: bool,
    /// Show what this controller planned last, and do not list the cluster: HOST:PORT of its metrics port, as opened by
    /// kubectl port-forward.
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = OF_ITS_OWN, verbatim_doc_comment)]
    pub controller: Option<String>,
    #[command(flatten)]
    pub input: InputArgs,
    #[command(flatten)]
    pub validate: ValidateArgs,
}

#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// What millwright record wrote, or a controller gave on /debug/snapshot; - is standard input.
    pub file: PathBuf,
    /// Show what is different from the recorded plan.
    #[arg(long)]
    pub diff: bool,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Other steps than recorded (one is near a microsecond).
    #[arg(long, value_name = "STEPS")]
    pub effort: Option<u64>,
    /// Say on stderr how long each phase took and how much memory it needed.
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Args, Debug)]
pub struct CrdsArgs {
    /// The only format there is.
    #[arg(long, value_enum, default_value_t = CrdFormat::Yaml)]
    pub format: CrdFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Json,
    Yaml,
    Html,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Plain {
    Table,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CrdFormat {
    Yaml,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExplainKind {
    Pod,
    Node,
    Nodepool,
}

/// How strictly objects are read. `lint` has its own way.
#[derive(Args, Clone, Debug)]
pub struct ValidateArgs {
    /// What to do about unknown fields, as kubectl: strict is an error, warn a note, ignore nothing. Whatever else an API
    /// server refuses is an error always.
    #[arg(long, default_value = "strict", value_parser = one_of::<Validate>(&["strict", "warn", "ignore"]), verbatim_doc_comment)]
    pub validate: Validate,
}

/// Objects and the market they are planned against.
#[derive(Args, Clone, Debug)]
pub struct InputArgs {
    /// File or folder (read recursively: .yaml .yml .json, also .gz) of Kubernetes objects; - is standard input. Repeats.
    /// Without it, the cluster of the current kubeconfig context is read.
    #[arg(short = 'f', long = "file", value_name = "PATH", verbatim_doc_comment)]
    pub files: Vec<PathBuf>,
    /// The cluster to read when there is no -f and no --trace [default: $KUBECONFIG, ~/.kube/config]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "trace"])]
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context [default: the current one]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["files", "trace"])]
    pub context: Option<String>,
    /// Pods of a recorded trace (CSV as published by Alibaba: name,cpu_milli,memory_mib,num_gpu,…). Repeats.
    #[arg(long, value_name = "FILE")]
    pub trace: Vec<PathBuf>,
    /// Region of the EC2 catalogue.
    #[arg(long, default_value = "us-east-1")]
    pub region: String,
    /// Zones, separated by commas [default: those of the node class, else all of the region].
    #[arg(long, value_delimiter = ',', value_name = "ZONES")]
    pub zones: Option<Vec<String>>,
    /// Prices in USD per hour laid over the catalogue: CSV instance_type,zone,capacity_type,usd_per_hour; an empty zone is
    /// every zone. Spot is offered only at a price from here.
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    pub prices: Option<PathBuf>,
    /// An offering that is out of capacity: TYPE/ZONE/CAPACITY_TYPE, * allowed. Repeats.
    #[arg(long, value_name = "OFFERING")]
    pub unavailable: Vec<String>,
    /// What becomes of preferences that cannot all be met.
    #[arg(long, default_value = "Respect", value_parser = one_of::<PreferencePolicy>(&["Respect", "Ignore"]))]
    pub preference_policy: PreferencePolicy,
    /// What becomes of minValues that cannot be met.
    #[arg(long, default_value = "Strict", value_parser = one_of::<MinValuesPolicy>(&["Strict", "BestEffort"]))]
    pub min_values_policy: MinValuesPolicy,
    /// Features to switch, as NAME=true,NAME=false: ReservedCapacity (on), NodeOverlay, StaticCapacity, CapacityBuffer,
    /// NodeRepair, SpotToSpotConsolidation (off).
    #[arg(long, default_value = "", hide_default_value = true, verbatim_doc_comment)]
    pub feature_gates: String,
    /// The snapshot's clock, RFC 3339 [default: now].
    #[arg(long, value_name = "TIME")]
    pub now: Option<String>,
    /// Steps the solver may take (one is near a microsecond; the same number gives the same plan).
    #[arg(long, value_name = "STEPS", default_value_t = planner::model::snapshot::DEFAULT_EFFORT)]
    pub effort: u64,
    /// Take NodePools and node classes for ready whatever their status [default: when none in the files has a status].
    #[arg(long)]
    pub assume_ready: bool,
    /// Instance types of kwok (JSON), in place of the 144 generated ones.
    #[arg(long, value_name = "FILE")]
    pub instance_types_file_path: Option<PathBuf>,
    /// Default spread constraints for pods that have none (YAML: podTopologySpread.defaultConstraints).
    #[arg(long, value_name = "FILE")]
    pub scheduler_config: Option<PathBuf>,
    /// Say on stderr how long each phase took and how much memory it needed.
    #[arg(short, long)]
    pub verbose: bool,
}

/// Takes one of these words, and shows them in the help.
fn one_of<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word: String| word.parse())
}

impl InputArgs {
    /// The options of the snapshot.
    pub fn options(&self) -> Result<Options> {
        let wrong = |field: &str, value: &str, message: String, remedy: &str| {
            InputError::new(message).field(field).value(value).remedy(remedy)
        };
        let unavailable = |text: &String| {
            UnavailablePattern::parse(text).map_err(|error| {
                let parts: Vec<&str> = text.split('/').collect();
                let (message, remedy) = match parts[..] {
                    [of, zone, capacity_type] if !of.is_empty() && !zone.is_empty() => (
                        format!("\"{capacity_type}\" is no capacity type"),
                        "write on-demand, spot, reserved or * for the third part",
                    ),
                    _ => (error.to_string(), "write TYPE/ZONE/CAPACITY_TYPE, * for any"),
                };
                wrong("--unavailable", text, message, remedy)
            })
        };
        Ok(Options {
            region: self.region.clone(),
            zones: self.zones.clone(),
            prices: self.prices.as_deref().map(read_prices).transpose()?.unwrap_or_default(),
            unavailable: self.unavailable.iter().map(unavailable).collect::<Result<_, _>>()?,
            preference_policy: self.preference_policy,
            min_values_policy: self.min_values_policy,
            feature_gates: FeatureGates::parse(&self.feature_gates)?,
            now: self.clock()?,
            effort: self.effort,
            assume_ready: self.assume_ready.then_some(true),
            instance_types_file: self.instance_types_file_path.clone(),
            scheduler_config: self.scheduler_config.as_deref().map(SchedulerConfig::read).transpose()?,
        })
    }

    fn clock(&self) -> Result<i64> {
        match &self.now {
            Some(text) => {
                let at: jiff::Timestamp = text.parse().map_err(|error| {
                    InputError::new(format!("is no time ({error})"))
                        .field("--now")
                        .value(text)
                        .remedy("write it as 2026-01-31T12:00:00Z")
                })?;
                Ok(at.as_second())
            }
            None => Ok(jiff::Timestamp::now().as_second()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_help_of_every_command_states_its_exit_codes() {
        let mut left = vec![Cli::command()];
        while let Some(command) = left.pop() {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains("Exit codes: 0"), "{}", command.get_name());
            left.extend(command.get_subcommands().cloned());
        }
    }
}
