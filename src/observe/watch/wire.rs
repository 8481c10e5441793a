//! Objects on their way from the API server into the mirror: read once, trimmed while they are read.

use std::borrow::Cow;
use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::DynamicResourceScope;
use planner::model::Str;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::super::k8s;
use super::super::mirror::{Both, Kind, Object};

/// Where a kind is served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Served {
    pub(super) kind: &'static str,
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) plural: &'static str,
}

/// A trimmed kind that can be watched.
pub(super) trait Watched: Sized + Clone + Debug + Send + 'static {
    const KIND: Kind;
    const SERVED: Served;
    fn meta(&self) -> &k8s::ObjectMeta;
    fn into_object(self) -> Object;
    /// Reads it. `managedFields` and everything else that is not wanted is skipped, not stored.
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;
}

/// An object with the little metadata that the client library asks for.
#[derive(Clone, Debug)]
pub(super) struct Wire<T> {
    pub(super) object: T,
    meta: ObjectMeta,
}

impl<'de, T: Watched> Deserialize<'de> for Wire<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let object = T::read(from)?;
        let own = object.meta();
        let text = |text: &Str| (!text.is_empty()).then(|| text.to_string());
        let meta = ObjectMeta {
            name: text(&own.name),
            namespace: text(&own.namespace),
            uid: text(&own.uid),
            resource_version: text(&own.resource_version),
            ..ObjectMeta::default()
        };
        Ok(Self { object, meta })
    }
}

impl<T: Watched> Resource for Wire<T> {
    type DynamicType = ();
    type Scope = DynamicResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        T::SERVED.kind.into()
    }
    fn group((): &()) -> Cow<'_, str> {
        T::SERVED.group.into()
    }
    fn version((): &()) -> Cow<'_, str> {
        T::SERVED.version.into()
    }
    fn plural((): &()) -> Cow<'_, str> {
        T::SERVED.plural.into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

/// Null fields count as not there, as for the API server.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

fn read_value<'de, T: DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let mut value = Value::deserialize(from)?;
    without_nulls(&mut value);
    serde_json::from_value(value).map_err(D::Error::custom)
}

/// Types that objects of our own API are read into.
impl<'de, Whole: DeserializeOwned, Trimmed: DeserializeOwned> Deserialize<'de> for Both<Whole, Trimmed> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(from)?;
        without_nulls(&mut value);
        let whole = Whole::deserialize(&value).map_err(D::Error::custom)?;
        let trimmed = serde_json::from_value(value).map_err(D::Error::custom)?;
        Ok(Self { whole, trimmed })
    }
}

macro_rules! watched {
    ($($variant:ident: $type:ty = $kind:literal $group:literal $version:literal $plural:literal, $meta:expr, $read:expr;)*) => {$(
        impl Watched for $type {
            const KIND: Kind = Kind::$variant;
            const SERVED: Served = Served { kind: $kind, group: $group, version: $version, plural: $plural };
            fn meta(&self) -> &k8s::ObjectMeta {
                let meta: fn(&Self) -> &k8s::ObjectMeta = $meta;
                meta(self)
            }
            fn into_object(self) -> Object {
                Object::$variant(Box::new(self))
            }
            fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $read(from)
            }
        }
    )*};
}

