//! A lock between processes, freed by the system however its holder ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::Error;

/// Held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock; `waiting` is called once if another process has it.
    pub fn wait(path: &Path, waiting: impl FnOnce()) -> Result<Self, Error> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waiting();
                file.lock().map_err(Error::file("lock", path))?;
            }
            Err(TryLockError::Error(source)) => return Err(Error::file("lock", path)(source)),
        }
        Ok(Self { _file: file })
    }

    /// Takes the lock if it is free; none if it is not, or if the file belongs to somebody else.
    pub fn attempt(path: &Path) -> Option<Self> {
        let file = open(path).ok()?;
        file.try_lock().ok()?;
        Some(Self { _file: file })
    }
}

fn open(path: &Path) -> Result<File, Error> {
    OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(Error::file("open", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_by_one_and_free_after_it() {
        let path = std::env::temp_dir().join(format!("millwright-lock-{}", std::process::id()));
        let first = Lock::attempt(&path).unwrap();
        assert!(Lock::attempt(&path).is_none());
        drop(first);
        let mut has_waited = false;
        drop(Lock::wait(&path, || has_waited = true).unwrap());
        assert!(!has_waited);
        std::fs::remove_file(&path).unwrap();
    }
}
