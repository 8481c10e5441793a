//! The fields of a kubelet's configuration and what each holds: `spec.kubelet` takes no others.
//!
//! `kubelet.config.k8s.io/v1beta1`, <https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/>.

use serde_json::{Map, Value};

use super::Fault;

/// What a field holds.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Bool,
    Text,
    /// Between these, both included.
    Whole(i64, i64),
    Number,
    /// A Go duration, such as `1m30s`.
    Span,
    /// A duration, or whole nanoseconds.
    SpanOrWhole,
    /// A quantity, as text or as a number.
    Quantity,
    List(&'static Self),
    /// Any keys, values of one shape.
    MapOf(&'static Self),
    Object(&'static [Field]),
}

type Field = (&'static str, Shape);

use Shape::{Bool, List, MapOf, Number, Object, Quantity, Span, SpanOrWhole, Text, Whole};

const I32: Shape = Whole(i32::MIN as i64, i32::MAX as i64);
const I64: Shape = Whole(i64::MIN, i64::MAX);
const TEXTS: Shape = List(&Text);
const TEXT_BY_NAME: Shape = MapOf(&Text);

const AUTHENTICATION: Shape = Object(&[
    ("x509", Object(&[("clientCAFile", Text)])),
    ("webhook", Object(&[("enabled", Bool), ("cacheTTL", Span)])),
    ("anonymous", Object(&[("enabled", Bool)])),
]);
const AUTHORIZATION: Shape =
    Object(&[("mode", Text), ("webhook", Object(&[("cacheAuthorizedTTL", Span), ("cacheUnauthorizedTTL", Span)]))]);
const ROUTING: Shape = Object(&[("splitStream", Bool), ("infoBufferSize", Quantity)]);
const LOGGING: Shape = Object(&[
    ("format", Text),
    ("flushFrequency", SpanOrWhole),
    ("verbosity", Whole(0, u32::MAX as i64)),
    ("vmodule", List(&Object(&[("filePattern", Text), ("verbosity", Whole(0, u32::MAX as i64))]))),
    ("options", Object(&[("text", ROUTING), ("json", ROUTING)])),
]);
const TAINT: Shape = Object(&[("key", Text), ("value", Text), ("effect", Text), ("timeAdded", Text)]);

/// By name.
const FIELDS: &[Field] = &[
    ("address", Text),
    ("allowedUnsafeSysctls", TEXTS),
    ("apiVersion", Text),
    ("authentication", AUTHENTICATION),
    ("authorization", AUTHORIZATION),
    ("cgroupDriver", Text),
    ("cgroupRoot", Text),
    ("cgroupsPerQOS", Bool),
    ("clusterDNS", TEXTS),
    ("clusterDomain", Text),
    ("configMapAndSecretChangeDetectionStrategy", Text),
    ("containerLogMaxFiles", I32),
    ("containerLogMaxSize", Text),
    ("containerLogMaxWorkers", I32),
    ("containerLogMonitorInterval", Span),
    ("containerRuntimeEndpoint", Text),
    ("contentType", Text),
    ("cpuCFSQuota", Bool),
    ("cpuCFSQuotaPeriod", Span),
    ("cpuManagerPolicy", Text),
    ("cpuManagerPolicyOptions", TEXT_BY_NAME),
    ("cpuManagerReconcilePeriod", Span),
    ("crashLoopBackOff", Object(&[("maxContainerRestartPeriod", Span)])),
    ("enableContentionProfiling", Bool),
    ("enableControllerAttachDetach", Bool),
    ("enableDebugFlagsHandler", Bool),
    ("enableDebuggingHandlers", Bool),
    ("enableProfilingHandler", Bool),
    ("enableServer", Bool),
    ("enableSystemLogHandler", Bool),
    ("enableSystemLogQuery", Bool),
    ("enforceNodeAllocatable", TEXTS),
    ("eventBurst", I32),
    ("eventRecordQPS", I32),
    ("evictionHard", TEXT_BY_NAME),
    ("evictionMaxPodGracePeriod", I32),
    ("evictionMinimumReclaim", TEXT_BY_NAME),
    ("evictionPressureTransitionPeriod", Span),
    ("evictionSoft", TEXT_BY_NAME),
    ("evictionSoftGracePeriod", TEXT_BY_NAME),
    ("failCgroupV1", Bool),
    ("failSwapOn", Bool),
    ("featureGates", MapOf(&Bool)),
    ("fileCheckFrequency", Span),
    ("hairpinMode", Text),
    ("healthzBindAddress", Text),
    ("healthzPort", I32),
    ("httpCheckFrequency", Span),
    ("imageGCHighThresholdPercent", I32),
    ("imageGCLowThresholdPercent", I32),
    ("imageMaximumGCAge", Span),
    ("imageMinimumGCAge", Span),
    ("imagePullCredentialsVerificationPolicy", Text),
    ("imageServiceEndpoint", Text),
    ("iptablesDropBit", I32),
    ("iptablesMasqueradeBit", I32),
    ("kernelMemcgNotification", Bool),
    ("kind", Text),
    ("kubeAPIBurst", I32),
    ("kubeAPIQPS", I32),
    ("kubeReserved", TEXT_BY_NAME),
    ("kubeReservedCgroup", Text),
    ("kubeletCgroups", Text),
    ("localStorageCapacityIsolation", Bool),
    ("logging", LOGGING),
    ("makeIPTablesUtilChains", Bool),
    ("maxOpenFiles", I64),
    ("maxParallelImagePulls", I32),
    ("maxPods", I32),
    ("memoryManagerPolicy", Text),
    ("memoryReservationPolicy", Text),
    ("memorySwap", Object(&[("swapBehavior", Text)])),
    ("memoryThrottlingFactor", Number),
    ("mergeDefaultEvictionSettings", Bool),
    ("nodeLeaseDurationSeconds", I32),
    ("nodeStatusMaxImages", I32),
    ("nodeStatusReportFrequency", Span),
    ("nodeStatusUpdateFrequency", Span),
    ("oomScoreAdj", I32),
    ("podCIDR", Text),
    ("podLogsDir", Text),
    ("podPidsLimit", I64),
    ("podsPerCore", I32),
    ("port", I32),
    ("preloadedImagesVerificationAllowlist", TEXTS),
    ("protectKernelDefaults", Bool),
    ("providerID", Text),
    ("qosReserved", TEXT_BY_NAME),
    ("readOnlyPort", I32),
    ("registerNode", Bool),
    ("registerWithTaints", List(&TAINT)),
    ("registryBurst", I32),
    ("registryPullQPS", I32),
    ("reservedMemory", List(&Object(&[("numaNode", I32), ("limits", MapOf(&Quantity))]))),
    ("reservedSystemCPUs", Text),
    ("resolvConf", Text),
    ("rotateCertificates", Bool),
    ("runOnce", Bool),
    ("runtimeRequestTimeout", Span),
    ("seccompDefault", Bool),
    ("serializeImagePulls", Bool),
    ("serverTLSBootstrap", Bool),
    ("showHiddenMetricsForVersion", Text),
    ("shutdownGracePeriod", Span),
    ("shutdownGracePeriodByPodPriority", List(&Object(&[("priority", I32), ("shutdownGracePeriodSeconds", I64)]))),
    ("shutdownGracePeriodCriticalPods", Span),
    ("singleProcessOOMKill", Bool),
    ("staticPodPath", Text),
    ("staticPodURL", Text),
    ("staticPodURLHeader", MapOf(&TEXTS)),
    ("streamingConnectionIdleTimeout", Span),
    ("syncFrequency", Span),
    ("systemCgroups", Text),
    ("systemReserved", TEXT_BY_NAME),
    ("systemReservedCgroup", Text),
    ("tlsCertFile", Text),
    ("tlsCipherSuites", TEXTS),
    ("tlsCurvePreferences", List(&I32)),
    ("tlsMinVersion", Text),
    ("tlsPrivateKeyFile", Text),
    ("topologyManagerPolicy", Text),
    ("topologyManagerPolicyOptions", TEXT_BY_NAME),
    ("topologyManagerScope", Text),
    ("tracing", Object(&[("endpoint", Text), ("samplingRatePerMillion", I32)])),
    ("userNamespaces", Object(&[("idsPerPod", I64)])),
    ("volumePluginDir", Text),
    ("volumeStatsAggPeriod", Span),
];

/// The first field that no kubelet has, or that does not hold what it should.
pub(super) fn fault(kubelet: &Map<String, Value>) -> Option<Fault> {
    object(kubelet, FIELDS, "kubelet")
}

fn object(of: &Map<String, Value>, fields: &[Field], path: &str) -> Option<Fault> {
    of.iter().find_map(|(name, value)| {
        let path = format!("{path}.{name}");
        match fields.iter().find(|(field, _)| field == name) {
            Some((_, shape)) => shape.fault(value, &path),
            None => Some(Fault::invalid(
                path,
                "is no field of a kubelet's configuration",
                "correct the name, or take the field out",
            )),
        }
    })
}

impl Shape {
    fn fault(&self, value: &Value, path: &str) -> Option<Fault> {
        if value.is_null() {
            return None;
        }
        let is_whole = || value.as_i64().is_some();
        let is_span = || value.as_str().is_some_and(|text| crds::Duration::from(text).nanos().is_some());
        let is_quantity = |text: &str| planner::model::Quantity::parse(text).is_ok();
        let fits = match self {
            Bool => value.is_boolean(),
            Text => value.is_string(),
            Whole(least, most) => value.as_i64().is_some_and(|n| (*least..=*most).contains(&n)),
            Number => value.is_number(),
            Span => is_span(),
            SpanOrWhole => is_span() || is_whole(),
            Quantity => value.is_number() || value.as_str().is_some_and(is_quantity),
            List(shape) => match value.as_array() {
                Some(all) => {
                    let mut faults = all.iter().enumerate();
                    return faults.find_map(|(at, one)| shape.fault(one, &format!("{path}[{at}]")));
                }
                None => false,
            },
            MapOf(shape) => match value.as_object() {
                Some(all) => {
                    let mut faults = all.iter();
                    return faults.find_map(|(key, one)| shape.fault(one, &format!("{path}[{key}]")));
                }
                None => false,
            },
            Object(fields) => match value.as_object() {
                Some(of) => return object(of, fields, path),
                None => false,
            },
        };
        (!fits).then(|| Fault::invalid(path, format!("is {value}"), format!("write {}", self.words())))
    }

    /// What to write.
    fn words(&self) -> String {
        match self {
            Bool => "true or false".to_owned(),
            Text => "text".to_owned(),
            Whole(i64::MIN, i64::MAX) => "a whole number".to_owned(),
            Whole(least, most) => format!("a whole number from {least} to {most}"),
            Number => "a number".to_owned(),
            Span | SpanOrWhole => "a duration such as 1m30s".to_owned(),
            Quantity => "a quantity such as 1Gi".to_owned(),
            List(_) => "a list".to_owned(),
            MapOf(_) | Object(_) => "a map".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(kubelet: &Value) -> Option<String> {
        fault(kubelet.as_object().unwrap()).map(|fault| fault.to_string())
    }

    #[test]
    fn the_fields_are_there_once_and_in_order() {
        assert!(FIELDS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn what_a_kubelet_knows_is_taken_and_anything_else_is_named_with_its_place() {
        for good in [
            json!({}),
            json!({ "memoryReservationPolicy": "TieredReservation", "cpuCFSQuota": false, "syncFrequency": "1m30s", "podPidsLimit": -1, "memoryThrottlingFactor": 0.9 }),
            json!({ "logging": { "flushFrequency": 5, "vmodule": [{ "filePattern": "a", "verbosity": 2 }] }, "tracing": null }),
            json!({ "reservedMemory": [{ "numaNode": 0, "limits": { "memory": "1Gi", "hugepages-2Mi": 0 } }] }),
            json!({ "staticPodURLHeader": { "a": ["b"] }, "featureGates": { "Foo": true } }),
        ] {
            assert_eq!(told(&good), None, "{good}");
        }
        for (bad, want) in [
            (
                json!({ "maxPod": 3 }),
                "kubelet.maxPod is no field of a kubelet's configuration: correct the name, or take the field out",
            ),
            (json!({ "maxPods": 3.5 }), "kubelet.maxPods is 3.5: write a whole number from -2147483648 to 2147483647"),
            (json!({ "cpuCFSQuota": "false" }), "kubelet.cpuCFSQuota is \"false\": write true or false"),
            (json!({ "syncFrequency": 60 }), "kubelet.syncFrequency is 60: write a duration such as 1m30s"),
            (json!({ "kubeReserved": { "cpu": 1 } }), "kubelet.kubeReserved[cpu] is 1: write text"),
            (json!({ "clusterDNS": "10.0.0.10" }), "kubelet.clusterDNS is \"10.0.0.10\": write a list"),
            (
                json!({ "authentication": { "webhook": { "ttl": "1s" } } }),
                "kubelet.authentication.webhook.ttl is no field of a kubelet's configuration: correct the name, or take the field \
                 out",
            ),
            (
                json!({ "reservedMemory": [{ "limits": { "memory": "much" } }] }),
                "kubelet.reservedMemory[0].limits[memory] is \"much\": write a quantity such as 1Gi",
            ),
        ] {
            assert_eq!(told(&bad).as_deref(), Some(want));
        }
    }
}
