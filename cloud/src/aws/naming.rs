//! Names of launch templates: one number for all that is in them, so that what is there under a name is what is wanted.

use serde_json::json;

use super::class::{Device, Metadata, NodeClass, Tracking};
use super::template::{Reservation, Template, fnv};
use crate::catalog::NetworkInterface;

/// What names of our templates begin with.
const PREFIX: &str = "karpenter.k8s.aws/";
/// Goes up when other templates are made of the same values: one that an earlier version made would be taken for ours.
const FORM: u32 = 1;

impl Template<'_> {
    /// The same for the same contents, on every machine and in every build.
    pub fn name(&self, region: &str) -> String {
        format!("{PREFIX}{}", fnv(&self.contents(region)))
    }

    /// All that a template is made from. Written out by us, because no library promises to print its types the same way
    /// tomorrow, and without `..`, so that a new field has to be decided on.
    fn contents(&self, region: &str) -> String {
        let Self { class, is_ipv6, image, user_data, n_efa, is_spot, tenancy, reservation, enclave, partition, tags } =
            self;
        let reservation = reservation.as_ref().map(|reservation| {
            let Reservation { id, is_block, is_interruptible } = reservation;
            json!([id, is_block, is_interruptible])
        });
        let own = json!([is_ipv6, image, user_data, n_efa, is_spot, tenancy, reservation, enclave, partition, tags]);
        json!([FORM, region, own, of_class(class)]).to_string()
    }
}

