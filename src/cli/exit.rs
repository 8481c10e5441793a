//! Codes that a command ends with; 1 is an error.

/// All is well.
pub const DONE: u8 = 0;
/// Some pods have no place, or lint found an error.
pub const UNPLACED: u8 = 2;
/// Stopped by a signal, as shells count it (128 + SIGINT).
pub const INTERRUPTED: i32 = 130;
