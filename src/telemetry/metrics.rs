//! Every metric of the controller, under the names that dashboards and alerts of Karpenter use; ours begin with `millwright_`.
#![expect(clippy::doc_markdown, reason = "the help texts of metrics are their documentation too")]

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{Registry, TextEncoder};

use super::buckets as b;
use super::conditions::Conditions;
use super::families::{Counters, Family as _, Gauges, Histograms, Summaries};
use super::page::Page;
use super::planning::UnderWay;
use super::process::Process;

/// Declares the struct and how each of its fields comes to be: field, kind, labels, full name, help, buckets.
macro_rules! families {
    ($($field:ident: $kind:ident [$($label:literal),*] $name:literal, $help:literal $(, $buckets:expr)?;)*) => {
        /// One field per family; the field is named like the metric, without its prefix.
        #[derive(Debug)]
        pub struct Families {
            registry: Registry,
            $(#[doc = $help] pub $field: $kind<{ families!(@count $($label)*) }>,)*
            /// `operator_<kind>_…`: conditions of objects and their ends.
            pub conditions: Conditions,
            /// The plan under way.
            pub(super) under_way: UnderWay,
            /// Series that are written when somebody asks.
            also: Mutex<Option<Page>>,
        }

        impl Families {
            fn register(class_label: &str) -> prometheus::Result<Self> {
                let registry = Registry::new();
                registry.register(Box::new(Process::new()?))?;
                Ok(Self {
                    $($field: $kind::register(&registry, $name, $help, [$($label),*], families!(@buckets $($buckets)?))?,)*
                    conditions: Conditions::register(&registry, class_label)?,
                    under_way: UnderWay::default(),
                    also: Mutex::default(),
                    registry,
                })
            }
        }
    };
    (@count) => { 0 };
    (@count $head:literal $($tail:literal)*) => { 1 + families!(@count $($tail)*) };
    (@buckets) => { &[] };
    (@buckets $buckets:expr) => { $buckets };
}

families! {
    build_info: Gauges["version", "goversion", "goarch", "commit"] "karpenter_build_info", "Always 1; what runs.";

    // The cloud.
    cloudprovider_duration_seconds: Histograms["controller", "method", "provider"] "karpenter_cloudprovider_duration_seconds", "Duration of calls to the cloud.", b::CLIENT_DEFAULT;
    cloudprovider_errors_total: Counters["controller", "method", "provider", "error"] "karpenter_cloudprovider_errors_total", "Errors of the cloud.";
    cloudprovider_instance_type_offering_available: Gauges["instance_type", "capacity_type", "zone"] "karpenter_cloudprovider_instance_type_offering_available", "1 when it can be bought, else 0.";
    cloudprovider_instance_type_offering_price_estimate: Gauges["instance_type", "capacity_type", "zone"] "karpenter_cloudprovider_instance_type_offering_price_estimate", "US dollars per hour.";
    cloudprovider_instance_type_cpu_cores: Gauges["instance_type"] "karpenter_cloudprovider_instance_type_cpu_cores", "Virtual cores.";
    cloudprovider_instance_type_memory_bytes: Gauges["instance_type"] "karpenter_cloudprovider_instance_type_memory_bytes", "Memory in bytes.";
    cloudprovider_instance_launch_failures_total: Counters["zone", "zone_id", "capacity_type", "reason"] "karpenter_cloudprovider_instance_launch_failures_total", "Offerings that could not be launched.";
    cloudprovider_batcher_batch_size: Histograms["batcher"] "karpenter_cloudprovider_batcher_batch_size", "Requests that became one.", b::BATCH;
    cloudprovider_batcher_batch_time_seconds: Histograms["batcher"] "karpenter_cloudprovider_batcher_batch_time_seconds", "How long requests were gathered.", b::CLIENT_DEFAULT;
    ec2nodeclasses_userdata_bytes: Gauges["nodeclass"] "karpenter_ec2nodeclasses_userdata_bytes", "Length of the user data of a class's instances.";
    cloudprovider_instance_termination_failures_total: Counters["zone", "zone_id"] "karpenter_cloudprovider_instance_termination_failures_total", "Instances that could not be terminated.";

    aws_sdk_go_request_total: Counters["service", "action", "status_code"] "aws_sdk_go_request_total", "Calls to AWS, as Karpenter's SDK counts them.";
    aws_sdk_go_request_attempt_total: Counters["service", "action", "status_code"] "aws_sdk_go_request_attempt_total", "Tries of calls to AWS; status 0 is no answer.";
    aws_sdk_go_request_retry_count: Histograms["service", "action", "status_code"] "aws_sdk_go_request_retry_count", "How often a call to AWS was tried again.", b::CLIENT_DEFAULT;
    aws_sdk_go_request_duration_seconds: Histograms["service", "action", "status_code"] "aws_sdk_go_request_duration_seconds", "Duration of calls to AWS with their tries.", b::CLIENT_DEFAULT;
    aws_sdk_go_request_attempt_duration_seconds: Histograms["service", "action", "status_code"] "aws_sdk_go_request_attempt_duration_seconds", "Duration of single tries.", b::CLIENT_DEFAULT;

    // Provisioning.
    scheduler_scheduling_duration_seconds: Histograms["controller"] "karpenter_scheduler_scheduling_duration_seconds", "Duration of planning.", b::DURATION;
    scheduler_queue_depth: Gauges["controller", "scheduling_id"] "karpenter_scheduler_queue_depth", "Pods to be placed by the plan under way.";
    scheduler_unfinished_work_seconds: Gauges["controller", "scheduling_id"] "karpenter_scheduler_unfinished_work_seconds", "Seconds since the plan under way was begun.";
    scheduler_ignored_pods_count: Gauges[] "karpenter_scheduler_ignored_pods_count", "Pending pods that are not to be placed.";
    scheduler_unschedulable_pods_count: Gauges["controller"] "karpenter_scheduler_unschedulable_pods_count", "Pods for which the last plan has no place.";
    scheduler_pending_pods_by_effective_zone_count: Gauges["controller", "zone"] "karpenter_scheduler_pending_pods_by_effective_zone_count", "Pending pods by the zone they are held to.";
    cluster_state_node_count: Gauges[] "karpenter_cluster_state_node_count", "Nodes in the mirror.";
    cluster_state_synced: Gauges[] "karpenter_cluster_state_synced", "1 when the mirror is complete.";
    cluster_state_unsynced_time_seconds: Gauges[] "karpenter_cluster_state_unsynced_time_seconds", "Seconds since the mirror was last complete.";
    pods_scheduling_decision_duration_seconds: Histograms[] "karpenter_pods_scheduling_decision_duration_seconds", "From seeing a pod to the first decision about it.", b::DURATION;

    // Claims, nodes, pods.
    nodeclaims_created_total: Counters["reason", "nodepool", "min_values_relaxed"] "karpenter_nodeclaims_created_total", "NodeClaims created.";
    nodeclaims_terminated_total: Counters["nodepool", "capacity_type", "zone"] "karpenter_nodeclaims_terminated_total", "NodeClaims gone.";
    nodeclaims_disrupted_total: Counters["reason", "nodepool", "capacity_type", "consolidation_policy", "termination_mode"] "karpenter_nodeclaims_disrupted_total", "NodeClaims taken away.";
    pods_disruption_initiated_total: Counters["reason", "nodepool", "capacity_type", "consolidation_policy", "termination_mode"] "karpenter_pods_disruption_initiated_total", "Pods on nodes taken away.";
    nodeclaims_unhealthy_disrupted_total: Counters["condition", "nodepool", "capacity_type", "image_id"] "karpenter_nodeclaims_unhealthy_disrupted_total", "NodeClaims taken away because their nodes were ill.";
    nodeclaims_instance_termination_duration_seconds: Histograms["nodepool"] "karpenter_nodeclaims_instance_termination_duration_seconds", "From asking for the end of an instance to its end.", b::INSTANCE_TERMINATION;
    nodeclaims_termination_duration_seconds: Histograms["nodepool"] "karpenter_nodeclaims_termination_duration_seconds", "From the deletion of a NodeClaim to its end.", b::CLAIM_TERMINATION;
    nodes_created_total: Counters["nodepool", "zone"] "karpenter_nodes_created_total", "Nodes registered.";
    nodes_terminated_total: Counters["nodepool", "zone"] "karpenter_nodes_terminated_total", "Nodes gone.";
    nodes_drained_total: Counters["nodepool"] "karpenter_nodes_drained_total", "Nodes drained.";
    nodes_termination_duration_seconds: Summaries["nodepool"] "karpenter_nodes_termination_duration_seconds", "From the deletion of a node to its end.";
    nodes_lifetime_duration_seconds: Histograms["nodepool"] "karpenter_nodes_lifetime_duration_seconds", "How old nodes became.", b::LIFETIME;
    pods_eviction_requests_total: Counters["code"] "karpenter_pods_eviction_requests_total", "Evictions asked for, by answer.";
    pods_drained_total: Counters["reason"] "karpenter_pods_drained_total", "Pods drained.";

    // State of the cluster.
    cluster_utilization_percent: Gauges["resource_type"] "karpenter_cluster_utilization_percent", "Requests of pods over what nodes have for them.";
    nodepools_limit: Gauges["resource_type", "nodepool"] "karpenter_nodepools_limit", "Limits of the pool.";
    nodepools_usage: Gauges["resource_type", "nodepool"] "karpenter_nodepools_usage", "What its nodes have.";
    nodepools_cost_total: Gauges["nodepool"] "karpenter_nodepools_cost_total", "US dollars per hour.";
    nodepools_cost_tracker_errors_total: Counters["nodepool"] "karpenter_nodepools_cost_tracker_errors_total", "Nodes whose price is not known.";
    pods_startup_duration_seconds: Summaries[] "karpenter_pods_startup_duration_seconds", "From the creation of a pod to its running.";
    pods_bound_duration_seconds: Histograms[] "karpenter_pods_bound_duration_seconds", "From the creation of a pod to its binding.", b::DURATION;
    pods_provisioning_bound_duration_seconds: Histograms[] "karpenter_pods_provisioning_bound_duration_seconds", "From the first plan with a place for a pod to its binding.", b::DURATION;
    pods_provisioning_startup_duration_seconds: Histograms[] "karpenter_pods_provisioning_startup_duration_seconds", "From the first plan with a place for a pod to its running.", b::DURATION;

    // Disruption.
    voluntary_disruption_decision_evaluation_duration_seconds: Histograms["reason", "consolidation_type"] "karpenter_voluntary_disruption_decision_evaluation_duration_seconds", "Duration of deciding about disruption.", b::DURATION;
    voluntary_disruption_decisions_total: Counters["decision", "reason", "consolidation_type"] "karpenter_voluntary_disruption_decisions_total", "Decisions to disrupt.";
    voluntary_disruption_decisions_by_nodepool_total: Counters["nodepool", "decision", "reason", "consolidation_type"] "karpenter_voluntary_disruption_decisions_by_nodepool_total", "Decisions to disrupt, by pool.";
    voluntary_disruption_eligible_nodes: Gauges["reason"] "karpenter_voluntary_disruption_eligible_nodes", "Nodes that may be disrupted.";
    voluntary_disruption_consolidation_timeouts_total: Counters["consolidation_type"] "karpenter_voluntary_disruption_consolidation_timeouts_total", "Consolidations cut off.";
    voluntary_disruption_failed_validations_total: Counters["consolidation_type"] "karpenter_voluntary_disruption_failed_validations_total", "Proposals that did not hold for 15 s.";
    voluntary_disruption_queue_failures_total: Counters["decision", "reason", "consolidation_type"] "karpenter_voluntary_disruption_queue_failures_total", "Disruptions undone.";
    nodepools_allowed_disruptions: Gauges["nodepool", "reason"] "karpenter_nodepools_allowed_disruptions", "Nodes that may be disrupted now.";
    nodepools_nodes_consuming_budgets: Gauges["nodepool", "reason"] "karpenter_nodepools_nodes_consuming_budgets", "Nodes that count against the budgets.";
    consolidation_score: Histograms["decision", "nodepool", "policy"] "karpenter_consolidation_score", "Savings over disruption.", b::SCORE;
    consolidation_moves_total: Counters["decision", "nodepool", "policy"] "karpenter_consolidation_moves_total", "Consolidations considered.";

    // Interruptions.
    interruption_instance_status_unhealthy_total: Counters["category"] "karpenter_interruption_instance_status_unhealthy_total", "Instances that the cloud's own checks found ill.";
    interruption_received_messages_total: Counters["message_type"] "karpenter_interruption_received_messages_total", "Notices received.";
    interruption_deleted_messages_total: Counters[] "karpenter_interruption_deleted_messages_total", "Notices acknowledged.";
    interruption_message_queue_duration_seconds: Histograms[] "karpenter_interruption_message_queue_duration_seconds", "Age of notices when received.", b::CLIENT_DEFAULT;

    // The API server, as its Go clients count it.
    client_go_request_duration_seconds: Histograms["verb", "group", "version", "kind", "subresource"] "client_go_request_duration_seconds", "Duration of requests to the API server.", b::REQUEST;
    client_go_request_total: Counters["code", "method"] "client_go_request_total", "Requests to the API server.";
    rest_client_requests_total: Counters["code", "host", "method"] "rest_client_requests_total", "Requests to the API server, by host.";
    leader_election_master_status: Gauges["name"] "leader_election_master_status", "1 while this process leads.";

    // Reconciles and queues, as controller-runtime counts them.
    controller_runtime_reconcile_total: Counters["controller", "result"] "controller_runtime_reconcile_total", "Reconciles by result: success, error, requeue, requeue_after.";
    controller_runtime_reconcile_errors_total: Counters["controller"] "controller_runtime_reconcile_errors_total", "Reconciles that ended in an error.";
    controller_runtime_reconcile_panics_total: Counters["controller"] "controller_runtime_reconcile_panics_total", "Reconciles that broke off.";
    controller_runtime_reconcile_time_seconds: Histograms["controller"] "controller_runtime_reconcile_time_seconds", "Duration of reconciles.", b::RECONCILE;
    controller_runtime_active_workers: Gauges["controller"] "controller_runtime_active_workers", "Reconciles under way.";
    controller_runtime_max_concurrent_reconciles: Gauges["controller"] "controller_runtime_max_concurrent_reconciles", "Most reconciles at a time.";
    workqueue_depth: Gauges["controller", "name", "priority"] "workqueue_depth", "Objects that wait.";
    workqueue_adds_total: Counters["controller", "name"] "workqueue_adds_total", "Objects that were put in.";
    workqueue_retries_total: Counters["controller", "name"] "workqueue_retries_total", "Objects that were put in again.";
    workqueue_queue_duration_seconds: Histograms["controller", "name"] "workqueue_queue_duration_seconds", "How long objects waited.", b::QUEUE;
    workqueue_work_duration_seconds: Histograms["controller", "name"] "workqueue_work_duration_seconds", "How long work on an object took.", b::QUEUE;

    // Ours.
    plan_phase_seconds: Histograms["phase"] "millwright_plan_phase_seconds", "Duration of a phase of deciding: batch, snapshot, plan, check, act.", b::DURATION;
    plan_hourly_cost: Gauges[] "millwright_plan_hourly_cost", "US dollars per hour of what the last plan buys.";
    plan_hourly_cost_lower_bound: Gauges[] "millwright_plan_hourly_cost_lower_bound", "No plan for the same pods costs less, in US dollars per hour.";
    plan_greedy_hourly_cost: Gauges[] "millwright_plan_greedy_hourly_cost", "What first-fit-decreasing would have bought, in US dollars per hour.";
    plan_faults_total: Counters["fault"] "millwright_plan_faults_total", "Faults that the independent reader found in plans. Alert on any.";
    plan_unplaced_pods: Gauges["code"] "millwright_plan_unplaced_pods", "Pods without a place, by reason.";
    events_dropped_total: Counters["cause"] "millwright_events_dropped_total", "Events not written: queue_full, rate_limited, refused.";
    nominations_total: Counters["result"] "millwright_nominations_total", "Nominations of pods just before their node opened.";
    wave_held_seconds: Histograms[] "millwright_wave_held_seconds", "How long the first node of a plan was kept shut until the others were there.", b::DURATION;
    watch_restarts_total: Counters["kind", "cause"] "millwright_watch_restarts_total", "Watches begun again.";
    api_retries_total: Counters["method", "cause"] "millwright_api_retries_total", "Requests sent again.";
    api_throttled_seconds_total: Histograms[] "millwright_api_throttled_seconds", "How long requests waited for the client's own rate limit.", b::CLIENT_DEFAULT;
}

/// The metrics of one process, or of one test. Clones are the same metrics.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Families>);

impl Metrics {
    /// Fresh metrics, all at zero, for node classes of kwok.
    pub fn new() -> Self {
        Self::for_class("karpenter.kwok.sh", "KWOKNodeClass")
    }

    /// Fresh metrics for claims of this kind of node class, which is part of the name of a label.
    pub fn for_class(group: &str, kind: &str) -> Self {
        let label = label_name(&format!("{group}/{}", kind.to_lowercase()));
        #[expect(clippy::expect_used, reason = "names and labels are constants; a test renders them all")]
        let families = Families::register(&label).expect("well-formed names, each once");
        families.build_info.set([env!("CARGO_PKG_VERSION"), "", std::env::consts::ARCH, super::COMMIT], 1.0);
        for kind in ["multi", "single"] {
            families.voluntary_disruption_consolidation_timeouts_total.add([kind], 0);
        }
        Self(Arc::new(families))
    }

    /// All of it in the text format of Prometheus.
    pub fn render(&self) -> String {
        self.bring_up();
        // Writing to memory fails only for a family without series, and those are left out by the registry.
        let mut out = TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default();
        let also = self.also.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(page) = also {
            page.write(&mut out);
        }
        out
    }

    /// From now on these series are shown too; `None`: no others.
    pub fn show_also(&self, page: Option<Page>) {
        *self.also.lock().unwrap_or_else(PoisonError::into_inner) = page;
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Metrics {
    type Target = Families;

    fn deref(&self) -> &Families {
        &self.0
    }
}

/// A label key of Kubernetes as the name of a label of Prometheus.
pub(crate) fn label_name(key: &str) -> String {
    key.replace(['/', '.', '-'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_process_shows_what_runs_and_what_has_not_happened_yet() {
        let text = Metrics::new().render();
        assert!(text.contains("karpenter_build_info{commit="), "{text}");
        assert!(
            text.contains(
                "karpenter_voluntary_disruption_consolidation_timeouts_total{consolidation_type=\"multi\"} 0"
            )
        );
        assert!(text.contains("karpenter_cluster_state_synced 0"));
        assert!(text.contains("karpenter_pods_startup_duration_seconds{quantile=\"0.99\"} NaN"), "{text}");
    }

    #[test]
    fn clones_count_together_and_other_processes_do_not() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.clone().pods_drained_total.inc(["empty"]);
        one.pods_drained_total.inc(["empty"]);
        assert!(one.render().contains("karpenter_pods_drained_total{reason=\"empty\"} 2"));
        assert!(!other.render().contains("karpenter_pods_drained_total"));
    }
}
