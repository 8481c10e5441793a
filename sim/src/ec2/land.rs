//! What an account has before anything is bought: zones, subnets, security groups, images.

use std::collections::{BTreeMap, BTreeSet};

use super::filter::{Filtered, Tags};
use crate::clock::Micros;

/// The one VPC.
pub const VPC: &str = "vpc-0a1b2c3d4e5f60718";
/// The account's number.
pub const ACCOUNT: &str = "123456789012";
/// EC2 keeps the first four addresses of a subnet and the last.
const KEPT: u32 = 5;
const KEPT_FIRST: u32 = 4;

/// An availability zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub name: String,
    /// The same for every account, such as `use1-az1`.
    pub id: String,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    pub id: String,
    pub zone: Zone,
    /// The second of the four numbers of its `10.x.0.0/…`.
    pub second: u8,
    /// Length of its prefix, from 16 to 28.
    pub prefix: u8,
    /// Addresses that others have: load balancers, pods, another cluster.
    pub used: u32,
    /// Addresses that our machines have, counted from the first.
    taken: BTreeSet<u32>,
    /// Which address is tried first, counted from the first.
    next_address: u32,
    pub maps_public_ip: bool,
    pub tags: Tags,
}

impl Subnet {
    /// Addresses that machines can have.
    pub fn size(&self) -> u32 {
        (1_u32 << (32 - u32::from(self.prefix))).saturating_sub(KEPT)
    }

    pub fn available(&self) -> u32 {
        self.size().saturating_sub(self.used).saturating_sub(u32::try_from(self.taken.len()).unwrap_or(u32::MAX))
    }

    pub fn cidr(&self) -> String {
        format!("10.{}.0.0/{}", self.second, self.prefix)
    }

    /// Takes so many addresses that nobody has; nothing if there are not so many.
    pub fn take(&mut self, n: usize) -> Option<Vec<String>> {
        if usize::try_from(self.available()).unwrap_or(0) < n {
            return None;
        }
        let (size, first) = (self.size(), self.next_address);
        let free = (0..size).map(|step| (first + step) % size).filter(|at| !self.taken.contains(at));
        let free: Vec<u32> = free.take(n).collect();
        if let Some(last) = free.last() {
            self.next_address = (last + 1) % size;
        }
        self.taken.extend(&free);
        Some(free.into_iter().map(|at| self.address(at)).collect())
    }

    /// Others can have these addresses now.
    pub fn give_back(&mut self, addresses: &[String]) {
        let taken = std::mem::take(&mut self.taken);
        self.taken = taken.into_iter().filter(|at| !addresses.contains(&self.address(*at))).collect();
    }

    fn address(&self, at: u32) -> String {
        let at = at + KEPT_FIRST;
        format!("10.{}.{}.{}", self.second, at / 256, at % 256)
    }
}

