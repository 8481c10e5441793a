//! What a scenario may expect, and the judging of a plan by it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

const HOST: &str = "kubernetes.io/hostname";

/// `expect.json`. Pods are `namespace/name`; one `*` stands for any text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expect {
    /// What the case is about, in a sentence.
    #[serde(rename = "about")]
    pub _about: String,
    pub exit: i32,
    /// Each must be part of stderr.
    #[serde(default)]
    pub stderr: Vec<String>,
    /// Fields of the plan's summary.
    #[serde(default)]
    summary: BTreeMap<String, Value>,
    hourly_cost: Option<String>,
    /// Pods to fields of the launch that each of them is in; `labels` may name some of its labels.
    #[serde(default)]
    nodes: BTreeMap<String, BTreeMap<String, Value>>,
    /// All matching pods share one node.
    #[serde(default)]
    together: Vec<String>,
    /// Each matching pod is on a node of its own.
    #[serde(default)]
    apart: Vec<String>,
    #[serde(default)]
    domains: Vec<Domains>,
    #[serde(default)]
    reasons: Vec<Because>,
    /// Ignored pods and their code; all of them.
    #[serde(default)]
    ignored: BTreeMap<String, String>,
    /// Pods and the node each is nominated to.
    #[serde(default)]
    nominations: BTreeMap<String, String>,
    /// How many launches each pool has; all of them.
    #[serde(default)]
    pools: BTreeMap<String, usize>,
    /// All pods that are placed, sorted.
    #[serde(default)]
    names: Vec<String>,
    /// Pods that are told of nowhere.
    #[serde(default)]
    absent: Vec<String>,
}

/// How many of the matching pods are in launches per value of a label, most first.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Domains {
    pods: String,
    key: String,
    counts: Vec<usize>,
}

/// A reason that matching unplaced pods must have.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Because {
    pods: String,
    /// How many pods must have it; at least one if unset.
    count: Option<usize>,
    node_pool: Option<String>,
    code: String,
    /// Part of the message.
    message: Option<String>,
    /// Part of the nearest miss.
    nearest_miss: Option<String>,
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn pods(value: &Value) -> impl Iterator<Item = &str> {
    list(value, "pods").iter().filter_map(Value::as_str)
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, tail)) => name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail),
        None => pattern == name,
    }
}

/// Millionths of a dollar.
fn money(text: &str) -> i64 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{part:0<6}").parse().unwrap_or(-1)
}

/// Pods in launches and nominations, with the name of their node.
fn placed(plan: &Value) -> Vec<(&str, &str)> {
    let bought = list(plan, "launches").iter().flat_map(|l| pods(l).map(|pod| (pod, text(l, "name"))));
    bought.chain(list(plan, "nominations").iter().map(|n| (text(n, "pod"), text(n, "node")))).collect()
}

/// Parts of stderr that are missing.
pub fn stderr(expect: &Expect, said: &str) -> Vec<String> {
    let missing = expect.stderr.iter().filter(|part| !said.contains(*part));
    missing.map(|part| format!("stderr lacks \"{part}\": {said}")).collect()
}

/// What holds for every plan.
pub fn every_plan(plan: &Value, exit: i32) -> Vec<String> {
    let mut faults = Vec::new();
    let summary = &plan["summary"];
    let mut told = BTreeSet::new();
    let refused = ["unplaced", "ignored"].into_iter().flat_map(|field| list(plan, field)).flat_map(pods);
    for pod in placed(plan).into_iter().map(|(pod, _)| pod).chain(refused) {
        if !told.insert(pod) {
            faults.push(format!("{pod} is told of twice"));
        }
    }
    let launches = list(plan, "launches");
    let cost = money(text(summary, "hourlyCost"));
    if cost != launches.iter().map(|launch| money(text(launch, "hourlyPrice"))).sum::<i64>() {
        faults.push("hourlyCost is not the sum of the launches".into());
    }
    let (bound, greedy) = (money(text(summary, "hourlyCostLowerBound")), money(text(summary, "greedyHourlyCost")));
    if !(bound <= cost && cost <= greedy) {
        faults.push(format!("not in order: bound {bound}, cost {cost}, greedy {greedy}"));
    }
    if (exit == 2) == list(plan, "unplaced").is_empty() {
        faults.push(format!("exit code {exit} does not go with the unplaced pods"));
    }
    for unplaced in list(plan, "unplaced") {
        if list(unplaced, "reasons").iter().all(|reason| text(reason, "message").is_empty()) {
            faults.push(format!("no reason: {unplaced}"));
        }
    }
    for launch in launches {
        let offerings = list(launch, "offerings");
        let prices: Vec<i64> = offerings.iter().map(|offering| money(text(offering, "hourlyPrice"))).collect();
        if !prices.is_sorted() || offerings.first().is_none_or(|o| o["instanceType"] != launch["instanceType"]) {
            faults.push(format!("{}: offerings are not the chosen one first, cheapest first", launch["name"]));
        }
        let total = launch["offeringsTotal"].as_u64().and_then(|total| usize::try_from(total).ok()).unwrap_or_default();
        if offerings.len() != total.min(60) {
            faults.push(format!(
                "{}: {} offerings are listed of {total}, not all or 60",
                launch["name"],
                offerings.len()
            ));
        }
    }
    faults
}

