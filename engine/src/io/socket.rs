//! Making sockets: the only place that sets their options, for every driver.
//!
//! [`check`] tries each option of a plan on a socket that is thrown away, before the start: what the kernel refuses is told
//! once, with the option's name, the value and the remedy. [`make`] then does the same for each connection.

use scenario::plan::Socket as SocketOptions;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

/// Since Linux 6.3, not in `libc` yet: the local ports of one socket, the lowest in the lower half.
const IP_LOCAL_PORT_RANGE: libc::c_int = 51;

/// Where a connection goes, in the kernel's form too: drivers lend that to the kernel, so it must not move (`Arc`).
pub(crate) struct Peer {
    place: Place,
    address: SockAddr,
}

/// The place in our form.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Ip(SocketAddr),
    Unix(PathBuf),
}

impl Peer {
    /// An address and a port.
    pub(crate) fn ip(address: SocketAddr) -> Peer {
        Peer { place: Place::Ip(address), address: address.into() }
    }

    /// A Unix socket. A path that begins with `@` is a name in the abstract namespace (unix(7)).
    pub(crate) fn unix(path: PathBuf) -> io::Result<Peer> {
        let address = match path.to_str().and_then(|p| p.strip_prefix('@')) {
            Some(name) => SockAddr::unix(format!("\0{name}"))?,
            None => SockAddr::unix(&path)?,
        };
        Ok(Peer { place: Place::Unix(path), address })
    }

    /// The address and the port; `None`: a Unix socket.
    pub(crate) fn socket_addr(&self) -> Option<SocketAddr> {
        match self.place {
            Place::Ip(address) => Some(address),
            Place::Unix(_) => None,
        }
    }

    /// Whether it is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.socket_addr().is_none_or(|a| a.ip().is_loopback())
    }

    /// Whether it is on this machine or in a private network (RFC 1918, RFC 4193, link-local).
    pub(crate) fn is_near(&self) -> bool {
        self.socket_addr().is_none_or(|a| match a.ip() {
            IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        })
    }

    /// In the kernel's form.
    pub(crate) fn raw(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        (self.address.as_ptr().cast(), self.address.len())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Ip(address) => address.fmt(f),
            Place::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A non-blocking stream socket for this peer, bound to `from` if there is one, not connected.
pub(crate) fn make(to: &Peer, from: Option<IpAddr>, options: &SocketOptions) -> io::Result<OwnedFd> {
    let (domain, protocol) = match to.place {
        Place::Ip(address) => (Domain::for_address(address), Some(Protocol::TCP)),
        Place::Unix(_) => (Domain::UNIX, None),
    };
    let socket = Socket::new(domain, Type::STREAM.nonblocking().cloexec(), protocol)?;
    set_all(&socket, domain, options).map_err(|refusal| refusal.error)?;
    if let Some(from) = from.filter(|_| domain != Domain::UNIX) {
        bind(&socket, from)?;
    }
    // SAFETY: `into_raw_fd` gave up the only ownership of the descriptor, which is taken over here.
    Ok(unsafe { OwnedFd::from_raw_fd(socket.into_raw_fd()) })
}

/// Buffers of a UDP socket where the plan says nothing: bursts of all streams of a connection fit. What the kernel does not
/// give is told by [`check_datagrams`].
pub(crate) const DATAGRAM_BUFFER: u32 = 4 * 1024 * 1024;

/// A non-blocking UDP socket connected to this peer, from `from` if there is one, that receives many datagrams at a time
/// with their ECN bits and never lets the kernel fragment.
pub(crate) fn make_datagram(to: &Peer, from: Option<IpAddr>, options: &SocketOptions) -> io::Result<OwnedFd> {
    let Place::Ip(address) = to.place else {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "HTTP/3 needs UDP, not a Unix socket"));
    };
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    let v6 = domain == Domain::IPV6;
    for (name, force, wanted) in [
        (libc::SO_SNDBUF, libc::SO_SNDBUFFORCE, options.send_buffer),
        (libc::SO_RCVBUF, libc::SO_RCVBUFFORCE, options.receive_buffer),
    ] {
        let wanted = wanted.unwrap_or(DATAGRAM_BUFFER) as libc::c_int;
        // With CAP_NET_ADMIN beyond the kernel's limit, else up to it.
        if set_int(&socket, libc::SOL_SOCKET, force, wanted).is_err() {
            set_int(&socket, libc::SOL_SOCKET, name, wanted)?;
        }
    }
    // Without GRO (before Linux 5.0) each datagram comes alone: slower, and nothing else.
    let _ = set_int(&socket, libc::SOL_UDP, libc::UDP_GRO, 1);
    want_ecn(&socket, v6)?;
    let (level, discover, probe) = match v6 {
        true => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE),
        false => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE),
    };
    // QUIC finds the size by itself (RFC 9000 section 14).
    set_int(&socket, level, discover, probe)?;
    if let Some(us) = options.busy_poll_us {
        set_int(&socket, libc::SOL_SOCKET, libc::SO_BUSY_POLL, us as libc::c_int)?;
    }
    if let Some(name) = &options.device {
        socket.bind_device(Some(name.as_bytes()))?;
    }
    if let Some(mark) = options.mark {
        set_int(&socket, libc::SOL_SOCKET, libc::SO_MARK, mark as libc::c_int)?;
    }
    if let Some(from) = from {
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    socket.connect(&to.address)?;
    // SAFETY: `into_raw_fd` gave up the only ownership of the descriptor, which is taken over here.
    Ok(unsafe { OwnedFd::from_raw_fd(socket.into_raw_fd()) })
}