impl Filtered for Subnet {
    const FILTERS: &'static [&'static str] = &[
        "subnet-id",
        "vpc-id",
        "state",
        "availability-zone",
        "availabilityZone",
        "availability-zone-id",
        "availabilityZoneId",
        "available-ip-address-count",
        "cidr-block",
        "cidr",
        "cidrBlock",
        "map-public-ip-on-launch",
        "owner-id",
    ];

    fn values(&self, filter: &str) -> Option<Vec<String>> {
        Some(vec![match filter {
            "subnet-id" => self.id.clone(),
            "vpc-id" => VPC.to_owned(),
            "state" => "available".to_owned(),
            "availability-zone" | "availabilityZone" => self.zone.name.clone(),
            "availability-zone-id" | "availabilityZoneId" => self.zone.id.clone(),
            "available-ip-address-count" => self.available().to_string(),
            "cidr-block" | "cidr" | "cidrBlock" => self.cidr(),
            "map-public-ip-on-launch" => self.maps_public_ip.to_string(),
            "owner-id" => ACCOUNT.to_owned(),
            _ => return None,
        }])
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityGroup {
    pub id: String,
    pub name: String,
    pub tags: Tags,
}

impl Filtered for SecurityGroup {
    const FILTERS: &'static [&'static str] = &["group-id", "group-name", "vpc-id", "owner-id", "description"];

    fn values(&self, filter: &str) -> Option<Vec<String>> {
        Some(vec![match filter {
            "group-id" => self.id.clone(),
            "group-name" => self.name.clone(),
            "vpc-id" => VPC.to_owned(),
            "owner-id" => ACCOUNT.to_owned(),
            "description" => format!("{} of the simulation", self.name),
            _ => return None,
        }])
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

/// A machine image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub id: String,
    pub name: String,
    /// An account, and the name EC2 has for it (`amazon`), if any.
    pub owner: (String, Option<String>),
    /// `x86_64` or `arm64`.
    pub arch: String,
    /// Seconds since 1970.
    pub created: i64,
    pub deprecated: Option<i64>,
    pub root_device: String,
    pub tags: Tags,
}

impl Filtered for Image {
    const FILTERS: &'static [&'static str] = &[
        "image-id",
        "name",
        "architecture",
        "state",
        "owner-id",
        "owner-alias",
        "root-device-name",
        "root-device-type",
        "virtualization-type",
        "image-type",
        "is-public",
    ];

    fn values(&self, filter: &str) -> Option<Vec<String>> {
        Some(vec![match filter {
            "image-id" => self.id.clone(),
            "name" => self.name.clone(),
            "architecture" => self.arch.clone(),
            "state" => "available".to_owned(),
            "owner-id" => self.owner.0.clone(),
            "owner-alias" => return Some(self.owner.1.clone().into_iter().collect()),
            "root-device-name" => self.root_device.clone(),
            "root-device-type" => "ebs".to_owned(),
            "virtualization-type" => "hvm".to_owned(),
            "image-type" => "machine".to_owned(),
            "is-public" => self.owner.1.is_some().to_string(),
            _ => return None,
        }])
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

/// An instance profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// `/`, or `/a/b/`.
    pub path: String,
    /// At most one.
    pub role: Option<String>,
    pub tags: Tags,
    /// From when on EC2 knows it with its role, in microseconds since 1970.
    pub visible_at: Micros,
}

/// Profiles by name.
pub type Profiles = BTreeMap<String, Profile>;

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Land {
    pub zones: Vec<Zone>,
    pub subnets: BTreeMap<String, Subnet>,
    pub groups: BTreeMap<String, SecurityGroup>,
    pub images: BTreeMap<String, Image>,
    /// Instance profiles, which belong to IAM.
    pub profiles: Profiles,
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

impl Land {
    /// A subnet per zone and a group, both tagged `karpenter.sh/discovery` with the cluster's name; EKS' images of AL2023
    /// and Bottlerocket for each architecture and kind of accelerator; the profile `KarpenterNodeInstanceProfile-<cluster>`.
    pub fn of(region: &str, zones: &[String], cluster: &str) -> Self {
        let zones: Vec<Zone> =
            zones.iter().map(|name| Zone { name: name.clone(), id: zone_id(region, name) }).collect();
        let discovery = [("karpenter.sh/discovery", cluster)];
        let subnets = zones.iter().zip(0_u8..).map(|(zone, at)| {
            let id = format!("subnet-0{at:016x}");
            let subnet = Subnet {
                id: id.clone(),
                zone: zone.clone(),
                second: at,
                prefix: 18,
                used: 0,
                taken: BTreeSet::new(),
                next_address: 0,
                maps_public_ip: false,
                tags: tags(&discovery),
            };
            (id, subnet)
        });
        let subnets = subnets.collect();
        let group =
            |id: &str, name: String, tags: Tags| (id.to_owned(), SecurityGroup { id: id.to_owned(), name, tags });
        let groups = [
            group("sg-00000000000000001", format!("{cluster}-nodes"), tags(&discovery)),
            group("sg-00000000000000002", "default".to_owned(), Tags::new()),
        ];
        let role = Some(format!("KarpenterNodeRole-{cluster}"));
        let profile = Profile { path: "/".into(), role, tags: Tags::new(), visible_at: 0 };
        let profiles = [(format!("KarpenterNodeInstanceProfile-{cluster}"), profile)].into();
        let mut land = Self { zones, subnets, groups: groups.into_iter().collect(), images: BTreeMap::new(), profiles };
        land.add_images();
        land
    }

    fn add_images(&mut self) {
        for (arch, variant) in [
            ("x86_64", "standard"),
            ("x86_64", "nvidia"),
            ("x86_64", "neuron"),
            ("arm64", "standard"),
            ("arm64", "nvidia"),
        ] {
            let name = format!("amazon-eks-node-al2023-{arch}-{variant}-1.35-v20261105");
            self.add_image(&name, arch, "/dev/xvda");
        }
        for (arch, flavour) in [("x86_64", ""), ("arm64", ""), ("x86_64", "-nvidia"), ("arm64", "-nvidia")] {
            let name = format!("bottlerocket-aws-k8s-1.35{flavour}-{arch}-v1.50.0-abcdef01");
            self.add_image(&name, arch, "/dev/xvda");
        }
    }

    /// Adds an image of Amazon's, made on 5 November 2026; its id follows from its name.
    pub fn add_image(&mut self, name: &str, arch: &str, root_device: &str) -> String {
        let id = format!("ami-{:017x}", hash(name) >> 4);
        let image = Image {
            id: id.clone(),
            name: name.to_owned(),
            owner: ("602401143452".to_owned(), Some("amazon".to_owned())),
            arch: arch.to_owned(),
            created: 1_793_836_800,
            deprecated: None,
            root_device: root_device.to_owned(),
            tags: Tags::new(),
        };
        self.images.insert(id.clone(), image);
        id
    }

    pub fn image_named(&self, name: &str) -> Option<&Image> {
        self.images.values().find(|image| image.name == name)
    }
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A zone's id as an account might see it: the region's short name, and the letter's place.
fn zone_id(region: &str, zone: &str) -> String {
    let mut parts = region.split('-');
    let area = parts.next().unwrap_or_default();
    let side = parts.next().and_then(|side| side.chars().next()).map(String::from).unwrap_or_default();
    let number = parts.next().unwrap_or_default();
    let letter = zone.bytes().last().unwrap_or(b'a').saturating_sub(b'a');
    format!("{area}{side}{number}-az{}", letter + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_counts_its_addresses_down_and_up() {
        let mut land = Land::of("eu-west-1", &["eu-west-1a".to_owned()], "shop");
        let subnet = land.subnets.values_mut().next().unwrap();
        subnet.prefix = 28;
        assert_eq!((subnet.size(), subnet.available()), (11, 11));
        assert_eq!(subnet.take(2).unwrap(), ["10.0.0.4", "10.0.0.5"]);
        assert_eq!(subnet.available(), 9);
        subnet.give_back(&["10.0.0.4".to_owned()]);
        assert_eq!(subnet.available(), 10);
    }

    #[test]
    fn no_address_is_given_to_two_machines() {
        let mut land = Land::of("eu-west-1", &["eu-west-1a".to_owned()], "shop");
        let subnet = land.subnets.values_mut().next().unwrap();
        subnet.prefix = 28;
        let mut held = subnet.take(8).unwrap();
        // Those in the middle go; whoever comes goes round and past those that stay.
        subnet.give_back(&held.drain(2..6).collect::<Vec<_>>());
        held.extend(subnet.take(7).unwrap());
        let different: BTreeSet<&String> = held.iter().collect();
        assert_eq!((different.len(), held.len(), subnet.available()), (11, 11, 0));
        assert_eq!(subnet.take(1), None);
    }

    #[test]
    fn zones_have_ids_that_go_with_their_region() {
        let land = Land::of("us-west-2", &["us-west-2a".to_owned(), "us-west-2c".to_owned()], "shop");
        let ids: Vec<&str> = land.zones.iter().map(|zone| zone.id.as_str()).collect();
        assert_eq!(ids, ["usw2-az1", "usw2-az3"]);
    }

    #[test]
    fn images_have_ids_of_their_own() {
        let land = Land::of("us-west-2", &[], "shop");
        assert_eq!(land.images.len(), 9);
        assert!(land.image_named("amazon-eks-node-al2023-arm64-standard-1.35-v20261105").is_some());
    }
}
