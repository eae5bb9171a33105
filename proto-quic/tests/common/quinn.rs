//! A server over `quinn_proto`, which is nobody's work here: it reads streams to their end, checks them and answers.

use super::{instant, server_tls};
use bytes::BytesMut;
use proto::Time;
use quinn_proto::crypto::rustls::QuicServerConfig;
use quinn_proto::{
    ConnectionHandle, DatagramEvent, Dir, EcnCodepoint, Endpoint, EndpointConfig, Event, ServerConfig,
    StreamEvent, StreamId, TransportConfig,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What a stream carries at an offset: each stream something else, so that nothing can be mixed up.
pub fn pattern(id: u64, offset: u64) -> u8 {
    let v = (id << 40 ^ offset).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (v >> 56) as u8
}

/// A request: how long the response is to be, then `len` bytes of the pattern.
pub fn request(id: u64, response: u64, len: u64) -> Vec<u8> {
    let mut out = response.to_be_bytes().to_vec();
    out.extend((8..8 + len).map(|o| pattern(id, o)));
    out
}

pub struct Server {
    endpoint: Endpoint,
    pub config: Arc<ServerConfig>,
    pub quic: Option<(ConnectionHandle, quinn_proto::Connection)>,
    pub remote: SocketAddr,
    /// Everybody has to come back with a token.
    pub retry: bool,
    /// Bytes of each stream so far and the length of the response it asks for.
    reading: BTreeMap<u64, (u64, Vec<u8>)>,
    /// Streams that came to their end, with their length.
    pub whole: BTreeMap<u64, u64>,
    pub resets: BTreeMap<u64, u64>,
    pub stops: BTreeMap<u64, u64>,
    /// What is still to be said: offset and length.
    writing: BTreeMap<StreamId, (u64, u64)>,
    pub connected: bool,
    pub lost: Option<quinn_proto::ConnectionError>,
    said: Vec<Vec<u8>>,
}

fn tls() -> Arc<QuicServerConfig> {
    static TLS: OnceLock<Arc<QuicServerConfig>> = OnceLock::new();
    TLS.get_or_init(|| Arc::new(QuicServerConfig::try_from(server_tls(super::ALPN, true)).unwrap())).clone()
}

impl Server {
    pub fn with(adjust: impl FnOnce(&mut TransportConfig)) -> Server {
        Server::made(ServerConfig::with_crypto(tls()), EndpointConfig::default(), adjust)
    }

    pub fn made(
        mut config: ServerConfig,
        endpoint: EndpointConfig,
        adjust: impl FnOnce(&mut TransportConfig),
    ) -> Server {
        let mut transport = TransportConfig::default();
        transport.initial_rtt(Duration::from_millis(20));
        adjust(&mut transport);
        config.transport_config(Arc::new(transport));
        let config = Arc::new(config);
        Server {
            endpoint: Endpoint::new(Arc::new(endpoint), Some(config.clone()), true, Some([2; 32])),
            config,
            quic: None,
            remote: "127.0.0.1:50000".parse().unwrap(),
            retry: false,
            reading: BTreeMap::new(),
            whole: BTreeMap::new(),
            resets: BTreeMap::new(),
            stops: BTreeMap::new(),
            writing: BTreeMap::new(),
            connected: false,
            lost: None,
            said: Vec::new(),
        }
    }

    pub fn conn(&mut self) -> &mut quinn_proto::Connection {
        &mut self.quic.as_mut().expect("the client has said something").1
    }

    pub fn datagram(&mut self, now: Time, ecn: u8, datagram: &[u8]) {
        let mut answer = Vec::new();
        let (at, ecn) = (instant(now), EcnCodepoint::from_bits(ecn));
        match self.endpoint.handle(at, self.remote, None, ecn, BytesMut::from(datagram), &mut answer) {
            Some(DatagramEvent::NewConnection(incoming))
                if self.retry && !incoming.remote_address_validated() =>
            {
                answer.clear();
                let _ = self.endpoint.retry(incoming, &mut answer).expect("it has no token yet");
                self.said.push(answer);
            }
            Some(DatagramEvent::NewConnection(incoming)) if self.quic.is_none() => {
                answer.clear();
                match self.endpoint.accept(incoming, at, &mut answer, None) {
                    Ok(accepted) => self.quic = Some(accepted),
                    // It says why.
                    Err(_) => self.said.push(answer),
                }
            }
            Some(DatagramEvent::ConnectionEvent(_, event)) => {
                if let Some((_, conn)) = &mut self.quic {
                    conn.handle_event(event);
                }
            }
            _ => {}
        }
        self.drive();
    }

    fn drive(&mut self) {
        let Some((handle, conn)) = &mut self.quic else { return };
        while let Some(event) = conn.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                conn.handle_event(event);
            }
        }
        while let Some(event) = self.conn().poll() {
            match event {
                Event::Connected => self.connected = true,
                Event::Stream(StreamEvent::Opened { dir }) => {
                    while let Some(id) = self.conn().streams().accept(dir) {
                        self.read(id);
                    }
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                Event::Stream(StreamEvent::Writable { .. }) => self.push_writes(),
                Event::Stream(StreamEvent::Stopped { id, error_code }) => {
                    self.stops.insert(u64::from(id), error_code.into_inner());
                    let _ = self.conn().send_stream(id).reset(error_code);
                    self.writing.remove(&id);
                }
                Event::ConnectionLost { reason } => self.lost = Some(reason),
                _ => {}
            }
        }
    }

    fn read(&mut self, id: StreamId) {
        let number = u64::from(id);
        loop {
            let mut receiver = self.conn().recv_stream(id);
            let Ok(mut chunks) = receiver.read(true) else { return };
            let next = chunks.next(usize::MAX);
            drop(chunks);
            match next {
                Ok(Some(chunk)) => {
                    let (len, head) = self.reading.entry(number).or_default();
                    for byte in &chunk.bytes {
                        if *len < 8 {
                            head.push(*byte);
                        } else {
                            assert_eq!(*byte, pattern(number, *len), "stream {number} at {len}");
                        }
                        *len += 1;
                    }
                }
                Ok(None) => {
                    let (len, head) = self.reading.remove(&number).unwrap_or_default();
                    assert_eq!(self.whole.insert(number, len), None, "stream {number} ends twice");
                    if id.dir() == Dir::Bi {
                        let wanted = u64::from_be_bytes(head.try_into().expect("eight bytes"));
                        self.write(id, wanted);
                    }
                    return;
                }
                Err(quinn_proto::ReadError::Reset(code)) => {
                    self.resets.insert(number, code.into_inner());
                    return;
                }
                Err(_) => return,
            }
        }
    }

    /// So many bytes of the pattern on a stream, then its end.
    pub fn write(&mut self, id: StreamId, len: u64) {
        self.writing.insert(id, (0, len));
        self.push_writes();
    }

    fn push_writes(&mut self) {
        let Some((_, conn)) = &mut self.quic else { return };
        self.writing.retain(|id, (offset, len)| {
            let mut sender = conn.send_stream(*id);
            while offset < len {
                // Little at once: what QUIC does not take is made again.
                let upto = (*offset + 4096).min(*len);
                let bytes: Vec<u8> = (*offset..upto).map(|o| pattern(u64::from(*id), o)).collect();
                match sender.write(&bytes) {
                    Ok(n) => *offset += n as u64,
                    Err(quinn_proto::WriteError::Blocked) => return true,
                    Err(_) => return false,
                }
            }
            let _ = sender.finish();
            false
        });
    }

    /// Datagrams that go out now, and the timers that are due before.
    pub fn transmit(&mut self, now: Time) -> Vec<(Vec<u8>, u8)> {
        let mut out: Vec<(Vec<u8>, u8)> = self.said.drain(..).map(|bytes| (bytes, 0)).collect();
        if self.quic.is_none() {
            return out;
        }
        if self.poll_timeout().is_some_and(|t| t <= now) {
            self.conn().handle_timeout(instant(now));
        }
        self.drive();
        self.push_writes();
        loop {
            let mut buf = Vec::new();
            match self.conn().poll_transmit(instant(now), 1, &mut buf) {
                Some(t) => out.push((buf, t.ecn.map_or(0, |e| e as u8))),
                None => return out,
            }
        }
    }

    pub fn poll_timeout(&mut self) -> Option<Time> {
        let at = self.quic.as_mut()?.1.poll_timeout()?;
        Some(Time::from_nanos(at.saturating_duration_since(super::epoch()).as_nanos() as u64))
    }
}
