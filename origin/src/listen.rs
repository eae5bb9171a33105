//! Listening sockets, TCP and UDP: one per thread on one address, all bound before anything is served. Not the accept
//! loop, which is in `worker.rs`. Called by `server.rs`.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::error::StartError;
use crate::limits::{BACKLOG, PORT_TRIES, QUIC_SOCKET_BUFFER};

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

/// The sockets of one address and port for TLS over TCP and for QUIC over UDP.
pub(crate) struct Both {
    pub(crate) tcp: Vec<TcpListener>,
    pub(crate) udp: Vec<UdpSocket>,
    pub(crate) bound: SocketAddr,
}

/// Binds `count` sockets of each kind to `addr`. A port that is picked is free for both.
pub(crate) fn bind_both(addr: SocketAddr, count: usize) -> Result<Both, StartError> {
    let tries = if addr.port() == 0 { PORT_TRIES } else { 1 };
    for left in (0..tries).rev() {
        let (tcp, bound) = bind(addr, count).map_err(|source| StartError::Listen { addr, source })?;
        match bind_udp(bound, count) {
            Ok(udp) => return Ok(Both { tcp, udp, bound }),
            // Somebody has that one; the kernel picks another.
            Err(source) if source.kind() == io::ErrorKind::AddrInUse && left > 0 => {}
            Err(source) => return Err(StartError::ListenQuic { addr: bound, source }),
        }
    }
    unreachable!("the last try returns")
}

fn bind_udp(addr: SocketAddr, count: usize) -> io::Result<Vec<UdpSocket>> {
    let shared = count > 1;
    if shared {
        drop(udp_socket(addr, false)?);
    }
    (0..count).map(|_| udp_socket(addr, shared)).collect()
}

fn udp_socket(addr: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_recv_buffer_size(QUIC_SOCKET_BUFFER)?;
    socket.set_send_buffer_size(QUIC_SOCKET_BUFFER)?;
    socket.bind(&addr.into())?;
    Ok(socket.into())
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
