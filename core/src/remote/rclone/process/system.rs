//! What differs between systems: a child that does not outlive us, and asking it to end.

use std::path::Path;

use tokio::process::{Child, Command};

/// Runs a program and, beside it, a watchdog that ends it when our end of its standard input is
/// closed without a word: when we died, however that happened.
///
/// The shell becomes the program (`exec`), so its process id, status and signals are the program's.
/// The kernel's own means (PR_SET_PDEATHSIG) is tied to the *thread* that started the child, and a
/// thread of a runtime may end long before the process.
#[cfg(unix)]
const LEASH: &str = r#"
exec 3<&0
(
    read -r _ <&3 && exit 0
    kill -TERM $$
    left=15
    while kill -0 $$ && [ $left -gt 0 ]; do sleep 1; left=$((left - 1)); done
    kill -KILL $$
) </dev/null >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-
"#;

/// The command that runs `program`, its arguments still to be added, its standard input a pipe
/// that must stay open as long as it shall run.
#[cfg(unix)]
pub(super) fn on_a_leash(program: &Path) -> Command {
    let shell = Path::new("/bin/sh");
    let mut command = if shell.exists() {
        let mut command = Command::new(shell);
        command.arg("-c").arg(LEASH).arg("rclone").arg(program);
        command
    } else {
        tracing::warn!("there is no /bin/sh: rclone will outlive us if we are killed");
        Command::new(program)
    };
    // Ctrl-C at the terminal is for us; we end rclone in order.
    command.process_group(0);
    command
}

#[cfg(not(unix))]
pub(super) fn on_a_leash(program: &Path) -> Command {
    Command::new(program)
}

/// Asks a child to end, and what it started with it.
#[cfg(unix)]
pub(super) fn terminate(child: &mut Child) {
    signal(child, rustix::process::Signal::TERM);
}

/// Ends a child, and what it started with it.
#[cfg(unix)]
pub(super) fn kill(child: &mut Child) {
    signal(child, rustix::process::Signal::KILL);
}

#[cfg(unix)]
fn signal(child: &mut Child, signal: rustix::process::Signal) {
    // The id is there until the child was waited for, so it cannot be another's.
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

#[cfg(not(unix))]
pub(super) fn terminate(child: &mut Child) {
    kill(child);
}

#[cfg(not(unix))]
pub(super) fn kill(child: &mut Child) {
    let _ = child.start_kill();
}
