//! Logs: one JSON object per line, with the keys that log pipelines of Karpenter know.

mod fields;
mod output;

use std::io::Write as _;
use std::sync::Mutex;

use serde_json::{Map, Value};
use tracing::{Event, Level, Subscriber, span};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::config::{LogLevel, LogOutput};
use fields::Fields;
use output::Output;

/// What `logger` says for everything that is ours.
const LOGGER: &str = "controller";

/// Sends all logs of this process to these outputs from now on.
///
/// # Errors
/// When a file cannot be opened, or logs go somewhere already.
pub fn init(level: LogLevel, outputs: &[LogOutput]) -> Result<(), LogError> {
    let output = Output::open(outputs)?;
    let ours = match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Error => LevelFilter::ERROR,
    };
    // Libraries are heard when they warn; of kube each refused request and watch is told by our callers, and better.
    let theirs = if level == LogLevel::Error { LevelFilter::ERROR } else { LevelFilter::WARN };
    let filter = Targets::new()
        .with_default(theirs)
        .with_target("millwright", ours)
        .with_target("kube_client", LevelFilter::OFF)
        .with_target("kube_runtime", LevelFilter::ERROR);
    let layer = Json { output: Mutex::new(output) }.with_filter(filter);
    let subscriber = tracing_subscriber::registry().with(layer);
    subscriber.try_init().map_err(|error: TryInitError| LogError::Twice(error.to_string()))
}

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("--log-output-paths: {path}: {cause}\n  remedy: name stdout, stderr or a file that can be written")]
    Open { path: String, cause: std::io::Error },
    #[error("logs go somewhere already: {0}")]
    Twice(String),
}

/// Writes events as lines of JSON.
struct Json {
    output: Mutex<Output>,
}

impl<S> Layer<S> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flatten().collect::<Vec<_>>().into_iter().rev() {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.extend(of_span);
            }
        }
        event.record(&mut fields);
        let line = line(event, fields, jiff::Timestamp::now());
        let mut output = self.output.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // A log that cannot be written has nowhere to be complained about.
        output.write_all(line.as_bytes()).ok();
    }
}

fn line(event: &Event<'_>, fields: Fields, now: jiff::Timestamp) -> String {
    let level = match *event.metadata().level() {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    };
    let (message, fields) = fields.split();
    let target = event.metadata().target();
    let logger = if target.starts_with("millwright") { LOGGER } else { target };
    let mut all = Map::new();
    all.insert("level".into(), level.into());
    all.insert("time".into(), format!("{now:.3}").into());
    all.insert("logger".into(), logger.into());
    all.insert("message".into(), message.into());
    if !super::COMMIT.is_empty() {
        all.insert("commit".into(), super::COMMIT.into());
    }
    // serde_json keeps the order of these only with a feature we do not want; so the head is written by hand.
    let mut text = String::from("{");
    for key in ["level", "time", "logger", "message", "commit"] {
        if let Some(value) = all.get(key) {
            push(&mut text, key, value);
        }
    }
    for (key, value) in fields.iter().filter(|(key, _)| !all.contains_key(key.as_str())) {
        push(&mut text, key, value);
    }
    text.push_str("}\n");
    text
}

fn push(text: &mut String, key: &str, value: &Value) {
    if text.len() > 1 {
        text.push(',');
    }
    text.push_str(&Value::from(key).to_string());
    text.push(':');
    text.push_str(&value.to_string());
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
