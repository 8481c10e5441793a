//! The five programs of a control plane and the Go modules they are built from.

use std::fmt;

/// A program of the control plane, in the order of starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    Etcd,
    Apiserver,
    ControllerManager,
    Scheduler,
    Kwok,
}

impl Component {
    pub const ALL: [Self; 5] = [Self::Etcd, Self::Apiserver, Self::ControllerManager, Self::Scheduler, Self::Kwok];

    /// The program's file name, which is also how it is spoken of.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Apiserver => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kwok => "kwok",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A Go module of ours whose only purpose is to pin one project and all it needs. Versions of different projects do not
/// mix, so each has its own.
pub(crate) struct Module {
    /// Its folder under `go/`.
    pub name: &'static str,
    pub go_mod: &'static str,
    pub go_sum: &'static str,
    pub tools: &'static str,
    /// What the project calls its release.
    pub version: &'static str,
    pub programs: &'static [(Component, &'static str)],
    /// Given to the linker.
    pub ldflags: &'static str,
}

/// Flags of every build: no C compiler, and the same bytes wherever it is built.
pub(crate) const GOFLAGS: &str = "-trimpath -buildvcs=false -mod=readonly";

macro_rules! module {
    ($folder:literal, $version:literal, $programs:expr, $ldflags:expr) => {
        Module {
            name: $folder,
            go_mod: include_str!(concat!("../go/", $folder, "/go.mod")),
            go_sum: include_str!(concat!("../go/", $folder, "/go.sum")),
            tools: include_str!(concat!("../go/", $folder, "/tools.go")),
            version: $version,
            programs: $programs,
            ldflags: $ldflags,
        }
    };
}

/// The modules, the longest build first.
pub(crate) const MODULES: [Module; 3] = [
    module!(
        "kubernetes",
        "v1.35.4",
        &[
            (Component::Apiserver, "k8s.io/kubernetes/cmd/kube-apiserver"),
            (Component::ControllerManager, "k8s.io/kubernetes/cmd/kube-controller-manager"),
            (Component::Scheduler, "k8s.io/kubernetes/cmd/kube-scheduler"),
        ],
        // Without these the server says that it is v0.0.0, and clients refuse to compare versions with it.
        "-s -w -X k8s.io/component-base/version.gitVersion=v1.35.4 -X k8s.io/component-base/version.gitMajor=1 \
         -X k8s.io/component-base/version.gitMinor=35 -X k8s.io/component-base/version.gitTreeState=clean"
    ),
    module!("etcd", "v3.6.13", &[(Component::Etcd, "go.etcd.io/etcd/server/v3")], "-s -w"),
    module!("kwok", "v0.7.0", &[(Component::Kwok, "sigs.k8s.io/kwok/cmd/kwok")], "-s -w"),
];

/// Names a set of programs: other modules or other flags give another name.
pub(crate) fn version() -> String {
    let mut hash = Fnv::default();
    let mut name = String::new();
    for module in &MODULES {
        for text in [module.go_mod, module.go_sum, module.tools, module.ldflags] {
            hash.write(text);
        }
        name = format!("{name}{}-{}-", module.name, module.version.trim_start_matches('v'));
    }
    hash.write(GOFLAGS);
    format!("{name}{:08x}", hash.0 & 0xffff_ffff)
}

/// FNV-1a, 64 bits: it only has to tell a few versions apart, the same way in every build.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, text: &str) {
        for byte in text.bytes().chain([0]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_comes_from_exactly_one_module() {
        for component in Component::ALL {
            let n = MODULES.iter().flat_map(|m| m.programs).filter(|(c, _)| *c == component).count();
            assert_eq!(n, 1, "{component}");
        }
    }

    #[test]
    fn the_versions_are_those_of_the_module_files() {
        for module in &MODULES {
            let required = module.go_mod.lines().find(|line| line.starts_with("require ") && !line.ends_with('('));
            let required = required.unwrap_or_else(|| panic!("{}: no require line", module.name));
            assert!(required.ends_with(&format!(" {}", module.version)), "{required}");
        }
        assert!(MODULES[0].ldflags.contains(&format!("gitVersion={} ", MODULES[0].version)));
    }

    #[test]
    fn staging_modules_have_the_version_that_belongs_to_kubernetes() {
        let expected = MODULES[0].version.replace("v1.", "v0.");
        let staging: Vec<_> = MODULES[0].go_mod.lines().filter(|line| line.contains(" => ")).collect();
        assert!(staging.len() >= 29, "{}", staging.len());
        for line in staging {
            assert!(line.ends_with(&expected), "{line}");
        }
    }

    #[test]
    fn go_1_25_is_enough_for_every_module() {
        for module in &MODULES {
            let needed = module.go_mod.lines().find_map(|line| line.strip_prefix("go ")).unwrap_or_default();
            assert_eq!(crate::go::Version::parse(needed), Some(crate::go::NEEDED), "{}", module.name);
        }
    }
}