/// Has the ECN bits of each datagram told.
pub(crate) fn want_ecn(socket: &impl AsRawFd, v6: bool) -> io::Result<()> {
    match v6 {
        true => set_int(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1),
        false => set_int(socket, libc::IPPROTO_IP, libc::IP_RECVTOS, 1),
    }
}

/// Tries a UDP socket to each peer. Errors name what is refused; a buffer that the kernel cuts is a warning.
pub(crate) fn check_datagrams(
    peers: &[&Peer],
    sources: &[IpAddr],
    options: &SocketOptions,
) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    for peer in peers {
        let from = sources.first().copied();
        let fd = make_datagram(peer, from, options).map_err(|e| format!("no UDP socket to {peer}: {e}"))?;
        let wanted = SocketOptions {
            send_buffer: options.send_buffer.or(Some(DATAGRAM_BUFFER)),
            receive_buffer: options.receive_buffer.or(Some(DATAGRAM_BUFFER)),
            ..options.clone()
        };
        if warnings.is_empty() {
            warnings = buffers_cut(&Socket::from(fd), &wanted);
        }
    }
    Ok(warnings)
}

/// Binds to an address and leaves the port to `connect`, which then only needs one that is free towards this peer: the
/// number of connections is bounded per peer and not in all (ip(7), `IP_BIND_ADDRESS_NO_PORT`).
fn bind(socket: &Socket, from: IpAddr) -> io::Result<()> {
    set_int(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
    socket.bind(&SocketAddr::new(from, 0).into())
}

/// An option that the kernel refuses.
struct Refusal {
    option: &'static str,
    value: String,
    error: io::Error,
}

fn set_all(socket: &Socket, domain: Domain, o: &SocketOptions) -> Result<(), Refusal> {
    let int = |option: &'static str, level, name, value: u32| {
        set_int(socket, level, name, value as libc::c_int).map_err(|error| Refusal {
            option,
            value: value.to_string(),
            error,
        })
    };
    let text = |option: &'static str, value: &str, result: io::Result<()>| {
        result.map_err(|error| Refusal { option, value: value.to_owned(), error })
    };
    // Before the connection: the window scale is agreed on in the handshake (tcp(7)).
    if let Some(n) = o.send_buffer {
        int("SO_SNDBUF", libc::SOL_SOCKET, libc::SO_SNDBUF, n)?;
    }
    if let Some(n) = o.receive_buffer {
        int("SO_RCVBUF", libc::SOL_SOCKET, libc::SO_RCVBUF, n)?;
    }
    if domain == Domain::UNIX {
        return Ok(());
    }
    int("TCP_NODELAY", libc::IPPROTO_TCP, libc::TCP_NODELAY, u32::from(o.nodelay))?;
    if o.quickack {
        int("TCP_QUICKACK", libc::IPPROTO_TCP, libc::TCP_QUICKACK, 1)?;
    }
    if let Some(us) = o.busy_poll_us {
        int("SO_BUSY_POLL", libc::SOL_SOCKET, libc::SO_BUSY_POLL, us)?;
    }
    if let Some(name) = &o.congestion {
        text("TCP_CONGESTION", name, socket.set_tcp_congestion(name.as_bytes()))?;
    }
    if let Some(name) = &o.device {
        text("SO_BINDTODEVICE", name, socket.bind_device(Some(name.as_bytes())))?;
    }
    if let Some(mark) = o.mark {
        int("SO_MARK", libc::SOL_SOCKET, libc::SO_MARK, mark)?;
    }
    if let Some(dscp) = o.dscp {
        // The upper six of the eight bits (RFC 2474 section 3); the kernel keeps the lower two, which are ECN's.
        let (option, level, name) = match domain == Domain::IPV6 {
            true => ("IPV6_TCLASS (DSCP)", libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
            false => ("IP_TOS (DSCP)", libc::IPPROTO_IP, libc::IP_TOS),
        };
        int(option, level, name, u32::from(dscp) << 2)?;
    }
    if let Some((low, high)) = o.local_ports {
        let result = set_int(
            socket,
            libc::IPPROTO_IP,
            IP_LOCAL_PORT_RANGE,
            (u32::from(high) << 16 | u32::from(low)) as i32,
        );
        text("IP_LOCAL_PORT_RANGE", &format!("{low}-{high}"), result)?;
    }
    Ok(())
}

