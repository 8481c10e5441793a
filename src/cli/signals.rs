//! What a signal ends, is ended in order: the terminal is given back, and no half of a file stays behind.

use std::sync::Once;

use super::{outfile, screen};

/// Puts things in order and ends the process.
pub fn end(code: i32) -> ! {
    outfile::abandon();
    screen::restore_and_exit(code)
}

/// From now on SIGTERM and SIGHUP end the process in order, with the code they end it with anyway. SIGINT has its handler in
/// the command line.
pub fn end_in_order() {
    static ONCE: Once = Once::new();
    // Without it a signal ends the process as ever, and leaves the terminal to `reset`.
    ONCE.call_once(|| drop(listen()));
}

#[cfg(unix)]
fn listen() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Here and not on the thread: what comes next may rely on it.
    let entered = runtime.enter();
    let (mut terminate, mut hang_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    drop(entered);
    let wait = move || {
        runtime.block_on(async {
            let number = tokio::select! {
                _ = terminate.recv() => SignalKind::terminate(),
                _ = hang_up.recv() => SignalKind::hangup(),
            };
            // As shells count it.
            end(128 + number.as_raw_value())
        })
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).map(drop)
}

#[cfg(not(unix))]
fn listen() -> std::io::Result<()> {
    Ok(())
}
