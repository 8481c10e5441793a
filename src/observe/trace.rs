//! Pods from a recorded trace: CSV as Alibaba's openb traces are written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use planner::model::Str;

use super::error::{InputError, Origin};
use super::files::unpack;
use super::k8s::karpenter::{ClassRef, NodePoolSpec, NodeRequirement, NodeTemplate, NodeTerms};
use super::k8s::pod::{Container, PodSpec, ResourceRequirements};
use super::k8s::{Amount, Amounts, NodePool, ObjectMeta, Pod};
use super::objects::{Objects, Sourced};

/// Columns that are read; the last two may be missing.
const COLUMNS: [&str; 4] = ["name", "cpu_milli", "memory_mib", "num_gpu"];
const REQUIRED: usize = 3;
const GPU: &str = "nvidia.com/gpu";
/// Pool used when the input has none.
const POOL: &str = "default";

/// Adds a pod to place for every row, and a pool of on-demand Linux nodes if there is no pool yet.
///
/// A row that asks for a share of one GPU gets a whole one: Kubernetes counts whole devices. Phases and times are not
/// looked at: all rows are planned at once.
///
/// # Errors
/// On a file that cannot be read, a missing column, and a malformed row, by line and column.
pub fn add(path: &Path, objects: &mut Objects) -> Result<(), InputError> {
    let name = path.to_string_lossy();
    let bytes = std::fs::read(path).and_then(unpack).map_err(|error| {
        InputError::new(format!("cannot be read: {error}")).file(&name).remedy("check the path given with --trace")
    })?;
    let text = String::from_utf8(bytes).map_err(|_| InputError::new("is not UTF-8 text").file(&name))?;
    objects.pods.extend(pods(&name, &text)?.into_iter().map(Arc::new));
    objects.pods.sort_by(|a, b| identity(a).cmp(&identity(b)));
    for pair in objects.pods.windows(2) {
        if identity(&pair[0]) == identity(&pair[1]) {
            return Err(InputError::new(format!("stands here and in {}", pair[0].origin))
                .at(&pair[1].origin)
                .object(format!("Pod {}/{}", pair[1].object.metadata.namespace(), pair[1].object.metadata.name))
                .remedy("keep one of them"));
        }
    }
    if objects.node_pools.is_empty() {
        objects.notes.push(format!("no NodePool given: NodePool {POOL} buys any on-demand Linux machine"));
        objects.notes.sort();
        objects
            .node_pools
            .push(Arc::new(Sourced { origin: Origin { file: name.as_ref().into(), line: 1 }, object: default_pool() }));
    }
    Ok(())
}

fn identity(pod: &Sourced<Pod>) -> (&str, &str) {
    (pod.object.metadata.namespace(), &pod.object.metadata.name)
}

fn pods(file: &str, text: &str) -> Result<Vec<Sourced<Pod>>, InputError> {
    let file: Str = file.into();
    let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().zip(1u32..);
    let mut lines = lines.filter(|(line, _)| !line.trim().is_empty());
    let Some((header, first)) = lines.next() else {
        return Err(InputError::new("is empty").file(&file).remedy(expected()));
    };
    let names: Vec<&str> = header.split(',').map(str::trim).collect();
    let mut places = [None; COLUMNS.len()];
    for (at, column) in COLUMNS.iter().enumerate() {
        places[at] = names.iter().position(|name| name == column);
        if places[at].is_none() && at < REQUIRED {
            return Err(InputError::new(format!("column {column} is missing"))
                .file(&file)
                .line(first)
                .remedy(expected()));
        }
    }
    let mut amounts: BTreeMap<String, Str> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for (line, number) in lines {
        let row: Vec<&str> = line.split(',').map(str::trim).collect();
        if row.len() != names.len() {
            let message = format!("{} fields where the first line names {}", row.len(), names.len());
            return Err(InputError::new(message).file(&file).line(number).remedy("mend or remove this row"));
        }
        let field = |at: usize| places[at].map(|place| row[place]);
        let pod_name = field(0).unwrap_or_default();
        let fault = |column: usize, value: &str, message: &str| {
            let error = InputError::new(message).file(&file).line(number).field(format!("column {}", COLUMNS[column]));
            error.value(value).remedy("write a whole number from 0")
        };
        if pod_name.is_empty() {
            return Err(fault(0, pod_name, "is empty").remedy("name the pod"));
        }
        if !seen.insert(pod_name.to_string()) {
            return Err(fault(0, pod_name, "stands in the file twice").remedy("keep one of the rows"));
        }
        let mut requests = Amounts::new();
        for (at, resource, unit) in [(1, "cpu", "m"), (2, "memory", "Mi"), (3, GPU, "")] {
            let Some(text) = field(at).filter(|text| !(at >= REQUIRED && text.is_empty())) else { continue };
            let count: u64 = text.parse().map_err(|_| fault(at, text, "is no whole number"))?;
            if count > 0 {
                let amount = format!("{count}{unit}");
                let amount = amounts.entry(amount).or_insert_with_key(|text| text.as_str().into()).clone();
                requests.insert(resource.into(), Amount(amount));
            }
        }
        let resources = ResourceRequirements { requests, ..ResourceRequirements::default() };
        let container = Container { name: "main".into(), resources, ..Container::default() };
        let metadata = ObjectMeta { name: pod_name.into(), ..ObjectMeta::default() };
        let spec = PodSpec { containers: vec![container], ..PodSpec::default() };
        let pod = Pod { metadata, spec, ..Pod::default() };
        out.push(Sourced { origin: Origin { file: file.clone(), line: number }, object: pod });
    }
    Ok(out)
}

