//! What a plan of all pods at once would cost: the measure of what came of deciding batch by batch and of the scheduler.

use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::controller::program;
use super::workload::Deployment;

/// US dollars an hour of the nodes that `millwright plan` buys for these Deployments on an empty cluster.
pub fn hourly_cost(setting: &[Value], deployments: &[Deployment]) -> anyhow::Result<String> {
    let items: Vec<Value> = setting.iter().cloned().chain(deployments.iter().map(Deployment::object)).collect();
    let file = std::env::temp_dir().join(format!("millwright-bench-{}.json", std::process::id()));
    std::fs::write(&file, json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string())
        .with_context(|| format!("write {}", file.display()))?;
    let output = Command::new(program()?).args(["plan", "-o", "json", "-f"]).arg(&file).output();
    std::fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
    let output = output.context("run millwright plan")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "millwright plan: {}\n{said}", output.status);
    let plan: Value = serde_json::from_slice(&output.stdout).context("read the plan")?;
    let cost = plan["summary"]["hourlyCost"].as_str().context("the plan has no summary.hourlyCost")?;
    Ok(cost.to_owned())
}
