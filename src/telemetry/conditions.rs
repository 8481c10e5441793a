//! `operator_<kind>_…`: how long conditions of objects last and how often they change, by kind.

use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::buckets;
use super::metrics::label_name;

/// The kinds whose conditions are measured.
#[derive(Debug)]
pub struct Conditions {
    /// Further labels: node class, pool.
    pub nodeclaim: OfKind<2>,
    /// No further labels.
    pub nodepool: OfKind<0>,
    /// Further labels: node class, pool, initialised.
    pub node: OfKind<3>,
    /// No further labels.
    pub ec2nodeclass: OfKind<0>,
    /// No further labels.
    pub capacitybuffer: OfKind<0>,
    /// The same of every kind but Node under older names, which have group and kind as further labels.
    pub any: OfKind<2>,
}

impl Conditions {
    pub(super) fn register(registry: &Registry, class_label: &str) -> prometheus::Result<Self> {
        let pool = label_name(crds::names::core::NODE_POOL);
        let initialized = label_name(crds::names::core::INITIALIZED);
        Ok(Self {
            nodeclaim: OfKind::register(registry, "nodeclaim_", buckets::CONDITION, [class_label, &pool])?,
            nodepool: OfKind::register(registry, "nodepool_", buckets::CONDITION, [])?,
            node: OfKind::register(registry, "node_", buckets::CONDITION, [class_label, &pool, &initialized])?,
            ec2nodeclass: OfKind::register(registry, "ec2nodeclass_", buckets::CONDITION, [])?,
            capacitybuffer: OfKind::register(registry, "capacitybuffer_", buckets::CONDITION, [])?,
            any: OfKind::register(registry, "", buckets::CLIENT_DEFAULT, ["group", "kind"])?,
        })
    }
}

/// One condition of one object as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing<'a> {
    /// Empty for cluster-scoped kinds.
    pub namespace: &'a str,
    pub name: &'a str,
    /// `Ready`, `Launched`, …
    pub condition: &'a str,
    /// `True`, `False` or `Unknown`.
    pub status: &'a str,
    pub reason: &'a str,
}

/// The families of one kind, with `N` further labels.
#[derive(Debug)]
pub struct OfKind<const N: usize> {
    transition_seconds: HistogramVec,
    count: GaugeVec,
    current_status_seconds: GaugeVec,
    transitions_total: IntCounterVec,
    termination_current_time_seconds: GaugeVec,
    termination_duration_seconds: HistogramVec,
}

impl<const N: usize> OfKind<N> {
    /// `kind` is the part of the names that stands for it.
    fn register(registry: &Registry, kind: &str, cuts: &[f64], extra: [&str; N]) -> prometheus::Result<Self> {
        let name = |rest: &str| format!("operator_{kind}{rest}");
        let labels = |own: &[&'static str]| -> Vec<String> {
            own.iter().copied().chain(extra).map(ToString::to_string).collect()
        };
        let histogram = |rest: &str, help: &str, own: &[&'static str]| -> prometheus::Result<HistogramVec> {
            let labels = labels(own);
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let options = HistogramOpts::new(name(rest), help).buckets(cuts.to_vec());
            let family = HistogramVec::new(options, &labels)?;
            registry.register(Box::new(family.clone()))?;
            Ok(family)
        };
        let gauge = |rest: &str, help: &str, own: &[&'static str]| -> prometheus::Result<GaugeVec> {
            let labels = labels(own);
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let family = GaugeVec::new(Opts::new(name(rest), help), &labels)?;
            registry.register(Box::new(family.clone()))?;
            Ok(family)
        };
        let standing = ["namespace", "name", "type", "status", "reason"];
        let transition_labels = labels(&["type", "status", "reason"]);
        let transition_labels: Vec<&str> = transition_labels.iter().map(String::as_str).collect();
        let help = "Changes of conditions.";
        let transitions_total =
            IntCounterVec::new(Opts::new(name("status_condition_transitions_total"), help), &transition_labels)?;
        registry.register(Box::new(transitions_total.clone()))?;
        Ok(Self {
            transition_seconds: histogram(
                "status_condition_transition_seconds",
                "How long a condition stood before it changed.",
                &["type", "status"],
            )?,
            count: gauge("status_condition_count", "Always 1; a condition that stands.", &standing)?,
            current_status_seconds: gauge(
                "status_condition_current_status_seconds",
                "How long a condition has stood.",
                &standing,
            )?,
            transitions_total,
            termination_current_time_seconds: gauge(
                "termination_current_time_seconds",
                "Since the deletion of an object that is still there.",
                &["namespace", "name"],
            )?,
            termination_duration_seconds: histogram(
                "termination_duration_seconds",
                "From the deletion of an object to its end.",
                &[],
            )?,
        })
    }

    /// A condition has stood for so many seconds.
    pub fn stands(&self, standing: &Standing<'_>, seconds: f64, extra: [&str; N]) {
        let labels = full(standing, extra);
        self.count.with_label_values(&labels).set(1.0);
        self.current_status_seconds.with_label_values(&labels).set(seconds);
    }

    /// It stands no more: it changed, or its object is gone.
    pub fn stands_no_more(&self, standing: &Standing<'_>, extra: [&str; N]) {
        let labels = full(standing, extra);
        // The only error is that there is no such series.
        self.count.remove_label_values(&labels).ok();
        self.current_status_seconds.remove_label_values(&labels).ok();
    }

    /// A condition left `status` after so many seconds, and is now as `standing` says.
    pub fn changed(&self, standing: &Standing<'_>, left: &str, seconds: f64, extra: [&str; N]) {
        let before: Vec<&str> = [standing.condition, left].into_iter().chain(extra).collect();
        self.transition_seconds.with_label_values(&before).observe(seconds);
        self.came(standing, extra);
    }

