//! Recorded workloads (`w_*.json`) and offering sets (`cat_*.json`) as solver problems.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;
use solver::{BinKind, BitSet, Item, ItemIdx, Options, Problem, Spread};

/// An offering set: instance types, and (type, zone, capacity type, USD per hour).
#[derive(Deserialize)]
pub struct Offerings {
    pub zones: Vec<String>,
    pub types: Vec<Type>,
    pub offs: Vec<(usize, usize, usize, f64)>,
}

/// An instance type with its allocatable capacity: millicores, MiB, pods, GPUs, GiB of disk.
#[derive(Deserialize)]
pub struct Type {
    pub cat: String,
    pub arch: String,
    #[serde(rename = "gen")]
    pub generation: i64,
    pub cap: Vec<i64>,
}

/// A workload: what every node loses to daemons, and classes of pods.
#[derive(Deserialize)]
pub struct Workload {
    pub name: String,
    pub daemon: Vec<i64>,
    pub classes: Vec<Class>,
}

/// Equal pods and where they may go.
#[derive(Deserialize)]
pub struct Class {
    pub req: Vec<i64>,
    pub count: u32,
    #[serde(default)]
    pub maxper: u32,
    pub zones: Option<Vec<String>>,
    pub archs: Option<Vec<String>>,
    pub captypes: Option<Vec<String>>,
    pub cats: Option<Vec<String>>,
    pub mingen: Option<i64>,
    #[serde(default)]
    pub spread: bool,
}

/// Where the repository keeps its own copies.
pub fn own_copies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/solver")
}

fn read(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let mut text = String::new();
    if path.extension().is_some_and(|e| e == "gz") {
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text)?;
    } else {
        text = String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))?;
    }
    Ok(text)
}

/// The workloads of a folder, by name.
pub fn workloads(dir: &Path) -> anyhow::Result<Vec<Workload>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("w_") && name.trim_end_matches(".gz").strip_suffix(".json").is_some() {
            let workload: Workload =
                serde_json::from_str(&read(&path)?).with_context(|| format!("parse {}", path.display()))?;
            found.insert(name, workload);
        }
    }
    if found.is_empty() {
        bail!("{} holds no w_*.json", dir.display());
    }
    Ok(found.into_values().collect())
}

/// An offering set by name, from the folder or from the repository's copies.
pub fn offerings(dir: &Path, set: &str) -> anyhow::Result<Offerings> {
    let own = own_copies();
    for folder in [dir, own.as_path()] {
        for ending in ["json", "json.gz"] {
            let path = folder.join(format!("cat_{set}.{ending}"));
            if path.exists() {
                return serde_json::from_str(&read(&path)?).with_context(|| format!("parse {}", path.display()));
            }
        }
    }
    bail!("there is no offering set {set:?} (cat_{set}.json) in {} or {}", dir.display(), own.display())
}

/// The offering set that belongs to a workload.
pub fn set_of(workload: &Workload) -> &'static str {
    if workload.name.starts_with("dlrm") {
        "C1n"
    } else if needs_gpu(workload) {
        "C1g"
    } else {
        "C3"
    }
}

/// Whether some pod asks for a GPU.
pub fn needs_gpu(workload: &Workload) -> bool {
    workload.classes.iter().any(|c| c.req.get(3).is_some_and(|&g| g > 0))
}

/// Whether a type has room for any pod beside the daemons.
fn is_usable(workload: &Workload, ty: &Type) -> bool {
    ty.cap.iter().zip(&workload.daemon).take(3).all(|(c, d)| c > d)
}

/// The instance type of each kind of [`problem`].
pub fn types_of_kinds(workload: &Workload, offerings: &Offerings) -> Vec<usize> {
    offerings.offs.iter().map(|o| o.0).filter(|&t| is_usable(workload, &offerings.types[t])).collect()
}

/// The workload on the offerings: dimensions as in the files, zone is spread key 0, capacity type the group.
pub fn problem(workload: &Workload, offerings: &Offerings, options: Options) -> Problem {
    let dims = workload.daemon.len();
    let mut kinds = Vec::new();
    let mut of_kind = Vec::new();
    for &(t, zone, capacity_type, price) in &offerings.offs {
        let holds: Vec<i64> = offerings.types[t].cap.iter().zip(&workload.daemon).map(|(c, d)| c - d).collect();
        if !is_usable(workload, &offerings.types[t]) {
            continue;
        }
        #[expect(clippy::cast_possible_truncation, reason = "prices are a few dollars")]
        let cost = (price * 1e6).round() as i64;
        kinds.push(BinKind {
            holds: holds.into_iter().map(|h| h.max(0)).collect(),
            cost,
            available: None,
            domains: vec![u32::try_from(zone).unwrap_or(u32::MAX)],
            group: u32::try_from(capacity_type).unwrap_or(u32::MAX),
        });
        of_kind.push((t, zone, capacity_type));
    }
    let mut items = Vec::new();
    let mut spreads = Vec::new();
    for class in &workload.classes {
        let allows = |k: usize| {
            let (t, zone, capacity_type) = of_kind[k];
            let ty = &offerings.types[t];
            let capacity_type = if capacity_type == 0 { "od" } else { "spot" };
            let within =
                |list: &Option<Vec<String>>, value: &str| list.as_ref().is_none_or(|l| l.iter().any(|x| x == value));
            within(&class.zones, &offerings.zones[zone])
                && within(&class.archs, &ty.arch)
                && within(&class.captypes, capacity_type)
                && within(&class.cats, &ty.cat)
                && class.mingen.is_none_or(|g| ty.generation >= g)
        };
        let allowed = BitSet::of(kinds.len(), (0..kinds.len()).filter(|&k| allows(k)));
        if class.spread {
            let counts = allowed.iter().map(|k| (kinds[k].domains[0], 0)).collect();
            let item = ItemIdx(u32::try_from(items.len()).unwrap_or(u32::MAX));
            spreads.push(Spread { items: vec![item], key: 0, max_skew: 1, min_domains: 0, counts });
        }
        items.push(Item {
            needs: class.req.clone(),
            count: class.count,
            allowed,
            allowed_started: BitSet::new(0),
            per_bin_max: (class.maxper > 0).then_some(class.maxper),
        });
    }
    Problem { dims, items, kinds, spreads, options, ..Problem::default() }
}