/// Tries every option and every source address on sockets that are thrown away. Warnings come back; an error names what
/// the kernel refuses and the remedy.
pub(crate) fn check(
    peers: &[&Peer],
    sources: &[IpAddr],
    options: &SocketOptions,
) -> Result<Vec<String>, String> {
    let mut domains: Vec<Domain> = Vec::new();
    for peer in peers {
        let domain = match peer.place {
            Place::Ip(address) => Domain::for_address(address),
            Place::Unix(_) => Domain::UNIX,
        };
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    let new = |domain| {
        Socket::new(domain, Type::STREAM.cloexec(), None)
            .map_err(|e| format!("no socket of family {domain:?} can be made: {e}"))
    };
    let mut warnings = Vec::new();
    for &domain in &domains {
        let socket = new(domain)?;
        set_all(&socket, domain, options).map_err(|refusal| explain(&refusal))?;
        if warnings.is_empty() {
            warnings = buffers_cut(&socket, options);
        }
    }
    for &source in sources {
        let domain = if source.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        bind(&new(domain)?, source).map_err(|error| explain_source(source, &error))?;
    }
    Ok(warnings)
}

/// The kernel gives no more buffer than its limit and says nothing (socket(7)). What it gives is doubled, for its own use.
fn buffers_cut(socket: &Socket, options: &SocketOptions) -> Vec<String> {
    let cut = |name: &str, sysctl: &str, wanted: Option<u32>, given: io::Result<usize>| {
        let (wanted, given) = (wanted? as usize, given.ok()? / 2);
        (given < wanted).then(|| {
            format!("{name} {wanted}: the kernel gives {given} bytes: raise its limit with sysctl -w {sysctl}={wanted}")
        })
    };
    [
        cut("SO_SNDBUF", "net.core.wmem_max", options.send_buffer, socket.send_buffer_size()),
        cut("SO_RCVBUF", "net.core.rmem_max", options.receive_buffer, socket.recv_buffer_size()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn explain(refusal: &Refusal) -> String {
    let Refusal { option, value, error } = refusal;
    let denied = matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES));
    let missing = matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV | libc::ENOPROTOOPT));
    let remedy = match *option {
        "TCP_CONGESTION" if missing => format!(
            "this kernel has {}: load the module with modprobe tcp_{value}, or name one of these",
            available_congestion()
        ),
        "TCP_CONGESTION" if denied => format!(
            "allow it with sysctl -w net.ipv4.tcp_allowed_congestion_control='reno cubic {value}', or run with CAP_NET_ADMIN"
        ),
        "SO_BINDTODEVICE" if missing => "there is no such interface: `ip link` lists them".into(),
        "SO_BINDTODEVICE" if denied => capability("CAP_NET_RAW"),
        "SO_MARK" if denied => capability("CAP_NET_ADMIN"),
        "SO_BUSY_POLL" if denied => format!(
            "more than net.core.busy_read: raise that with sysctl -w net.core.busy_read={value}, or run with CAP_NET_ADMIN"
        ),
        "IP_LOCAL_PORT_RANGE" if missing => {
            "Linux 6.3 or later is needed: use sysctl -w net.ipv4.ip_local_port_range='LOW HIGH'".into()
        }
        _ => "leave the option out, or give another value".into(),
    };
    format!("the socket option {option} cannot be set to {value}: {error}: {remedy}")
}

