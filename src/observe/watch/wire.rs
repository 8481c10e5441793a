//! Objects on their way from the API server into the mirror: read once, trimmed while they are read.
//!
//! All kinds but pods go through a tree of JSON and share one watcher, since a watcher of its own for each would make the
//! program a tenth larger.

use std::borrow::Cow;
use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::DynamicResourceScope;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Error, Value};

use super::super::k8s;
use super::super::mirror::{Both, Kind, Object};
use super::super::objects::drop_nulls;

/// Where a kind is served, and how it is read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    group: &'static str,
    version: &'static str,
    pub(super) plural: &'static str,
    /// `managedFields` and everything else that is not wanted is skipped, not stored.
    read: fn(Value) -> Result<Object, Error>,
}

/// What a watcher can be of.
pub(super) trait Watched:
    Resource<DynamicType = &'static Source> + DeserializeOwned + Clone + Debug + Send + 'static
{
    fn into_object(self, source: &Source) -> Result<Object, Error>;
}

/// A pod with the little metadata that the client library asks for. Pods are many: read straight, without a tree between.
#[derive(Clone, Debug)]
pub(super) struct PodWire {
    object: k8s::Pod,
    meta: ObjectMeta,
}

/// Any other object.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    value: Value,
    meta: ObjectMeta,
}

fn meta(name: &str, namespace: &str, uid: &str, version: &str) -> ObjectMeta {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    ObjectMeta {
        name: text(name),
        namespace: text(namespace),
        uid: text(uid),
        resource_version: text(version),
        ..ObjectMeta::default()
    }
}

impl<'de> Deserialize<'de> for PodWire {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let object = k8s::Pod::deserialize(from)?;
        let own = &object.metadata;
        let meta = meta(&own.name, &own.namespace, &own.uid, &own.resource_version);
        Ok(Self { object, meta })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        let text = |field: &str| value["metadata"][field].as_str().unwrap_or_default();
        let meta = meta(text("name"), text("namespace"), text("uid"), text("resourceVersion"));
        Ok(Self { value, meta })
    }
}

impl Watched for PodWire {
    fn into_object(self, _: &Source) -> Result<Object, Error> {
        Ok(Object::Pod(Box::new(self.object)))
    }
}

impl Watched for Tree {
    fn into_object(mut self, source: &Source) -> Result<Object, Error> {
        drop_nulls(&mut self.value);
        (source.read)(self.value)
    }
}

