//! The drift hash of an `EC2NodeClass`, version v6: its static fields, the AMI family that follows from it, the
//! cluster's certificate and the kubelet settings. What selectors resolve to is compared by other means.

use serde_json::{Map, Value};

use crate::ec2_node_class::{
    AmiFamily, BlockDevice, BlockDeviceMapping, ConnectionTracking, CpuOptions, Ec2NodeClassSpec, InstanceStorePolicy,
    MetadataOptions, NetworkInterface, OnOff, PlacementGroupSelector, Tokens, VolumeType,
};

use super::{Struct, flag, int, long, map, set, text};

/// Which algorithm made a hash. Hashes of different versions are never compared.
pub const EC2_NODE_CLASS_HASH_VERSION: &str = "v6";

/// The value of the annotation `karpenter.k8s.aws/ec2nodeclass-hash`. The spec must have its defaults.
///
/// `ca_bundle` is the cluster's certificate in base64, empty if it is not known.
pub fn ec2_node_class(spec: &Ec2NodeClassSpec, ca_bundle: &str) -> String {
    let family = spec.resolved_ami_family().map_or("", AmiFamily::as_str);
    let kubelet = kubelet_json(spec.kubelet.as_ref());
    set([self::spec(spec), text(family), text(ca_bundle), text(&kubelet)]).to_string()
}

/// The kubelet settings as the hash sees them: compact JSON with sorted keys and Go's escapes, `null` if there are none.
pub fn kubelet_json(kubelet: Option<&Map<String, Value>>) -> String {
    let Some(fields) = kubelet.filter(|fields| !fields.is_empty()) else {
        return "null".to_owned();
    };
    let mut json = String::new();
    write_json(&Value::Object(fields.clone()), &mut json);
    json
}

fn write_json(value: &Value, into: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut entries: Vec<_> = fields.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            into.push('{');
            for (place, (key, field)) in entries.into_iter().enumerate() {
                if place > 0 {
                    into.push(',');
                }
                write_text(key, into);
                into.push(':');
                write_json(field, into);
            }
            into.push('}');
        }
        Value::Array(elements) => {
            into.push('[');
            for (place, element) in elements.iter().enumerate() {
                if place > 0 {
                    into.push(',');
                }
                write_json(element, into);
            }
            into.push(']');
        }
        Value::String(text) => write_text(text, into),
        Value::Null | Value::Bool(_) | Value::Number(_) => into.push_str(&value.to_string()),
    }
}

/// Go escapes what could be HTML or end a line in JavaScript; the rest is as `serde_json` writes it.
fn write_text(text: &str, into: &mut String) {
    for c in Value::from(text).to_string().chars() {
        match c {
            '<' => into.push_str("\\u003c"),
            '>' => into.push_str("\\u003e"),
            '&' => into.push_str("\\u0026"),
            '\u{2028}' => into.push_str("\\u2028"),
            '\u{2029}' => into.push_str("\\u2029"),
            other => into.push(other),
        }
    }
}

fn spec(spec: &Ec2NodeClassSpec) -> u64 {
    let raid0 = spec.instance_store_policy.map(|InstanceStorePolicy::Raid0| text("RAID0"));
    let devices = spec.block_device_mappings.as_ref().map(|all| set(all.iter().map(block_device_mapping)));
    let interfaces = spec.network_interfaces.as_ref().map(|all| set(all.iter().map(network_interface)));
    Struct::named("EC2NodeClassSpec")
        .field("PlacementGroupSelector", spec.placement_group_selector.as_ref().map(placement_group))
        .field("AssociatePublicIPAddress", spec.associate_public_ip_address.map(flag))
        .pointer_text("UserData", spec.user_data.as_deref())
        .plain_text("Role", spec.role.as_deref().unwrap_or_default())
        .pointer_text("InstanceProfile", spec.instance_profile.as_deref())
        .field("Tags", spec.tags.as_ref().map(map))
        .field("BlockDeviceMappings", devices)
        .field("InstanceStorePolicy", raid0)
        .field("NetworkInterfaces", interfaces)
        .field("DetailedMonitoring", spec.detailed_monitoring.map(flag))
        .field("MetadataOptions", spec.metadata_options.as_ref().map(metadata_options))
        .field("ConnectionTracking", spec.connection_tracking.as_ref().map(connection_tracking))
        .pointer_text("Context", spec.context.as_deref())
        .field("CPUOptions", spec.cpu_options.as_ref().map(cpu_options))
        .hash()
}

