//! Words beside the output, on stderr. Nobody there to hear them, or a full disk, is no error: the output is what counts.

use std::fmt::Display;
use std::io::Write as _;

/// Says one line.
pub fn tell(line: impl Display) {
    // In one piece, so that lines of several threads stay whole.
    let line = format!("{line}\n");
    std::io::stderr().write_all(line.as_bytes()).ok();
}
