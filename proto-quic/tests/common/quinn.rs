//! A server over `quinn_proto` that reads streams to their end, checks their bytes and answers as it was asked to.

use super::quic::{Heard, Quic};
use super::{ALPN, server_tls};
use proto::Time;
use quinn_proto::crypto::rustls::QuicServerConfig;
use quinn_proto::{Dir, EndpointConfig, ServerConfig, StreamId, TransportConfig};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

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
    pub quic: Quic,
    pub connected: bool,
    /// Bytes of each stream so far, and the length of the response it asks for.
    reading: BTreeMap<u64, (u64, Vec<u8>)>,
    /// Streams that came to their end, with their length.
    pub whole: BTreeMap<u64, u64>,
}

/// A configuration with the tests' certificate.
pub fn server_config() -> ServerConfig {
    static TLS: OnceLock<Arc<QuicServerConfig>> = OnceLock::new();
    let tls = TLS.get_or_init(|| Arc::new(QuicServerConfig::try_from(server_tls(ALPN, true)).unwrap()));
    ServerConfig::with_crypto(tls.clone())
}

impl Server {
    pub fn with(adjust: impl FnOnce(&mut TransportConfig)) -> Server {
        Server::made(server_config(), EndpointConfig::default(), adjust)
    }

    pub fn made(
        config: ServerConfig,
        endpoint: EndpointConfig,
        adjust: impl FnOnce(&mut TransportConfig),
    ) -> Server {
        Server {
            quic: Quic::new(config, endpoint, adjust),
            connected: false,
            reading: BTreeMap::new(),
            whole: BTreeMap::new(),
        }
    }

    pub fn datagram(&mut self, now: Time, ecn: u8, datagram: &[u8]) {
        self.quic.datagram(now, ecn, datagram);
        self.hear();
    }

    fn hear(&mut self) {
        while let Some(heard) = self.quic.poll() {
            match heard {
                Heard::Connected => self.connected = true,
                Heard::Data(id, bytes) => self.data(id.into(), &bytes),
                Heard::Fin(id) => self.end(id),
                Heard::Reset(..) | Heard::Stopped(..) => {}
            }
        }
    }

    fn data(&mut self, id: u64, bytes: &[u8]) {
        let (len, head) = self.reading.entry(id).or_default();
        for byte in bytes {
            if *len < 8 {
                head.push(*byte);
            } else {
                assert_eq!(*byte, pattern(id, *len), "stream {id} at {len}");
            }
            *len += 1;
        }
    }

    fn end(&mut self, id: StreamId) {
        let number = u64::from(id);
        let (len, head) = self.reading.remove(&number).unwrap_or_default();
        assert_eq!(self.whole.insert(number, len), None, "stream {number} ends twice");
        if id.dir() == Dir::Bi {
            let wanted = u64::from_be_bytes(head.try_into().expect("eight bytes"));
            self.write(id, wanted);
        }
    }

    /// So many bytes of the pattern on a stream, then its end.
    pub fn write(&mut self, id: StreamId, len: u64) {
        let bytes: Vec<u8> = (0..len).map(|o| pattern(id.into(), o)).collect();
        self.quic.write(id, &bytes, true);
    }

    /// Datagrams that go out now, after the timers that are due.
    pub fn transmit(&mut self, now: Time) -> Vec<(Vec<u8>, u8)> {
        self.quic.fire(now);
        self.hear();
        self.quic.transmit(now)
    }
}
