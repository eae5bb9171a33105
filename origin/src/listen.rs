//! Listening sockets: one per thread on one address, all bound before anything is served. Not the accept
//! loop, which is in `worker.rs`. Called by `server.rs`.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::limits::BACKLOG;

/// Binds `count` listeners to `addr` and tells which address that became (port 0 picks one).
pub(crate) fn bind(addr: SocketAddr, count: usize) -> io::Result<(Vec<TcpListener>, SocketAddr)> {
    let shared = count > 1;
    if shared && addr.port() != 0 {
        // Sockets with SO_REUSEPORT would silently share the port with a server of the same user that still
        // runs, and the load with it. A socket without it does not.
        drop(listener(addr, false)?);
    }
    let first = listener(addr, shared)?;
    let bound = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..count {
        listeners.push(listener(bound, shared)?);
    }
    Ok((listeners, bound))
}

fn listener(addr: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    if addr.is_ipv6() {
        // So that 0.0.0.0 and :: can be served side by side, whatever net.ipv6.bindv6only says.
        socket.set_only_v6(true)?;
    }
    // Linux hands this down to accepted sockets, which saves a system call for each of them.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpStream};

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn all_listeners_share_the_port_that_was_picked() {
        let (listeners, bound) = bind(ANY, 3).unwrap();
        assert_ne!(bound.port(), 0);
        assert!(listeners.iter().all(|listener| listener.local_addr().unwrap() == bound));
    }

    #[test]
    fn a_port_in_use_is_refused_with_any_number_of_threads() {
        let (_one, bound) = bind(ANY, 1).unwrap();
        assert_eq!(bind(bound, 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(bind(bound, 2).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let (_two, bound) = bind(ANY, 2).unwrap();
        assert_eq!(bind(bound, 2).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn accepted_sockets_inherit_nodelay() {
        let (listeners, bound) = bind(ANY, 1).unwrap();
        listeners[0].set_nonblocking(false).unwrap();
        let _client = TcpStream::connect(bound).unwrap();
        let (accepted, _) = listeners[0].accept().unwrap();
        assert!(accepted.nodelay().unwrap());
    }
}
