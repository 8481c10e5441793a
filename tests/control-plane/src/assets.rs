//! Where the programs are: given by the environment, or built once into a cache.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::component::{MODULES, Module, version};
use crate::lock::Lock;
use crate::{Component, Error, Go};

/// The programs of a control plane.
#[derive(Clone, Debug)]
pub struct Assets {
    /// In the order of [`Component::ALL`].
    programs: [PathBuf; 5],
}

/// Where programs are looked for.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// `KUBEBUILDER_ASSETS`: a folder with some of the programs.
    pub kubebuilder: Option<PathBuf>,
    /// `MILLWRIGHT_CONTROL_PLANE`: a folder with some of the programs, and the one to build into.
    pub given: Option<PathBuf>,
    /// Where to build when nothing is given: `~/.cache/millwright/control-plane`.
    pub cache: Option<PathBuf>,
}

impl Places {
    pub fn from_env() -> Self {
        let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
        Self {
            kubebuilder: folder("KUBEBUILDER_ASSETS"),
            given: folder("MILLWRIGHT_CONTROL_PLANE"),
            cache: cache.map(|cache| cache.join("millwright").join("control-plane")),
        }
    }

    /// The folder that holds, or will hold, what we build: one per set of versions.
    ///
    /// # Errors
    /// No place is known.
    pub fn built(&self) -> Result<PathBuf, Error> {
        let root = self.given.as_ref().or(self.cache.as_ref()).ok_or(Error::NoCacheFolder)?;
        Ok(root.join(version()))
    }

    /// The program where it is now, if it is anywhere.
    pub fn find(&self, component: Component) -> Option<PathBuf> {
        let built = self.built().ok();
        let folders = [self.kubebuilder.as_ref(), self.given.as_ref(), built.as_ref()];
        folders.into_iter().flatten().map(|folder| folder.join(component.name())).find(|path| path.is_file())
    }

    fn missing(&self) -> Vec<Component> {
        Component::ALL.into_iter().filter(|&component| self.find(component).is_none()).collect()
    }
}

impl Assets {
    /// The programs, found where the environment says, else built. The first build takes 5 to 10 minutes on two cores.
    ///
    /// # Errors
    /// Something is missing that the build needs; the error says what, and how to get it.
    pub fn ensure() -> Result<Self, Error> {
        Self::ensure_in(&Places::from_env())
    }

    /// [`Assets::ensure`] with places of one's own.
    ///
    /// # Errors
    /// As [`Assets::ensure`].
    pub fn ensure_in(places: &Places) -> Result<Self, Error> {
        if env::consts::OS != "linux" {
            return Err(Error::NotLinux(env::consts::OS));
        }
        let missing = places.missing();
        if !missing.is_empty() {
            let go = Go::find(&missing)?;
            make(places, &go)?;
        }
        let program = |component| match places.find(component) {
            Some(path) => Ok(path),
            None => Err(Error::File {
                doing: "find the program just built",
                path: places.built()?.join(Component::name(component)),
                source: std::io::ErrorKind::NotFound.into(),
            }),
        };
        let [etcd, apiserver, manager, scheduler, kwok] = Component::ALL.map(program);
        Ok(Self { programs: [etcd?, apiserver?, manager?, scheduler?, kwok?] })
    }

    pub fn program(&self, component: Component) -> &Path {
        &self.programs[component as usize]
    }
}

/// Builds what is missing. One process builds at a time; the others wait and find it done.
fn make(places: &Places, go: &Go) -> Result<(), Error> {
    let folder = places.built()?;
    fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
    let waiting = || say("another process builds the control plane; waiting for it");
    let _lock = Lock::wait(&folder.join("lock"), waiting)?;
    let missing = places.missing();
    for module in MODULES.iter().filter(|module| module.programs.iter().any(|(c, _)| missing.contains(c))) {
        make_module(module, &folder, go)?;
    }
    Ok(())
}

/// Builds in a folder aside and moves the programs where they belong, each in one step: whoever is killed on the way
/// leaves nothing that could be taken for a program.
fn make_module(module: &Module, folder: &Path, go: &Go) -> Result<(), Error> {
    let names = module.programs.iter().map(|(c, _)| c.name()).collect::<Vec<_>>().join(", ");
    say(&format!("building {names} {} with Go (once; minutes, not seconds)", module.version));
    let aside = folder.join(format!("making-{}", module.name));
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(Error::file("remove", &aside))?;
    }
    fs::create_dir_all(&aside).map_err(Error::file("create", &aside))?;
    let begin = std::time::Instant::now();
    go.build(module, &aside)?;
    for (component, _) in module.programs {
        let to = folder.join(component.name());
        fs::rename(aside.join(component.name()), &to).map_err(Error::file("move the new program to", &to))?;
    }
    fs::remove_dir_all(&aside).map_err(Error::file("remove", &aside))?;
    say(&format!("built {names} in {:.0} s", begin.elapsed().as_secs_f64()));
    Ok(())
}

fn say(line: &str) {
    eprintln!("control-plane: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = env::temp_dir().join(format!("millwright-assets-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn with(self, components: &[Component]) -> Self {
            for component in components {
                fs::write(self.0.join(component.name()), "").unwrap();
            }
            self
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_kubebuilder_assets_holds_is_taken_from_there_and_the_rest_from_the_cache() {
        let kubebuilder = Folder::new("kubebuilder").with(&[Component::Etcd, Component::Apiserver]);
        let cache = Folder::new("cache");
        let places = Places { kubebuilder: Some(kubebuilder.0.clone()), given: None, cache: Some(cache.0.clone()) };
        assert_eq!(places.missing(), [Component::ControllerManager, Component::Scheduler, Component::Kwok]);
        let built = places.built().unwrap();
        fs::create_dir_all(&built).unwrap();
        for component in places.missing() {
            fs::write(built.join(component.name()), "").unwrap();
        }
        let assets = Assets::ensure_in(&places).unwrap();
        assert_eq!(assets.program(Component::Etcd), kubebuilder.0.join("etcd"));
        assert_eq!(assets.program(Component::Kwok), built.join("kwok"));
    }

    #[test]
    fn programs_given_by_hand_are_used_as_they_are() {
        let given = Folder::new("given").with(&Component::ALL);
        let places = Places { given: Some(given.0.clone()), ..Places::default() };
        let assets = Assets::ensure_in(&places).unwrap();
        assert_eq!(assets.program(Component::Scheduler), given.0.join("kube-scheduler"));
    }

    #[test]
    fn with_no_place_to_build_in_the_error_names_the_variable() {
        let error = Places::default().built().unwrap_err().to_string();
        assert!(error.contains("MILLWRIGHT_CONTROL_PLANE"), "{error}");
    }
}