/// What of a class is in its templates. The rest goes into the user data, the tags or the call for a fleet.
fn of_class(class: &NodeClass) -> serde_json::Value {
    let NodeClass {
        name: _,
        family: _,
        images: _,
        subnets: _,
        security_groups,
        profile,
        user_data: _,
        tags: _,
        kubelet: _,
        kubelets: _,
        devices,
        raid0: _,
        interfaces,
        public_ip,
        ip_prefixes,
        detailed_monitoring,
        metadata: Metadata { endpoint, ipv6, hop_limit, tokens },
        tracking,
        nested_virtualization,
        context: _,
        placement_group,
        shuns_open_reservations,
    } = class;
    let groups: Vec<&str> = security_groups.iter().map(|group| &**group).collect();
    let devices = devices.iter().map(|device| {
        let Device {
            name,
            delete_on_termination,
            encrypted,
            iops,
            throughput,
            kms_key,
            snapshot,
            initialization_rate,
            gib,
            kind,
        } = device;
        json!([
            name,
            delete_on_termination,
            encrypted,
            iops,
            throughput,
            kms_key,
            snapshot,
            initialization_rate,
            gib,
            kind
        ])
    });
    let devices: Vec<_> = devices.collect();
    let interfaces = interfaces.iter().map(|interface| {
        let NetworkInterface { network_card, device, efa_only } = interface;
        json!([network_card, device, efa_only])
    });
    let interfaces: Vec<_> = interfaces.collect();
    let tracking = tracking.map(|tracking| {
        let Tracking { tcp_established, udp_stream, udp } = tracking;
        json!([tcp_established, udp_stream, udp])
    });
    json!([
        groups,
        profile,
        devices,
        interfaces,
        public_ip,
        ip_prefixes,
        detailed_monitoring,
        [json!(endpoint), json!(ipv6), json!(hop_limit), json!(tokens)],
        tracking,
        nested_virtualization,
        placement_group,
        shuns_open_reservations
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::class::{Image, Subnet};
    use super::super::scripted::class;
    use super::*;

    const REGION: &str = "us-west-2";

    /// A class that says something in every field that is in a template.
    fn full_class() -> NodeClass {
        let device = Device {
            name: "/dev/xvda".into(),
            delete_on_termination: Some(true),
            encrypted: Some(true),
            iops: Some(3000),
            throughput: Some(125),
            kms_key: Some("key".into()),
            snapshot: Some("snap-1".into()),
            initialization_rate: Some(100),
            gib: Some(20),
            kind: Some("gp3".into()),
        };
        NodeClass {
            security_groups: vec!["sg-1".into(), "sg-2".into()],
            profile: "nodes".into(),
            devices: vec![device],
            interfaces: vec![NetworkInterface { network_card: 0, device: 0, efa_only: false }],
            public_ip: Some(false),
            ip_prefixes: Some(1),
            detailed_monitoring: true,
            tracking: Some(Tracking { tcp_established: Some(60), udp_stream: Some(61), udp: Some(62) }),
            nested_virtualization: Some(true),
            placement_group: Some("pg-1".into()),
            shuns_open_reservations: true,
            ..class()
        }
    }

    fn full(class: &NodeClass) -> Template<'_> {
        Template {
            class,
            is_ipv6: true,
            image: "ami-1",
            user_data: "dGV4dA==".into(),
            n_efa: 2,
            is_spot: true,
            tenancy: "default".into(),
            reservation: Some(Reservation { id: "cr-1".into(), is_block: true, is_interruptible: false }),
            enclave: true,
            partition: Some(1),
            tags: [("team".to_owned(), "a".to_owned())].into(),
        }
    }

    fn plain(class: &NodeClass) -> Template<'_> {
        Template {
            is_ipv6: false,
            n_efa: 0,
            is_spot: false,
            reservation: None,
            enclave: false,
            partition: None,
            ..full(class)
        }
    }

    type Change<T> = fn(&mut T);

    #[test]
    fn every_value_that_is_in_a_template_changes_its_name() {
        let of_template: [Change<Template<'_>>; 12] = [
            |of| of.is_ipv6 = false,
            |of| of.image = "ami-2",
            |of| of.user_data = "b3RoZXI=".into(),
            |of| of.n_efa = 3,
            |of| of.is_spot = false,
            |of| of.tenancy = "dedicated".into(),
            |of| of.reservation = None,
            |of| of.reservation = Some(Reservation { id: "cr-2".into(), is_block: true, is_interruptible: false }),
            |of| of.reservation = Some(Reservation { id: "cr-1".into(), is_block: false, is_interruptible: false }),
            |of| of.reservation = Some(Reservation { id: "cr-1".into(), is_block: true, is_interruptible: true }),
            |of| of.enclave = false,
            |of| of.partition = Some(2),
        ];
        let of_tags: [Change<Template<'_>>; 3] = [
            |of| drop(of.tags.insert("team".into(), "b".into())),
            |of| drop(of.tags.insert("b".into(), "a".into())),
            |of| of.tags.clear(),
        ];
        let of_class: [Change<NodeClass>; 22] = [
            |of| of.shuns_open_reservations = false,
            |of| drop(of.security_groups.pop()),
            |of| of.security_groups = vec!["sg-1sg-2".into()],
            |of| of.profile = "others".into(),
            |of| of.devices.clear(),
            |of| of.interfaces.clear(),
            |of| of.interfaces[0].network_card = 1,
            |of| of.interfaces[0].device = 1,
            |of| of.interfaces[0].efa_only = true,
            |of| of.public_ip = None,
            |of| of.ip_prefixes = Some(2),
            |of| of.detailed_monitoring = false,
            |of| of.metadata.endpoint = false,
            |of| of.metadata.ipv6 = true,
            |of| of.metadata.hop_limit = 2,
            |of| of.metadata.tokens = "optional".into(),
            |of| of.tracking = None,
            |of| of.tracking = Some(Tracking { tcp_established: None, udp_stream: Some(61), udp: Some(62) }),
            |of| of.tracking = Some(Tracking { tcp_established: Some(60), udp_stream: Some(62), udp: Some(62) }),
            |of| of.tracking = Some(Tracking { tcp_established: Some(60), udp_stream: Some(61), udp: None }),
            |of| of.nested_virtualization = Some(false),
            |of| of.placement_group = None,
        ];
        let of_devices: [Change<Device>; 10] = [
            |of| of.name = "/dev/xvdb".into(),
            |of| of.delete_on_termination = None,
            |of| of.encrypted = None,
            |of| of.iops = None,
            |of| of.throughput = None,
            |of| of.kms_key = None,
            |of| of.snapshot = None,
            |of| of.initialization_rate = None,
            |of| of.gib = None,
            |of| of.kind = None,
        ];
        let base = full_class();
        let mut names = vec![full(&base).name(REGION), full(&base).name("us-iso-east-1")];
        for change in of_template.into_iter().chain(of_tags) {
            let mut template = full(&base);
            change(&mut template);
            names.push(template.name(REGION));
        }
        for change in of_class {
            let mut class = full_class();
            change(&mut class);
            names.push(full(&class).name(REGION));
        }
        for change in of_devices {
            let mut class = full_class();
            change(&mut class.devices[0]);
            names.push(full(&class).name(REGION));
        }
        let distinct: BTreeSet<&String> = names.iter().collect();
        assert_eq!((distinct.len(), names.len()), (49, 49));
    }

    #[test]
    fn what_is_in_no_template_leaves_its_name_as_it_is() {
        let changes: [Change<NodeClass>; 4] = [
            |of| of.images = vec![Image { is_deprecated: true, ..of.images[0].clone() }],
            |of| of.subnets = vec![Subnet { available: 0, ..of.subnets[0].clone() }],
            |of| of.context = Some("context".into()),
            |of| of.user_data = Some("in the user data of the template".into()),
        ];
        let name = full(&full_class()).name(REGION);
        for change in changes {
            let mut class = full_class();
            change(&mut class);
            assert_eq!(full(&class).name(REGION), name);
        }
    }

    /// One that changes makes every template anew. One that stays although templates change takes old ones for new: see FORM.
    #[test]
    fn a_name_is_the_same_in_every_build() {
        let (bare, all) = (class(), full_class());
        let with_efa = NodeClass { interfaces: Vec::new(), ..full_class() };
        let open = Reservation { id: "cr-1".into(), is_block: false, is_interruptible: true };
        let templates =
            [plain(&bare), full(&all), full(&with_efa), Template { reservation: Some(open), ..plain(&all) }];
        let known = [
            "karpenter.k8s.aws/9164344877151732696",
            "karpenter.k8s.aws/1483280948658828383",
            "karpenter.k8s.aws/11784094159826569936",
            "karpenter.k8s.aws/7424942424857610826",
        ];
        assert_eq!(templates.map(|template| template.name(REGION)), known);
    }
}
