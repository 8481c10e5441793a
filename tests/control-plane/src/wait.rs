//! Waits for something to become so.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

use crate::Error;

const POLL: Duration = Duration::from_millis(100);

/// Looks again and again until what is hoped for is there. `look` gives it, or says what it saw instead.
///
/// # Errors
/// It was not there in time; the error says what was seen last.
pub fn wait_for<T, E: Display>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<T, E>,
) -> Result<T, Error> {
    let begin = Instant::now();
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(seen) if begin.elapsed() >= limit => {
                return Err(Error::NotSoon { what: what.to_owned(), limit, seen: seen.to_string() });
            }
            Err(_) => thread::sleep(POLL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_until_it_is_there() {
        let mut n_looks = 0;
        let look = || {
            n_looks += 1;
            if n_looks == 2 { Ok("found") } else { Err("not yet") }
        };
        assert_eq!(wait_for("it", Duration::from_secs(30), look).unwrap(), "found");
    }

    #[test]
    fn who_waits_in_vain_says_for_what_and_what_was_there() {
        let error = wait_for("rain", Duration::ZERO, || Err::<(), _>("sun")).unwrap_err().to_string();
        assert!(error.contains("rain") && error.contains("sun"), "{error}");
    }
}