fn capability(name: &str) -> String {
    format!("run as root or with {name} (setcap {}+ep on the loadgen binary)", name.to_lowercase())
}

fn available_congestion() -> String {
    let list = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
    list.map_or_else(|_| "others".into(), |l| l.trim().to_owned())
}

fn explain_source(source: IpAddr, error: &io::Error) -> String {
    let remedy = match error.raw_os_error() {
        Some(libc::EADDRNOTAVAIL) => {
            let bits = if source.is_ipv4() { 32 } else { 128 };
            format!(
                "it is not an address of this machine: add it with `ip addr add {source}/{bits} dev lo` (or the interface's \
                 name), or leave it out"
            )
        }
        _ => "leave it out".into(),
    };
    format!("connections cannot come from {source}: {error}: {remedy}")
}

fn set_int(
    socket: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the option value is a c_int that lives through the call; a closed or wrong descriptor only gives an error.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `SO_RCVLOWAT`: how many bytes must be there before a receive completes. Failing is harmless: more wake-ups.
pub(crate) fn set_low_water(fd: RawFd, bytes: u32) {
    let _ = set_int(&fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, bytes as libc::c_int);
}

/// `TCP_QUICKACK` once more: the kernel leaves that mode by itself (tcp(7)). Failing is harmless: later acknowledgements.
pub(crate) fn set_quickack(fd: RawFd) {
    let _ = set_int(&fd, libc::IPPROTO_TCP, libc::TCP_QUICKACK, 1);
}

/// What was sent on a TCP socket and not acknowledged (`SIOCOUTQ`, tcp(7); libc names it as for terminals). Failing is the
/// same as nothing.
pub(crate) fn unacknowledged(fd: RawFd) -> u64 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the kernel writes one c_int, which lives through the call; a closed or wrong descriptor only gives an error.
    let result = unsafe { libc::ioctl(fd, libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { u64::try_from(bytes).unwrap_or(0) } else { 0 }
}

/// Where a connected socket is bound; `None` for a Unix socket.
pub(crate) fn local_address(fd: &impl AsFd) -> Option<SocketAddr> {
    SockRef::from(fd).local_addr().ok()?.as_socket()
}

/// Sends FIN and ends receiving, so that operations in the kernel on this socket end.
pub(crate) fn shutdown(fd: &impl AsRawFd) {
    // SAFETY: no memory is passed; a closed descriptor only gives an error.
    unsafe {
        libc::shutdown(fd.as_raw_fd(), libc::SHUT_RDWR);
    }
}

/// Sends FIN; receiving goes on.
pub(crate) fn shutdown_write(fd: &impl AsRawFd) {
    // SAFETY: as above.
    unsafe {
        libc::shutdown(fd.as_raw_fd(), libc::SHUT_WR);
    }
}

/// Starts to connect. Whether it succeeded is known once the socket is writable: see [`take_error`].
pub(crate) fn connect(fd: &OwnedFd, to: &Peer) -> io::Result<()> {
    match SockRef::from(fd).connect(&to.address) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(()),
    }
}

/// The error a socket has met, such as the reason why it is not connected.
pub(crate) fn take_error(fd: BorrowedFd<'_>) -> io::Result<()> {
    SockRef::from(&fd).take_error()?.map_or(Ok(()), Err)
}

/// Sends what the kernel takes now.
#[inline]
pub(crate) fn send(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: the slice lives through the call; a closed or wrong descriptor only gives an error.
    count(unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) })
}

/// Receives what is there. 0: the peer will send no more.
#[inline]
pub(crate) fn receive(fd: RawFd, memory: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the kernel writes at most `len` bytes into the slice, which lives through the call.
    count(unsafe { libc::recv(fd, memory.as_mut_ptr().cast(), memory.len(), libc::MSG_DONTWAIT) })
}

/// Throws away what is there, at most so many bytes. 0: the peer will send no more.
pub(crate) fn discard(fd: RawFd, most: usize) -> io::Result<usize> {
    let nowhere = std::ptr::NonNull::<u8>::dangling().as_ptr();
    // SAFETY: with MSG_TRUNC TCP drops the bytes and never writes to the pointer (tcp(7)).
    count(unsafe { libc::recv(fd, nowhere.cast(), most, libc::MSG_DONTWAIT | libc::MSG_TRUNC) })
}