macro_rules! resource {
    ($($type:ident)*) => {$(
        impl Resource for $type {
            type DynamicType = &'static Source;
            type Scope = DynamicResourceScope;

            fn kind(source: &&'static Source) -> Cow<'static, str> {
                source.name.into()
            }
            fn group(source: &&'static Source) -> Cow<'static, str> {
                source.group.into()
            }
            fn version(source: &&'static Source) -> Cow<'static, str> {
                source.version.into()
            }
            fn plural(source: &&'static Source) -> Cow<'static, str> {
                source.plural.into()
            }
            fn meta(&self) -> &ObjectMeta {
                &self.meta
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.meta
            }
        }
    )*};
}

resource! { PodWire Tree }

fn read<T: DeserializeOwned>(value: Value, object: fn(Box<T>) -> Object) -> Result<Object, Error> {
    Ok(object(Box::new(serde_json::from_value(value)?)))
}

/// Objects of our own API are kept whole as well.
fn both<Whole: DeserializeOwned, Trimmed: DeserializeOwned>(
    value: Value,
    object: fn(Box<Both<Whole, Trimmed>>) -> Object,
) -> Result<Object, Error> {
    let whole = Whole::deserialize(&value)?;
    let trimmed = serde_json::from_value(value)?;
    Ok(object(Box::new(Both { whole, trimmed })))
}

macro_rules! sources {
    ($($variant:ident $read:ident = $kind:literal $group:literal $version:literal $plural:literal;)*) => {
        /// Where objects of this kind come from.
        pub(super) fn source(kind: Kind) -> &'static Source {
            match kind {
                $(Kind::$variant => {
                    static SOURCE: Source = Source {
                        kind: Kind::$variant,
                        name: $kind,
                        group: $group,
                        version: $version,
                        plural: $plural,
                        read: |value| $read(value, Object::$variant),
                    };
                    &SOURCE
                })*
            }
        }
    };
}

sources! {
    Pod read = "Pod" "" "v1" "pods";
    Node read = "Node" "" "v1" "nodes";
    NodeClaim both = "NodeClaim" "karpenter.sh" "v1" "nodeclaims";
    NodePool both = "NodePool" "karpenter.sh" "v1" "nodepools";
    Ec2NodeClass both = "EC2NodeClass" "karpenter.k8s.aws" "v1" "ec2nodeclasses";
    KwokNodeClass both = "KWOKNodeClass" "karpenter.kwok.sh" "v1alpha1" "kwoknodeclasses";
    NodeOverlay read = "NodeOverlay" "karpenter.sh" "v1alpha1" "nodeoverlays";
    CapacityBuffer read = "CapacityBuffer" "autoscaling.x-k8s.io" "v1beta1" "capacitybuffers";
    DaemonSet read = "DaemonSet" "apps" "v1" "daemonsets";
    PodDisruptionBudget read = "PodDisruptionBudget" "policy" "v1" "poddisruptionbudgets";
    PersistentVolumeClaim read = "PersistentVolumeClaim" "" "v1" "persistentvolumeclaims";
    PersistentVolume read = "PersistentVolume" "" "v1" "persistentvolumes";
    StorageClass read = "StorageClass" "storage.k8s.io" "v1" "storageclasses";
    CsiNode read = "CSINode" "storage.k8s.io" "v1" "csinodes";
    VolumeAttachment read = "VolumeAttachment" "storage.k8s.io" "v1" "volumeattachments";
    Namespace read = "Namespace" "" "v1" "namespaces";
    PriorityClass read = "PriorityClass" "scheduling.k8s.io" "v1" "priorityclasses";
    RuntimeClass read = "RuntimeClass" "node.k8s.io" "v1" "runtimeclasses";
    Service read = "Service" "" "v1" "services";
    PodTemplate read = "PodTemplate" "" "v1" "podtemplates";
    Deployment read = "Deployment" "apps" "v1" "deployments";
    ReplicaSet read = "ReplicaSet" "apps" "v1" "replicasets";
    StatefulSet read = "StatefulSet" "apps" "v1" "statefulsets";
    ReplicationController read = "ReplicationController" "" "v1" "replicationcontrollers";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_tree(kind: Kind, json: &str) -> Object {
        let tree: Tree = serde_json::from_str(json).unwrap();
        tree.into_object(source(kind)).unwrap()
    }

    #[test]
    fn an_object_is_read_with_its_version_and_without_its_managed_fields() {
        let json = r#"{"metadata":{"name":"a","namespace":"shop","resourceVersion":"7","uid":"u","creationTimestamp":null,
            "managedFields":[{"manager":"m","fieldsV1":{"f:spec":{"f:containers":{}}}}]},
            "spec":{"nodeName":"n","containers":[{"name":"c","env":[{"name":"A","value":"b"}]}]}}"#;
        let pod: PodWire = serde_json::from_str(json).unwrap();
        assert_eq!(pod.meta().resource_version.as_deref(), Some("7"));
        assert!(pod.meta().managed_fields.is_none());
        assert_eq!(&*pod.object.spec.node_name, "n");
        assert_eq!(PodWire::url_path(&source(Kind::Pod), Some("shop")), "/api/v1/namespaces/shop/pods");
        assert_eq!(Tree::url_path(&source(Kind::CsiNode), None), "/apis/storage.k8s.io/v1/csinodes");
    }

    #[test]
    fn an_object_that_cannot_be_read_keeps_its_name_for_the_message() {
        let json = r#"{"metadata":{"name":"general","resourceVersion":"1"},"spec":{"weight":"heavy"}}"#;
        let tree: Tree = serde_json::from_str(json).unwrap();
        assert_eq!(tree.meta().name.as_deref(), Some("general"));
        assert!(tree.into_object(source(Kind::NodePool)).is_err());
    }

    #[test]
    fn a_null_list_is_an_empty_one() {
        let json = r#"{"metadata":{"name":"n","resourceVersion":"1"},"spec":{"drivers":null}}"#;
        let Object::CsiNode(node) = read_tree(Kind::CsiNode, json) else { panic!("another kind") };
        assert!(node.spec.drivers.is_empty());
    }

    #[test]
    fn an_object_of_ours_is_kept_whole_and_trimmed() {
        let json = r#"{"apiVersion":"karpenter.sh/v1","kind":"NodePool","metadata":{"name":"general","resourceVersion":"1"},
            "spec":{"weight":7,"template":{"spec":{"requirements":[],"nodeClassRef":{"group":"karpenter.kwok.sh","kind":"KWOKNodeClass","name":"default"},
            "expireAfter":"720h"}}}}"#;
        let Object::NodePool(pool) = read_tree(Kind::NodePool, json) else { panic!("another kind") };
        assert_eq!(pool.trimmed.spec.weight, Some(7));
        assert_eq!(pool.whole.spec.template.spec.expire_after, Some("720h".into()));
    }
}
