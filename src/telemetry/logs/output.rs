//! Where log lines go.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};

use super::LogError;
use crate::config::LogOutput;

/// All outputs as one writer.
pub(super) struct Output(Vec<Sink>);

enum Sink {
    Stdout,
    Stderr,
    File(File),
    #[cfg(test)]
    Memory(std::sync::Arc<std::sync::Mutex<Vec<u8>>>),
}

impl Output {
    pub(super) fn open(outputs: &[LogOutput]) -> Result<Self, LogError> {
        let open = |output: &LogOutput| match output {
            LogOutput::Stdout => Ok(Sink::Stdout),
            LogOutput::Stderr => Ok(Sink::Stderr),
            LogOutput::File(path) => OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map(Sink::File)
                .map_err(|cause| LogError::Open { path: path.display().to_string(), cause }),
        };
        outputs.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    #[cfg(test)]
    pub(super) fn memory(into: std::sync::Arc<std::sync::Mutex<Vec<u8>>>) -> Self {
        Self(vec![Sink::Memory(into)])
    }
}

impl Write for Output {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        for sink in &mut self.0 {
            match sink {
                Sink::Stdout => io::stdout().lock().write_all(line)?,
                Sink::Stderr => io::stderr().lock().write_all(line)?,
                Sink::File(file) => file.write_all(line)?,
                #[cfg(test)]
                Sink::Memory(lines) => {
                    lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend_from_slice(line);
                }
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