    /// A condition that was not there has come as `standing` says.
    pub fn came(&self, standing: &Standing<'_>, extra: [&str; N]) {
        let after: Vec<&str> =
            [standing.condition, standing.status, standing.reason].into_iter().chain(extra).collect();
        self.transitions_total.with_label_values(&after).inc();
    }

    /// An object was deleted so many seconds ago and is still there.
    pub fn ending(&self, namespace: &str, name: &str, seconds: f64, extra: [&str; N]) {
        let labels: Vec<&str> = [namespace, name].into_iter().chain(extra).collect();
        self.termination_current_time_seconds.with_label_values(&labels).set(seconds);
    }

    /// An object is gone, so many seconds after its deletion.
    pub fn ended(&self, namespace: &str, name: &str, seconds: f64, extra: [&str; N]) {
        let labels: Vec<&str> = [namespace, name].into_iter().chain(extra).collect();
        self.termination_current_time_seconds.remove_label_values(&labels).ok();
        self.termination_duration_seconds.with_label_values(&extra).observe(seconds);
    }
}

/// Where conditions of one object are told: under the names of its kind, and under those of all kinds.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a, const N: usize> {
    pub own: (&'a OfKind<N>, [&'a str; N]),
    /// None for nodes.
    pub any: Option<(&'a OfKind<2>, [&'a str; 2])>,
    /// Whether series of single objects are held here; those of nodes are written when somebody scrapes.
    pub holds: bool,
}

impl<const N: usize> Told<'_, N> {
    /// See [`OfKind::stands`].
    pub fn stands(&self, standing: &Standing<'_>, seconds: f64) {
        if !self.holds {
            return;
        }
        self.own.0.stands(standing, seconds, self.own.1);
        self.any.iter().for_each(|(any, extra)| any.stands(standing, seconds, *extra));
    }

    /// See [`OfKind::stands_no_more`].
    pub fn stands_no_more(&self, standing: &Standing<'_>) {
        self.own.0.stands_no_more(standing, self.own.1);
        self.any.iter().for_each(|(any, extra)| any.stands_no_more(standing, *extra));
    }

    /// See [`OfKind::changed`].
    pub fn changed(&self, standing: &Standing<'_>, left: &str, seconds: f64) {
        self.own.0.changed(standing, left, seconds, self.own.1);
        self.any.iter().for_each(|(any, extra)| any.changed(standing, left, seconds, *extra));
    }

    /// See [`OfKind::came`].
    pub fn came(&self, standing: &Standing<'_>) {
        self.own.0.came(standing, self.own.1);
        self.any.iter().for_each(|(any, extra)| any.came(standing, *extra));
    }

    /// See [`OfKind::ending`].
    pub fn ending(&self, namespace: &str, name: &str, seconds: f64) {
        if !self.holds {
            return;
        }
        self.own.0.ending(namespace, name, seconds, self.own.1);
        self.any.iter().for_each(|(any, extra)| any.ending(namespace, name, seconds, *extra));
    }

    /// See [`OfKind::ended`].
    pub fn ended(&self, namespace: &str, name: &str, seconds: f64) {
        self.own.0.ended(namespace, name, seconds, self.own.1);
        self.any.iter().for_each(|(any, extra)| any.ended(namespace, name, seconds, *extra));
    }
}

fn full<'a, const N: usize>(of: &Standing<'a>, extra: [&'a str; N]) -> Vec<&'a str> {
    [of.namespace, of.name, of.condition, of.status, of.reason].into_iter().chain(extra).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    #[test]
    fn an_object_is_told_of_under_its_kind_and_under_all_kinds() {
        let metrics = Metrics::new();
        let conditions = &metrics.conditions;
        let told = Told {
            own: (&conditions.nodepool, []),
            any: Some((&conditions.any, ["karpenter.sh", "NodePool"])),
            holds: true,
        };
        told.ending("", "general", 3.0);
        let text = metrics.render();
        assert!(text.contains("operator_nodepool_termination_current_time_seconds{name=\"general\",namespace=\"\"} 3"));
        let any = "operator_termination_current_time_seconds{group=\"karpenter.sh\",kind=\"NodePool\",name=\"general\",namespace=\"\"} 3";
        assert!(text.contains(any), "{text}");
        told.ended("", "general", 4.0);
        let text = metrics.render();
        assert!(!text.contains("current_time_seconds{"), "{text}");
        assert!(text.contains("operator_nodepool_termination_duration_seconds_sum 4"), "{text}");
    }

    #[test]
    fn a_condition_that_changes_leaves_no_series_of_its_old_status() {
        let metrics = Metrics::new();
        let claims = &metrics.conditions.nodeclaim;
        let extra = ["default", "general"];
        let before =
            Standing { namespace: "", name: "general-1", condition: "Ready", status: "Unknown", reason: "Waiting" };
        claims.stands(&before, 3.0, extra);
        let after = Standing { status: "True", reason: "Ready", ..before };
        claims.stands_no_more(&before, extra);
        claims.changed(&after, "Unknown", 3.0, extra);
        claims.stands(&after, 0.0, extra);
        let text = metrics.render();
        assert!(!text.contains("reason=\"Waiting\""), "{text}");
        let wanted = "operator_nodeclaim_status_condition_count{karpenter_kwok_sh_kwoknodeclass=\"default\",\
                      karpenter_sh_nodepool=\"general\",name=\"general-1\",namespace=\"\",reason=\"Ready\",\
                      status=\"True\",type=\"Ready\"} 1";
        assert!(text.contains(wanted), "{text}");
        assert!(text.contains("operator_nodeclaim_status_condition_transition_seconds_sum"), "{text}");
    }
}
