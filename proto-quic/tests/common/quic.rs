//! A server's side of QUIC over `quinn_proto`, which is nobody's work here: one connection, datagrams in and out, streams read as
//! their bytes come and written as far as they are taken. It knows nothing of what they carry: that is its owner's.
//! `proto-h3`'s tests include this file, too.

use bytes::{Buf, Bytes, BytesMut};
use proto::Time;
use quinn_proto::{
    Connection, ConnectionError, ConnectionHandle, DatagramEvent, EcnCodepoint, Endpoint, EndpointConfig,
    Event, ReadError, ServerConfig, StreamEvent, StreamId, TransportConfig, WriteError,
};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The moment that time zero stands for in tests. Any will do.
#[allow(clippy::disallowed_methods)]
pub fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}
pub fn instant(now: Time) -> Instant {
    epoch() + Duration::from_nanos(now.as_nanos())
}

/// The address that the client has at first, as far as anyone asks.
pub fn client_address() -> SocketAddr {
    "127.0.0.1:50000".parse().unwrap()
}

/// What a server learns of its connection.
#[derive(Debug)]
pub enum Heard {
    Connected,
    /// More bytes of a stream, in order.
    Data(StreamId, Bytes),
    /// A stream came to its end.
    Fin(StreamId),
    Reset(StreamId, u64),
    /// The client wants no more of a stream, which was reset for that.
    Stopped(StreamId, u64),
}

pub struct Quic {
    endpoint: Endpoint,
    conn: Option<(ConnectionHandle, Connection)>,
    /// Where the client is.
    pub remote: SocketAddr,
    /// Everybody has to come back with a token.
    pub retry: bool,
    /// How many Retry packets were sent.
    pub retries: u32,
    pub lost: Option<ConnectionError>,
    heard: VecDeque<Heard>,
    /// Bytes not yet taken, and whether FIN follows.
    writes: BTreeMap<StreamId, (BytesMut, bool)>,
    /// Datagrams of the endpoint itself.
    said: Vec<Vec<u8>>,
}

impl Quic {
    pub fn new(
        mut config: ServerConfig,
        endpoint: EndpointConfig,
        adjust: impl FnOnce(&mut TransportConfig),
    ) -> Quic {
        let mut transport = TransportConfig::default();
        transport.initial_rtt(Duration::from_millis(20));
        adjust(&mut transport);
        config.transport_config(Arc::new(transport));
        // Tokens age by the machine's clock and not by ours: a test that is held up must not outlive them.
        config.retry_token_lifetime(Duration::from_secs(100_000));
        Quic {
            endpoint: Endpoint::new(Arc::new(endpoint), Some(Arc::new(config)), true, Some([2; 32])),
            conn: None,
            remote: client_address(),
            retry: false,
            retries: 0,
            lost: None,
            heard: VecDeque::new(),
            writes: BTreeMap::new(),
            said: Vec::new(),
        }
    }

    /// Whether the client has said anything.
    pub fn is_begun(&self) -> bool {
        self.conn.is_some()
    }

    pub fn conn(&mut self) -> &mut Connection {
        &mut self.conn.as_mut().expect("the client has said something").1
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
                self.retries += 1;
                self.said.push(answer);
            }
            Some(DatagramEvent::NewConnection(incoming)) if self.conn.is_none() => {
                answer.clear();
                match self.endpoint.accept(incoming, at, &mut answer, None) {
                    Ok(accepted) => self.conn = Some(accepted),
                    // It says why.
                    Err(_) => self.said.push(answer),
                }
            }
            Some(DatagramEvent::ConnectionEvent(_, event)) => {
                if let Some((_, conn)) = &mut self.conn {
                    conn.handle_event(event);
                }
            }
            _ => {}
        }
    }

    /// What was heard and not yet told.
    pub fn poll(&mut self) -> Option<Heard> {
        while self.heard.is_empty() {
            let (handle, conn) = self.conn.as_mut()?;
            while let Some(event) = conn.poll_endpoint_events() {
                if let Some(event) = self.endpoint.handle_event(*handle, event) {
                    conn.handle_event(event);
                }
            }
            match conn.poll()? {
                Event::Connected => self.heard.push_back(Heard::Connected),
                Event::Stream(event) => self.stream_event(event),
                Event::ConnectionLost { reason } => self.lost = Some(reason),
                _ => {}
            }
        }
        self.heard.pop_front()
    }

    fn stream_event(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Opened { dir } => {
                while let Some(id) = self.conn().streams().accept(dir) {
                    self.read(id);
                }
            }
            StreamEvent::Readable { id } => self.read(id),
            StreamEvent::Writable { .. } => self.push_writes(),
            StreamEvent::Stopped { id, error_code } => {
                let _ = self.conn().send_stream(id).reset(error_code);
                self.writes.remove(&id);
                self.heard.push_back(Heard::Stopped(id, error_code.into_inner()));
            }
            _ => {}
        }
    }

    fn read(&mut self, id: StreamId) {
        let Some((_, conn)) = &mut self.conn else { return };
        let mut receiver = conn.recv_stream(id);
        let Ok(mut chunks) = receiver.read(true) else { return };
        let end = loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => self.heard.push_back(Heard::Data(id, chunk.bytes)),
                Ok(None) => break Some(Heard::Fin(id)),
                Err(ReadError::Reset(code)) => break Some(Heard::Reset(id, code.into_inner())),
                Err(ReadError::Blocked) => break None,
            }
        };
        self.heard.extend(end);
        let _ = chunks.finalize();
    }

    /// Bytes on a stream, as soon as QUIC takes them.
    pub fn write(&mut self, id: StreamId, bytes: &[u8], fin: bool) {
        let entry = self.writes.entry(id).or_default();
        entry.0.extend_from_slice(bytes);
        entry.1 |= fin;
        self.push_writes();
    }

    fn push_writes(&mut self) {
        let Some((_, conn)) = &mut self.conn else { return };
        self.writes.retain(|id, (bytes, fin)| {
            let mut sender = conn.send_stream(*id);
            while !bytes.is_empty() {
                match sender.write(bytes) {
                    Ok(n) => bytes.advance(n),
                    Err(WriteError::Blocked) => return true,
                    Err(_) => return false,
                }
            }
            if *fin {
                let _ = sender.finish();
            }
            false
        });
    }

    pub fn poll_timeout(&mut self) -> Option<Time> {
        let at = self.conn.as_mut()?.1.poll_timeout()?;
        Some(Time::from_nanos(at.saturating_duration_since(epoch()).as_nanos() as u64))
    }

    /// Timers that are due. Before [`Quic::transmit`], with what was heard in between.
    pub fn fire(&mut self, now: Time) {
        if self.poll_timeout().is_some_and(|t| t <= now) {
            self.conn().handle_timeout(instant(now));
        }
    }

    /// Datagrams that go out now, with their ECN bits.
    pub fn transmit(&mut self, now: Time) -> Vec<(Vec<u8>, u8)> {
        let mut out: Vec<(Vec<u8>, u8)> = self.said.drain(..).map(|bytes| (bytes, 0)).collect();
        self.push_writes();
        let Some((_, conn)) = &mut self.conn else { return out };
        loop {
            let mut buf = Vec::new();
            match conn.poll_transmit(instant(now), 1, &mut buf) {
                Some(t) => out.push((buf, t.ecn.map_or(0, |e| e as u8))),
                None => return out,
            }
        }
    }
}
