//! What systemd is told of a service of `Type=notify`; nothing where no supervisor asked for it.
//!
//! Source: sd_notify(3). Only Unix has it.

/// The server answers: after its start, and after each time it read its configuration again.
pub fn ready(status: &str) {
    send(&format!("READY=1\nSTATUS={}", status.replace('\n', " ")));
}

/// It reads its configuration again.
pub fn reloading() {
    send("RELOADING=1\nSTATUS=reading the configuration again");
}

/// It ends in order.
pub fn stopping() {
    send("STOPPING=1\nSTATUS=finishing what is under way");
}

#[cfg(unix)]
fn send(state: &str) {
    let Some(socket) = std::env::var_os(SOCKET).filter(|name| !name.is_empty()) else { return };
    if let Err(error) = unix::send(&socket, state) {
        tracing::warn!("the service manager at {SOCKET}={socket:?} cannot be told: {error}");
    }
}

#[cfg(not(unix))]
fn send(_: &str) {}

/// Where a supervisor listens. Not for rclone, which would speak for us.
pub const SOCKET: &str = "NOTIFY_SOCKET";

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::io;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    pub fn send(socket: &OsStr, state: &str) -> io::Result<()> {
        let address = match socket.as_bytes() {
            [b'@', name @ ..] => outside_of_files(name)?,
            _ => SocketAddr::from_pathname(socket)?,
        };
        UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
    }

    #[cfg(target_os = "linux")]
    fn outside_of_files(name: &[u8]) -> io::Result<SocketAddr> {
        <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
    }

    #[cfg(not(target_os = "linux"))]
    fn outside_of_files(_: &[u8]) -> io::Result<SocketAddr> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has such sockets"))
    }
}