fn placement_group(selector: &PlacementGroupSelector) -> u64 {
    Struct::named("PlacementGroupSelector")
        .plain_text("Name", selector.name.as_deref().unwrap_or_default())
        .plain_text("ID", selector.id.as_deref().unwrap_or_default())
        .hash()
}

fn block_device_mapping(mapping: &BlockDeviceMapping) -> u64 {
    let is_root = mapping.root_volume.unwrap_or_default();
    Struct::named("BlockDeviceMapping")
        .pointer_text("DeviceName", mapping.device_name.as_deref())
        .field("EBS", mapping.ebs.as_ref().map(block_device))
        .field("RootVolume", is_root.then(|| flag(true)))
        .hash()
}

fn block_device(device: &BlockDevice) -> u64 {
    let size = device.volume_size.as_ref().map(|size| size.canonical().unwrap_or_else(|| size.0.clone()));
    Struct::named("BlockDevice")
        .field("DeleteOnTermination", device.delete_on_termination.map(flag))
        .field("Encrypted", device.encrypted.map(flag))
        .field("IOPS", device.iops.map(long))
        .pointer_text("KMSKeyID", device.kms_key_id.as_deref())
        .pointer_text("SnapshotID", device.snapshot_id.as_deref())
        .field("Throughput", device.throughput.map(long))
        .field("VolumeInitializationRate", device.volume_initialization_rate.map(int))
        .pointer_text("VolumeSize", size.as_deref())
        .pointer_text("VolumeType", device.volume_type.map(VolumeType::as_str))
        .hash()
}

fn network_interface(interface: &NetworkInterface) -> u64 {
    let number = |value: i32| (value != 0).then(|| int(value));
    Struct::named("NetworkInterface")
        .field("NetworkCardIndex", number(interface.network_card_index))
        .field("DeviceIndex", number(interface.device_index))
        .plain_text("InterfaceType", interface.interface_type.as_str())
        .hash()
}

fn metadata_options(options: &MetadataOptions) -> u64 {
    Struct::named("MetadataOptions")
        .pointer_text("HTTPEndpoint", options.http_endpoint.map(OnOff::as_str))
        .pointer_text("HTTPProtocolIPv6", options.http_protocol_ipv6.map(OnOff::as_str))
        .field("HTTPPutResponseHopLimit", options.http_put_response_hop_limit.map(long))
        .pointer_text("HTTPTokens", options.http_tokens.map(Tokens::as_str))
        .hash()
}

fn connection_tracking(tracking: &ConnectionTracking) -> u64 {
    Struct::named("ConnectionTracking")
        .field("TCPEstablishedTimeout", tracking.tcp_established_timeout.map(int))
        .field("UDPStreamTimeout", tracking.udp_stream_timeout.map(int))
        .field("UDPTimeout", tracking.udp_timeout.map(int))
        .hash()
}