watched! {
    // Pods are many: read straight, without a tree in between.
    Pod: k8s::Pod = "Pod" "" "v1" "pods", |o| &o.metadata, Deserialize::deserialize;
    Node: k8s::Node = "Node" "" "v1" "nodes", |o| &o.metadata, read_value;
    NodeClaim: Both<crds::NodeClaim, k8s::NodeClaim> = "NodeClaim" "karpenter.sh" "v1" "nodeclaims", |o| &o.trimmed.metadata, Deserialize::deserialize;
    NodePool: Both<crds::NodePool, k8s::NodePool> = "NodePool" "karpenter.sh" "v1" "nodepools", |o| &o.trimmed.metadata, Deserialize::deserialize;
    Ec2NodeClass: Both<crds::Ec2NodeClass, k8s::Ec2NodeClass> = "EC2NodeClass" "karpenter.k8s.aws" "v1" "ec2nodeclasses", |o| &o.trimmed.metadata, Deserialize::deserialize;
    KwokNodeClass: Both<crds::KwokNodeClass, k8s::KwokNodeClass> = "KWOKNodeClass" "karpenter.kwok.sh" "v1alpha1" "kwoknodeclasses", |o| &o.trimmed.metadata, Deserialize::deserialize;
    NodeOverlay: k8s::NodeOverlay = "NodeOverlay" "karpenter.sh" "v1alpha1" "nodeoverlays", |o| &o.metadata, read_value;
    CapacityBuffer: k8s::CapacityBuffer = "CapacityBuffer" "autoscaling.x-k8s.io" "v1beta1" "capacitybuffers", |o| &o.metadata, read_value;
    DaemonSet: k8s::DaemonSet = "DaemonSet" "apps" "v1" "daemonsets", |o| &o.metadata, read_value;
    PodDisruptionBudget: k8s::PodDisruptionBudget = "PodDisruptionBudget" "policy" "v1" "poddisruptionbudgets", |o| &o.metadata, read_value;
    PersistentVolumeClaim: k8s::PersistentVolumeClaim = "PersistentVolumeClaim" "" "v1" "persistentvolumeclaims", |o| &o.metadata, read_value;
    PersistentVolume: k8s::PersistentVolume = "PersistentVolume" "" "v1" "persistentvolumes", |o| &o.metadata, read_value;
    StorageClass: k8s::StorageClass = "StorageClass" "storage.k8s.io" "v1" "storageclasses", |o| &o.metadata, read_value;
    CsiNode: k8s::CsiNode = "CSINode" "storage.k8s.io" "v1" "csinodes", |o| &o.metadata, read_value;
    VolumeAttachment: k8s::VolumeAttachment = "VolumeAttachment" "storage.k8s.io" "v1" "volumeattachments", |o| &o.metadata, read_value;
    Namespace: k8s::Namespace = "Namespace" "" "v1" "namespaces", |o| &o.metadata, read_value;
    PriorityClass: k8s::PriorityClass = "PriorityClass" "scheduling.k8s.io" "v1" "priorityclasses", |o| &o.metadata, read_value;
    RuntimeClass: k8s::RuntimeClass = "RuntimeClass" "node.k8s.io" "v1" "runtimeclasses", |o| &o.metadata, read_value;
    Service: k8s::Service = "Service" "" "v1" "services", |o| &o.metadata, read_value;
    PodTemplate: k8s::PodTemplate = "PodTemplate" "" "v1" "podtemplates", |o| &o.metadata, read_value;
}

/// Three kinds are read into the same trimmed type; each gets a name of its own.
macro_rules! workloads {
    ($($name:ident $plural:literal;)*) => {$(
        #[derive(Clone, Debug)]
        pub(super) struct $name(k8s::Workload);

        impl Watched for $name {
            const KIND: Kind = Kind::$name;
            const SERVED: Served = Served { kind: stringify!($name), group: "apps", version: "v1", plural: $plural };
            fn meta(&self) -> &k8s::ObjectMeta {
                &self.0.metadata
            }
            fn into_object(self) -> Object {
                Object::$name(Box::new(self.0))
            }
            fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                read_value(from).map(Self)
            }
        }
    )*};
}

workloads! {
    Deployment "deployments";
    ReplicaSet "replicasets";
    StatefulSet "statefulsets";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_with_its_version_and_without_its_managed_fields() {
        let json = r#"{"metadata":{"name":"a","namespace":"shop","resourceVersion":"7","uid":"u","creationTimestamp":null,
            "managedFields":[{"manager":"m","fieldsV1":{"f:spec":{"f:containers":{}}}}]},
            "spec":{"nodeName":"n","containers":[{"name":"c","env":[{"name":"A","value":"b"}]}]}}"#;
        let pod: Wire<k8s::Pod> = serde_json::from_str(json).unwrap();
        assert_eq!(pod.meta().resource_version.as_deref(), Some("7"));
        assert!(pod.meta().managed_fields.is_none());
        assert_eq!(&*pod.object.spec.node_name, "n");
        assert_eq!(Wire::<k8s::Pod>::url_path(&(), Some("shop")), "/api/v1/namespaces/shop/pods");
        assert_eq!(Wire::<k8s::CsiNode>::url_path(&(), None), "/apis/storage.k8s.io/v1/csinodes");
    }

    #[test]
    fn a_null_list_is_an_empty_one() {
        let json = r#"{"metadata":{"name":"n","resourceVersion":"1"},"spec":{"drivers":null}}"#;
        let node: Wire<k8s::CsiNode> = serde_json::from_str(json).unwrap();
        assert!(node.object.spec.drivers.is_empty());
    }

    #[test]
    fn an_object_of_ours_is_kept_whole_and_trimmed() {
        let json = r#"{"apiVersion":"karpenter.sh/v1","kind":"NodePool","metadata":{"name":"general","resourceVersion":"1"},
            "spec":{"weight":7,"template":{"spec":{"requirements":[],"nodeClassRef":{"group":"karpenter.kwok.sh","kind":"KWOKNodeClass","name":"default"},
            "expireAfter":"720h"}}}}"#;
        let pool: Wire<Both<crds::NodePool, k8s::NodePool>> = serde_json::from_str(json).unwrap();
        assert_eq!(pool.object.trimmed.spec.weight, Some(7));
        assert_eq!(pool.object.whole.spec.template.spec.expire_after, Some("720h".into()));
    }
}