/// What this scenario expects.
pub fn this_plan(expect: &Expect, plan: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut say = |fault: String| faults.push(fault);
    for (field, wanted) in &expect.summary {
        if plan["summary"][field] != *wanted {
            say(format!("summary.{field} is {}, not {wanted}", plan["summary"][field]));
        }
    }
    if let Some(wanted) = &expect.hourly_cost
        && text(&plan["summary"], "hourlyCost") != wanted
    {
        say(format!("hourlyCost is {}, not {wanted}", plan["summary"]["hourlyCost"]));
    }
    let placed = placed(plan);
    let hosts = |pattern: &str| -> Vec<&str> {
        placed.iter().filter(|(pod, _)| matches(pattern, pod)).map(|(_, host)| *host).collect()
    };
    let distinct = |pattern: &str| hosts(pattern).into_iter().collect::<BTreeSet<_>>().len();
    for pattern in &expect.together {
        if distinct(pattern) != 1 {
            say(format!("{pattern} should share one node: {placed:?}"));
        }
    }
    for pattern in &expect.apart {
        if distinct(pattern) != hosts(pattern).len() || hosts(pattern).len() < 2 {
            say(format!("{pattern} should be apart: {placed:?}"));
        }
    }
    for (pod, node) in &expect.nominations {
        if !placed.contains(&(pod, node)) {
            say(format!("{pod} is not nominated to {node}: {placed:?}"));
        }
    }
    if !expect.names.is_empty() {
        let mut names: Vec<&str> = placed.iter().map(|(pod, _)| *pod).collect();
        names.sort_unstable();
        if names != expect.names {
            say(format!("placed are {names:?}, not {:?}", expect.names));
        }
    }
    for pod in &expect.absent {
        if plan.to_string().contains(&format!("\"{pod}\"")) {
            say(format!("{pod} should not be told of"));
        }
    }
    faults.extend(launches(expect, list(plan, "launches")));
    faults.extend(reasons(expect, plan));
    faults
}

fn launches(expect: &Expect, launches: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    for (pattern, fields) in &expect.nodes {
        let mine: Vec<&Value> = launches.iter().filter(|l| pods(l).any(|pod| matches(pattern, pod))).collect();
        if mine.is_empty() {
            faults.push(format!("{pattern} is in no launch"));
        }
        for (launch, (field, wanted)) in mine.iter().flat_map(|launch| fields.iter().map(move |field| (launch, field)))
        {
            let have = &launch[field];
            let agrees = match wanted.as_object() {
                Some(some) => some.iter().all(|(key, value)| have[key] == *value),
                None => have == wanted,
            };
            if !agrees {
                faults.push(format!("{pattern}: {field} is {have}, not {wanted}"));
            }
        }
    }
    for Domains { pods: pattern, key, counts } in &expect.domains {
        let mut found: BTreeMap<&str, usize> = BTreeMap::new();
        for launch in launches {
            let domain = if key == HOST { text(launch, "name") } else { text(&launch["labels"], key) };
            let n = pods(launch).filter(|pod| matches(pattern, pod)).count();
            if n > 0 {
                *found.entry(domain).or_default() += n;
            }
        }
        let mut sizes: Vec<usize> = found.values().copied().collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        if sizes != *counts {
            faults.push(format!("{pattern} by {key}: {found:?}, not {counts:?}"));
        }
    }
    if !expect.pools.is_empty() {
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        for launch in launches {
            *found.entry(text(launch, "nodePool").to_owned()).or_default() += 1;
        }
        if found != expect.pools {
            faults.push(format!("launches per pool: {found:?}, not {:?}", expect.pools));
        }
    }
    faults
}

fn reasons(expect: &Expect, plan: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for because in &expect.reasons {
        let part = |part: &Option<String>, whole: &str| part.as_ref().is_none_or(|part| whole.contains(part.as_str()));
        let fits = |reason: &Value| {
            text(reason, "code") == because.code
                && because.node_pool.as_ref().is_none_or(|pool| text(reason, "nodePool") == pool)
                && part(&because.message, text(reason, "message"))
                && part(&because.nearest_miss, text(reason, "nearestMiss"))
        };
        let told = list(plan, "unplaced").iter().filter(|unplaced| list(unplaced, "reasons").iter().any(fits));
        let n = told.flat_map(pods).filter(|pod| matches(&because.pods, pod)).count();
        if because.count.map_or(n == 0, |wanted| n != wanted) {
            let told = &plan["unplaced"];
            faults.push(format!("{} pods of {} have reason {}: {told}", n, because.pods, because.code));
        }
    }
    if !expect.ignored.is_empty() {
        let found: BTreeMap<String, String> = list(plan, "ignored")
            .iter()
            .flat_map(|ignored| pods(ignored).map(|pod| (pod.to_owned(), text(ignored, "code").to_owned())))
            .collect();
        if found != expect.ignored {
            faults.push(format!("ignored are {found:?}"));
        }
    }
    faults
}