fn cpu_options(options: &CpuOptions) -> u64 {
    Struct::named("CPUOptions")
        .pointer_text("NestedVirtualization", options.nested_virtualization.map(OnOff::as_str))
        .hash()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The base of the published vectors; its AMI family is Custom.
    fn base() -> Value {
        json!({
            "amiFamily": "Custom",
            "role": "role-1",
            "tags": { "keyTag-1": "valueTag-1", "keyTag-2": "valueTag-2" },
            "context": "fake-context",
            "detailedMonitoring": false,
            "associatePublicIPAddress": false,
            "metadataOptions": {
                "httpEndpoint": "disabled",
                "httpProtocolIPv6": "disabled",
                "httpPutResponseHopLimit": 1,
                "httpTokens": "optional"
            },
            "blockDeviceMappings": [
                {
                    "deviceName": "map-device-1",
                    "rootVolume": false,
                    "ebs": {
                        "deleteOnTermination": false,
                        "encrypted": false,
                        "iops": 0,
                        "kmsKeyID": "fakeKMSKeyID",
                        "snapshotID": "fakeSnapshot",
                        "throughput": 0,
                        "volumeSize": "2G",
                        "volumeType": "standard"
                    }
                },
                { "deviceName": "map-device-2" }
            ],
            "userData": "userdata-test-1"
        })
    }

    fn hash(spec: Value) -> String {
        ec2_node_class(&serde_json::from_value(spec).unwrap(), "test-ca-bundle")
    }

    #[test]
    fn the_hash_is_bit_for_bit_that_of_version_six() {
        let vectors = [
            ("/associatePublicIPAddress", json!(true), "16141801171825097963"),
            ("/blockDeviceMappings/0/deviceName", json!("map-device-test-3"), "8979166653850509463"),
            ("/blockDeviceMappings/0/ebs/encrypted", json!(true), "5252376125396833097"),
            ("/blockDeviceMappings/0/ebs/kmsKeyID", json!("test"), "1488385067008138755"),
            ("/blockDeviceMappings/0/ebs/throughput", json!(10), "1873429003468556999"),
            ("/blockDeviceMappings/0/ebs/volumeType", json!("io1"), "6743466905516550702"),
            ("/connectionTracking", json!({ "tcpEstablishedTimeout": 300 }), "1619669030802245540"),
            ("/connectionTracking", json!({ "udpTimeout": 45 }), "17941926745862994490"),
            ("/cpuOptions", json!({ "nestedVirtualization": "enabled" }), "6157846767212910604"),
            ("/instanceStorePolicy", json!("RAID0"), "16697988646989909967"),
            ("/metadataOptions/httpProtocolIPv6", json!("enabled"), "1581716956216772561"),
            ("/metadataOptions/httpTokens", json!("required"), "1346719102507290084"),
            ("/tags/keyTag-test-3", json!("valueTag-test-3"), "9327338697296909506"),
        ];
        for (path, value, expected) in vectors {
            let mut spec = base();
            let (parent, field) = path.rsplit_once('/').unwrap();
            spec.pointer_mut(parent).unwrap()[field] = value;
            assert_eq!(hash(spec), expected, "{path}");
        }
    }

    #[test]
    fn what_selectors_say_is_not_part_of_the_hash() {
        let mut spec = base();
        spec["subnetSelectorTerms"] = json!([{ "id": "subnet-1" }]);
        spec["ipPrefixCount"] = json!(3);
        spec["amiSelectorTerms"] = json!([{ "alias": "al2023@latest" }]);
        assert_eq!(hash(spec), hash(base()), "amiFamily Custom wins over the alias");
    }

    #[test]
    fn the_family_of_an_alias_counts_like_the_family_itself() {
        let with = |terms: Value, family: Value| {
            let mut spec = base();
            spec["amiSelectorTerms"] = terms;
            spec["amiFamily"] = family;
            hash(spec)
        };
        let by_alias = with(json!([{ "alias": "al2023@latest" }]), Value::Null);
        assert_eq!(by_alias, with(json!([{ "id": "ami-1" }]), json!("AL2023")));
        assert_ne!(by_alias, hash(base()));
    }

    #[test]
    fn volume_sizes_are_compared_in_canonical_form() {
        let with = |size: &str| {
            let mut spec = base();
            spec["blockDeviceMappings"][0]["ebs"]["volumeSize"] = json!(size);
            hash(spec)
        };
        assert_eq!(with("1024Gi"), with("1Ti"));
        assert_ne!(with("1T"), with("1Ti"));
    }

    #[test]
    fn kubelet_settings_are_hashed_as_sorted_json() {
        let kubelet = json!({ "maxPods": "max(1 < 2, \"&\")", "clusterDNS": ["10.0.0.1"], "b": { "z": 1, "a": null } });
        let expected = r#"{"b":{"a":null,"z":1},"clusterDNS":["10.0.0.1"],"maxPods":"max(1 \u003c 2, \"\u0026\")"}"#;
        assert_eq!(kubelet_json(kubelet.as_object()), expected);
        assert_eq!(kubelet_json(None), "null");
        assert_eq!(kubelet_json(json!({}).as_object()), "null");
    }
}
