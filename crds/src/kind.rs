//! The kinds of the API, and the CRD of each: committed YAML that is built into the program.

use std::fmt;
use std::sync::LazyLock;

use serde_json::Value;

/// A kind of object that the program knows in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    NodePool,
    NodeClaim,
    NodeOverlay,
    Ec2NodeClass,
    KwokNodeClass,
    CapacityBuffer,
}

/// A CRD, its names read out of the YAML.
#[derive(Clone, Debug)]
pub struct Crd {
    pub kind: Kind,
    /// `<plural>.<group>`.
    pub name: String,
    pub group: String,
    pub version: String,
    pub plural: String,
    pub is_namespaced: bool,
    /// The file as it is committed.
    pub yaml: &'static str,
    /// The whole `CustomResourceDefinition`.
    pub definition: Value,
    /// Its `openAPIV3Schema`.
    pub schema: Value,
}

/// What an object's `apiVersion` and `kind` mean to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    Known(Kind),
    /// The kind is ours, but not in this version; the one that is served.
    Unserved {
        served: &'static str,
    },
    Foreign,
}

impl Kind {
    /// All kinds, in the order in which they are printed.
    pub const ALL: [Self; 6] = [
        Self::NodePool,
        Self::NodeClaim,
        Self::NodeOverlay,
        Self::Ec2NodeClass,
        Self::KwokNodeClass,
        Self::CapacityBuffer,
    ];

    /// `kind` in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NodePool => "NodePool",
            Self::NodeClaim => "NodeClaim",
            Self::NodeOverlay => "NodeOverlay",
            Self::Ec2NodeClass => "EC2NodeClass",
            Self::KwokNodeClass => "KWOKNodeClass",
            Self::CapacityBuffer => "CapacityBuffer",
        }
    }

    /// `apiVersion` in the API.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::NodePool | Self::NodeClaim => "karpenter.sh/v1",
            Self::NodeOverlay => "karpenter.sh/v1alpha1",
            Self::Ec2NodeClass => "karpenter.k8s.aws/v1",
            Self::KwokNodeClass => "karpenter.kwok.sh/v1alpha1",
            Self::CapacityBuffer => "autoscaling.x-k8s.io/v1beta1",
        }
    }

    /// The API group.
    pub fn group(self) -> &'static str {
        self.api_version().split('/').next().unwrap_or_default()
    }

    /// The committed CRD.
    pub fn yaml(self) -> &'static str {
        match self {
            Self::NodePool => include_str!("../karpenter.sh_nodepools.yaml"),
            Self::NodeClaim => include_str!("../karpenter.sh_nodeclaims.yaml"),
            Self::NodeOverlay => include_str!("../karpenter.sh_nodeoverlays.yaml"),
            Self::Ec2NodeClass => include_str!("../karpenter.k8s.aws_ec2nodeclasses.yaml"),
            Self::KwokNodeClass => include_str!("../karpenter.kwok.sh_kwoknodeclasses.yaml"),
            Self::CapacityBuffer => include_str!("../autoscaling.x-k8s.io_capacitybuffers.yaml"),
        }
    }

    /// The CRD with its schema.
    pub fn crd(self) -> &'static Crd {
        &all()[self as usize]
    }

    /// Finds the kind of an object. A kind of ours in a version that is not served is told apart from foreign ones.
    pub fn lookup(api_version: &str, kind: &str) -> Lookup {
        let group = api_version.split('/').next().unwrap_or_default();
        let Some(known) = Self::ALL.into_iter().find(|known| known.as_str() == kind && known.group() == group) else {
            return Lookup::Foreign;
        };
        if known.api_version() == api_version {
            Lookup::Known(known)
        } else {
            Lookup::Unserved { served: known.api_version() }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

static CRDS: LazyLock<Vec<Crd>> = LazyLock::new(|| Kind::ALL.into_iter().map(read).collect());

/// All CRDs, in the order of [`Kind::ALL`]. They are read once.
pub fn all() -> &'static [Crd] {
    &CRDS
}

#[expect(clippy::expect_used, reason = "the files are built in, and a test reads every one of them")]
fn read(kind: Kind) -> Crd {
    let yaml = kind.yaml();
    let definition: Value = serde_saphyr::from_str(yaml).expect("the committed CRD is YAML");
    let text = |path: &str| definition.pointer(path).and_then(Value::as_str).expect("the CRD names itself").to_owned();
    Crd {
        kind,
        name: text("/metadata/name"),
        group: text("/spec/group"),
        version: text("/spec/versions/0/name"),
        plural: text("/spec/names/plural"),
        is_namespaced: text("/spec/scope") == "Namespaced",
        yaml,
        schema: definition.pointer("/spec/versions/0/schema/openAPIV3Schema").expect("the CRD has a schema").clone(),
        definition,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crd_says_what_its_kind_says() {
        for crd in all() {
            let kind = crd.kind;
            assert_eq!(kind.crd().kind, kind);
            assert_eq!(crd.name, format!("{}.{}", crd.plural, crd.group));
            assert_eq!(kind.api_version(), format!("{}/{}", crd.group, crd.version));
            assert_eq!(crd.definition["spec"]["names"]["kind"], kind.as_str());
            assert_eq!(crd.is_namespaced, kind == Kind::CapacityBuffer);
            assert!(crd.definition["spec"]["versions"][0]["subresources"]["status"].is_object());
        }
    }

    #[test]
    fn an_unserved_version_names_the_served_one() {
        assert_eq!(Kind::lookup("karpenter.sh/v1", "NodePool"), Lookup::Known(Kind::NodePool));
        let served = Lookup::Unserved { served: "karpenter.sh/v1" };
        assert_eq!(Kind::lookup("karpenter.sh/v1beta1", "NodePool"), served);
        assert_eq!(Kind::lookup("karpenter.k8s.aws/v1beta1", "NodePool"), Lookup::Foreign);
        assert_eq!(Kind::lookup("v1", "Pod"), Lookup::Foreign);
    }
}