fn expected() -> String {
    format!("the first line must name the columns {}; {} may be missing", COLUMNS.join(","), COLUMNS[REQUIRED])
}

fn default_pool() -> NodePool {
    let is = |key: &str, value: &str| NodeRequirement {
        key: key.into(),
        operator: "In".into(),
        values: vec![value.into()],
        min_values: None,
    };
    let terms = NodeTerms {
        node_class_ref: ClassRef { group: "karpenter.k8s.aws".into(), kind: "EC2NodeClass".into(), name: POOL.into() },
        requirements: vec![is("kubernetes.io/os", "linux"), is("karpenter.sh/capacity-type", "on-demand")],
        ..NodeTerms::default()
    };
    NodePool {
        metadata: ObjectMeta { name: POOL.into(), ..ObjectMeta::default() },
        spec: NodePoolSpec {
            template: NodeTemplate { spec: terms, ..NodeTemplate::default() },
            ..NodePoolSpec::default()
        },
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos\n";

    fn fault(rows: &str) -> String {
        pods("t.csv", &format!("{HEAD}{rows}")).unwrap_err().to_string()
    }

    #[test]
    fn every_row_is_a_pod_with_what_it_asks_for() {
        let found = pods("t.csv", &format!("{HEAD}a,1500,2048,0,0,,LS\nb,100,512,1,460,V100M16|T4,BE\n")).unwrap();
        let asks = |at: usize| &found[at].object.spec.containers[0].resources.requests;
        let text = |at: usize, name: &str| asks(at).get(name).map(|amount| amount.0.to_string());
        assert_eq!(text(0, "cpu").as_deref(), Some("1500m"));
        assert_eq!(text(0, "memory").as_deref(), Some("2048Mi"));
        assert_eq!(text(0, GPU), None);
        assert_eq!(text(1, GPU).as_deref(), Some("1"));
        assert_eq!(found[1].origin.line, 3);
    }

    #[test]
    fn malformed_rows_are_named_by_line_and_column() {
        assert!(
            fault("a,1500,2048,0,0,,LS\nb,many,1,0,0,,LS\n")
                .starts_with("t.csv:3: column cpu_milli: is no whole number")
        );
        assert!(fault("a,1,-2,0,0,,LS\n").contains("t.csv:2: column memory_mib"));
        assert!(fault("a,1\n").contains("2 fields where the first line names 7"));
        assert!(fault("a,1,1,0,0,,\na,1,1,0,0,,\n").contains("t.csv:3: column name: stands in the file twice"));
        assert!(pods("t.csv", "name,cpu\n").unwrap_err().to_string().contains("column cpu_milli is missing"));
        assert!(pods("t.csv", "\n").is_err());
    }

    #[test]
    fn a_pool_is_there_when_none_is_given() {
        let path = std::env::temp_dir().join(format!("millwright-trace-{}.csv", std::process::id()));
        std::fs::write(&path, format!("{HEAD}a,1500,2048,0,0,,LS\n")).unwrap();
        let mut objects = Objects::default();
        add(&path, &mut objects).unwrap();
        assert_eq!(objects.node_pools.len(), 1);
        assert!(add(&path, &mut objects).unwrap_err().to_string().contains("keep one of them"));
        std::fs::remove_file(path).unwrap();
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(name,cpu_milli,memory_mib\n)?[a-z0-9,\n\"-]{0,80}") {
            let _ = pods("t.csv", &text);
        }
    }
}
