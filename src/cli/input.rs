//! From options to a snapshot: reads files and traces, or else the cluster, and says on stderr what was passed over.

use std::path::PathBuf;

use anyhow::Result;

use super::args::{InputArgs, ValidateArgs};
use super::cluster;
use super::phases::Phases;
use super::tell::tell;
use crate::observe::{Objects, Observed, Options, Validate, files, printable, snapshot, trace};

/// What `-f` and `--trace` name, as the planner sees it.
pub fn observe(input: &InputArgs, validate: &ValidateArgs, phases: &mut Phases) -> Result<Observed> {
    observe_paths(input, &input.files, validate, phases)
}

/// The same without a word on stderr, for a screen that is drawn on.
pub fn observe_silently(input: &InputArgs, validate: &ValidateArgs) -> Result<Observed> {
    let objects = if input.files.is_empty() && input.trace.is_empty() {
        cluster::objects(input.kubeconfig.as_ref(), input.context.as_ref())?
    } else {
        read(input, &input.files, validate.validate)?
    };
    Ok(snapshot(objects, &input.options()?)?)
}

/// The same for other paths than those of `-f`.
pub fn observe_paths(
    input: &InputArgs,
    paths: &[PathBuf],
    validate: &ValidateArgs,
    phases: &mut Phases,
) -> Result<Observed> {
    let options = input.options()?;
    let objects = objects(input, paths, validate.validate, phases)?;
    distil(objects, &options, phases)
}

/// The objects alone.
pub fn objects(input: &InputArgs, paths: &[PathBuf], validate: Validate, phases: &mut Phases) -> Result<Objects> {
    if paths.is_empty() && input.trace.is_empty() {
        return phases.run("read", || cluster::objects(input.kubeconfig.as_ref(), input.context.as_ref()));
    }
    phases.run("read", || read(input, paths, validate))
}

fn read(input: &InputArgs, paths: &[PathBuf], validate: Validate) -> Result<Objects> {
    let mut objects = files::read(paths, validate)?;
    for path in &input.trace {
        trace::add(path, &mut objects)?;
    }
    Ok(objects)
}

/// The snapshot of objects, notes said on stderr.
pub fn distil(objects: Objects, options: &Options, phases: &mut Phases) -> Result<Observed> {
    let observed = phases.run("distil", || snapshot(objects, options))?;
    for note in &observed.notes {
        tell(format_args!("note: {}", printable(note)));
    }
    Ok(observed)
}
