//! A recording: a snapshot and the plan that was made of it, to be planned again anywhere, bit for bit.

use std::io::{ErrorKind, Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use planner::model::Snapshot;
use planner::plan::Plan;
use serde::{Deserialize, Serialize};

/// What the file calls itself.
const API_VERSION: &str = "millwright.dev/v1alpha1";
const KIND: &str = "Recording";
/// The version of this build: the same one makes the same plan.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// A recording of more bytes is not read: it is none, or not of a cluster that fits this machine.
const MAX_BYTES: u64 = 4 << 30;

/// A snapshot with its plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recording {
    api_version: String,
    kind: String,
    /// Of the program that planned.
    pub version: String,
    pub snapshot: Snapshot,
    pub plan: Plan,
}

/// Why a recording cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error("write recording: {0}")]
    Write(std::io::Error),
    #[error("serialize recording: {0}")]
    Serialize(serde_json::Error),
    #[error("read recording: {0}\n  remedy: name a file that millwright record wrote, or /debug/snapshot gave")]
    Read(std::io::Error),
    #[error("this is no recording: {0}\n  remedy: name a file that millwright record wrote, or /debug/snapshot gave")]
    Parse(serde_json::Error),
    #[error(
        "this is no recording: there is nothing in it\n  remedy: name a file that millwright record wrote, or \
         /debug/snapshot gave"
    )]
    Empty,
    #[error("recorded by version {version}, this is {VERSION}: {cause}\n  remedy: replay it with version {version}")]
    Version { version: String, cause: serde_json::Error },
    #[error(
        "this is {api_version}/{kind}, not {API_VERSION}/{KIND}\n  remedy: name a file that millwright record wrote, or \
         /debug/snapshot gave"
    )]
    Kind { api_version: String, kind: String },
}

/// What every version of a recording begins with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
    #[serde(default)]
    version: String,
}

impl Head {
    /// Why bytes that do not parse do not.
    fn blame(bytes: &[u8], cause: serde_json::Error) -> RecordingError {
        match serde_json::from_slice(bytes) {
            Ok(Self { api_version, kind, .. }) if api_version != API_VERSION || kind != KIND => {
                RecordingError::Kind { api_version, kind }
            }
            Ok(Self { version, .. }) if !version.is_empty() && version != VERSION => {
                RecordingError::Version { version, cause }
            }
            _ => RecordingError::Parse(cause),
        }
    }
}

impl Recording {
    pub fn new(snapshot: Snapshot, plan: Plan) -> Self {
        Self { api_version: API_VERSION.into(), kind: KIND.into(), version: VERSION.into(), snapshot, plan }
    }

    /// Writes it, compressed. Equal recordings give equal bytes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, to: impl Write) -> Result<(), RecordingError> {
        let mut out = GzEncoder::new(to, Compression::default());
        serde_json::to_writer(&mut out, self).map_err(RecordingError::Serialize)?;
        out.finish().map_err(RecordingError::Write)?.flush().map_err(RecordingError::Write)
    }

    /// Reads one, compressed or not.
    ///
    /// # Errors
    /// When it cannot be read, or is something else.
    pub fn read(mut from: impl Read) -> Result<Self, RecordingError> {
        let mut head = [0; 2];
        from.read_exact(&mut head).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => RecordingError::Empty,
            _ => RecordingError::Read(error),
        })?;
        let whole = std::io::Cursor::new(head).chain(from).take(MAX_BYTES);
        let mut bytes = Vec::new();
        if head == [0x1f, 0x8b] {
            GzDecoder::new(whole).take(MAX_BYTES).read_to_end(&mut bytes).map_err(RecordingError::Read)?;
        } else {
            let mut whole = whole;
            whole.read_to_end(&mut bytes).map_err(RecordingError::Read)?;
        }
        let recording: Self = serde_json::from_slice(&bytes).map_err(|error| Head::blame(&bytes, error))?;
        if recording.api_version != API_VERSION || recording.kind != KIND {
            let Self { api_version, kind, .. } = recording;
            return Err(RecordingError::Kind { api_version, kind });
        }
        Ok(recording)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Options, Validate, files, snapshot};

    #[test]
    fn what_is_recorded_is_read_and_planned_again_to_the_same_bytes() {
        let objects = files::read(&["examples/shop"], Validate::Strict).unwrap();
        let observed = snapshot(objects, &Options::default()).unwrap();
        let plan = planner::plan(&observed.snapshot);
        assert!(!plan.launches.is_empty());
        let recording = Recording::new(observed.snapshot, plan);
        let mut bytes = Vec::new();
        recording.write(&mut bytes).unwrap();
        let read = Recording::read(&bytes[..]).unwrap();
        assert!(read == recording, "something was lost on the way");
        let again = planner::plan(&read.snapshot);
        assert_eq!(serde_json::to_string(&again).unwrap(), serde_json::to_string(&recording.plan).unwrap());
    }

    #[test]
    fn what_is_no_recording_is_refused_with_a_remedy() {
        for text in ["", "{}", "apiVersion: v1", r#"{"apiVersion":"v1","kind":"Pod"}"#] {
            let error = Recording::read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("remedy: name a file"), "{text}: {error}");
        }
        assert!(Recording::read(&b""[..]).unwrap_err().to_string().contains("there is nothing in it"));
    }

    #[test]
    fn a_recording_of_another_version_that_cannot_be_read_names_the_version() {
        let old = format!(
            r#"{{"apiVersion":"{API_VERSION}","kind":"{KIND}","version":"0.0.9","snapshot":{{}},"plan":{{}}}}"#
        );
        let error = Recording::read(old.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(&format!("recorded by version 0.0.9, this is {VERSION}: ")), "{error}");
        assert!(error.contains("remedy: replay it with version 0.0.9"), "{error}");
    }
}