fn count(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn ip(text: &str) -> Peer {
        Peer::ip(text.parse().unwrap())
    }

    #[test]
    fn every_option_reaches_the_socket() {
        let options = SocketOptions {
            nodelay: false,
            send_buffer: Some(20_000),
            receive_buffer: Some(30_000),
            congestion: Some("reno".into()),
            dscp: Some(46),
            ..SocketOptions::default()
        };
        for to in ["127.0.0.1:9", "[::1]:9"] {
            let fd = make(&ip(to), None, &options).unwrap();
            let socket = SockRef::from(&fd);
            assert!(!socket.tcp_nodelay().unwrap(), "{to}");
            assert_eq!(
                (socket.send_buffer_size().unwrap(), socket.recv_buffer_size().unwrap()),
                (40_000, 60_000)
            );
            assert!(socket.tcp_congestion().unwrap().starts_with(b"reno"), "{to}");
            let class = if to.starts_with('[') { socket.tclass_v6() } else { socket.tos_v4() };
            assert_eq!(class.unwrap(), 46 << 2, "{to}");
        }
        let plain = make(&ip("127.0.0.1:9"), None, &SocketOptions::default()).unwrap();
        assert!(SockRef::from(&plain).tcp_nodelay().unwrap());
    }

    #[test]
    fn a_source_leaves_the_port_to_connect() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = Peer::ip(listener.local_addr().unwrap());
        let options = SocketOptions { local_ports: Some((40_123, 40_123)), ..SocketOptions::default() };
        let connect = |from: &str| {
            let fd = make(&to, Some(from.parse().unwrap()), &options).unwrap();
            assert_eq!(local_address(&fd).unwrap().to_string(), format!("{from}:0"));
            let socket = SockRef::from(&fd);
            socket.set_nonblocking(false).unwrap();
            let done = socket.connect(&to.address);
            let from = local_address(&fd);
            (done, from, fd)
        };
        // One port is enough for a connection from each address, and for no second one.
        let (first, from, _fd) = connect("127.0.0.2");
        let (second, other, _fd) = connect("127.0.0.3");
        let (third, ..) = connect("127.0.0.2");
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(from.unwrap().to_string(), "127.0.0.2:40123");
        assert_eq!(other.unwrap().to_string(), "127.0.0.3:40123");
        assert_eq!(third.unwrap_err().raw_os_error(), Some(libc::EADDRNOTAVAIL));
    }

    #[test]
    fn what_the_kernel_refuses_is_named_with_its_value_and_the_remedy() {
        let d = SocketOptions::default();
        let check = |options: &SocketOptions| check(&[&ip("127.0.0.1:9")], &[], options);
        let congestion = SocketOptions { congestion: Some("no_such".into()), ..d.clone() };
        let device = SocketOptions { device: Some("no_such0".into()), ..d.clone() };
        for (options, parts) in [
            (
                congestion,
                ["TCP_CONGESTION cannot be set to no_such: ", "this kernel has ", "modprobe tcp_no_such"],
            ),
            (device, ["SO_BINDTODEVICE cannot be set to no_such0: ", "no such interface", "`ip link`"]),
        ] {
            let error = check(&options).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{part} is not in: {error}");
            }
        }
        assert_eq!(check(&d), Ok(vec![]));
        let large = SocketOptions { receive_buffer: Some(1 << 30), ..d };
        let warnings = check(&large).unwrap();
        assert!(warnings[0].contains("sysctl -w net.core.rmem_max=1073741824"), "{warnings:?}");
    }

    #[test]
    fn what_needs_a_right_says_which() {
        let denied = |option, value: &str| {
            let error = io::Error::from_raw_os_error(libc::EPERM);
            explain(&Refusal { option, value: value.into(), error })
        };
        for (text, part) in [
            (denied("SO_MARK", "7"), "setcap cap_net_admin+ep"),
            (denied("SO_BINDTODEVICE", "eth0"), "setcap cap_net_raw+ep"),
            (denied("SO_BUSY_POLL", "50"), "sysctl -w net.core.busy_read=50"),
            (denied("TCP_CONGESTION", "bbr"), "tcp_allowed_congestion_control='reno cubic bbr'"),
        ] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    }

    #[test]
    fn a_source_that_is_not_of_this_machine() {
        let sources = ["127.0.0.9", "192.0.2.77"].map(|a| a.parse().unwrap());
        let error = check(&[&ip("127.0.0.1:9")], &sources, &SocketOptions::default()).unwrap_err();
        assert!(
            error.contains("cannot come from 192.0.2.77") && error.contains("ip addr add 192.0.2.77/32"),
            "{error}"
        );
    }
}
