//! A file that an option names, opened before there is anything to write, so that nobody works for nothing.
//!
//! ```text
//! a file, or nothing yet ──▶ .NAME.PID.part beside it ──▶ renamed when whole; removed on an error or a signal
//! a pipe or a device     ──▶ written as it stands
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Error, Result, anyhow};

use super::signals;

/// Symbolic links that are followed to a file that is not there yet; as many as Linux follows.
const MOST_LINKS: usize = 40;

/// The half of a file that a signal has to remove.
static HALF: Mutex<Option<PathBuf>> = Mutex::new(None);

/// A file that is open for writing. Dropped before it is written, it leaves nothing behind.
#[derive(Debug)]
pub struct OutFile {
    /// `OPTION PATH`, as given.
    named: String,
    file: File,
    /// Where it is written, and what it is called when whole; none where it is written as it stands.
    half: Option<(PathBuf, PathBuf)>,
}

impl OutFile {
    /// Opens what `option` names. What stands there stays as it is until all is written.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(option: &str, path: &Path) -> Result<Self> {
        let named = format!("{option} {}", path.display());
        let name = followed(path);
        match fs::metadata(&name) {
            Ok(there) if there.is_dir() => {
                Err(anyhow!("{named}: is a folder\n  remedy: name a file in it, such as {}/NAME", path.display()))
            }
            Ok(there) if there.is_file() => Self::beside(named, &name, Some(there.permissions())),
            Ok(_) => {
                let opened = OpenOptions::new().write(true).open(&name);
                Ok(Self { file: opened.map_err(|error| refused(&named, "opened", &error))?, named, half: None })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Self::beside(named, &name, None),
            Err(error) => Err(refused(&named, "looked at", &error)),
        }
    }

    fn beside(named: String, name: &Path, like: Option<fs::Permissions>) -> Result<Self> {
        let Some(last) = name.file_name() else {
            return Err(anyhow!("{named}: names no file\n  remedy: name a file in a folder that exists"));
        };
        let half = name.with_file_name(format!(".{}.{}.part", last.to_string_lossy(), std::process::id()));
        signals::end_in_order();
        // Held while the file comes to be, so that a signal finds it.
        let mut to_remove = HALF.lock().unwrap_or_else(PoisonError::into_inner);
        let file = File::create_new(&half).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                anyhow!("{named}: {} is in the way, of a run that was cut off\n  remedy: remove it", half.display())
            }
            _ => refused(&named, "created", &error),
        })?;
        *to_remove = Some(half.clone());
        drop(to_remove);
        let out = Self { named, file, half: Some((half, name.to_owned())) };
        if let Some(like) = like {
            out.file.set_permissions(like).with_context(|| out.named.clone())?;
        }
        Ok(out)
    }

    /// Writes it; then it has its name.
    ///
    /// # Errors
    /// When it cannot be written. Then what stood there before still does.
    pub fn write(self, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let mut out = BufWriter::new(&self.file);
        let written = fill(&mut out).and_then(|()| out.flush().context("write"));
        drop(out);
        written.with_context(|| self.named.clone())?;
        if let Some((half, name)) = &self.half {
            fs::rename(half, name).map_err(|error| refused(&self.named, "renamed", &error))?;
        }
        Ok(())
    }
}

impl Drop for OutFile {
    fn drop(&mut self) {
        if self.half.is_some() {
            abandon();
        }
    }
}

/// Removes what is written by half, if anything is.
pub fn abandon() {
    if let Some(half) = HALF.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // Nothing is there any more where it was renamed.
        fs::remove_file(half).ok();
    }
}

/// The file that links lead to, there or not.
fn followed(path: &Path) -> PathBuf {
    let mut name = path.to_owned();
    for _ in 0..MOST_LINKS {
        // What links of the system itself lead to need not have a name.
        if fs::metadata(&name).is_ok_and(|there| !there.is_file()) {
            break;
        }
        let Ok(to) = fs::read_link(&name) else { break };
        name = name.parent().unwrap_or(Path::new("")).join(to);
    }
    name
}

fn refused(named: &str, done: &str, error: &std::io::Error) -> Error {
    anyhow!(
        "{named}: cannot be {done}: {error}\n  remedy: name a file in a folder that exists and that you may write to"
    )
}
