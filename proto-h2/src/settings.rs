//! Settings, ours as they are announced and the peer's as they arrive (RFC 9113 section 6.5).

use crate::fault::{self, Breach};
use crate::frame::{FrameHeader, PREFACE, kind};
use crate::{hpack, limits};
use std::time::Duration;

/// What a connection is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Requests in flight at most (h2load's `-m`), whatever more the peer allows. At least 1.
    pub max_streams: u32,
    /// A stream's receive window is 2^n - 1 bytes (`-w`), n from 1 to 30.
    pub stream_window_bits: u8,
    /// The connection's receive window likewise (`-W`).
    pub connection_window_bits: u8,
    /// The largest frame the peer may send (`-f`), 16384 to 16777215.
    pub max_frame_size: u32,
    /// The decoder's dynamic table (`--header-table-size`).
    pub header_table_size: u32,
    /// The encoder's (`--encoder-header-table-size`); the peer may allow less.
    pub encoder_header_table_size: u32,
    /// How long a body waits for `100 Continue`.
    pub continue_timeout: Duration,
}

impl Default for Config {
    /// h2load's defaults.
    fn default() -> Config {
        Config {
            max_streams: 1,
            stream_window_bits: 30,
            connection_window_bits: 30,
            max_frame_size: MIN_FRAME_SIZE,
            header_table_size: hpack::DEFAULT_TABLE_SIZE as u32,
            encoder_header_table_size: hpack::DEFAULT_TABLE_SIZE as u32,
            continue_timeout: Duration::from_secs(1),
        }
    }
}

const MIN_FRAME_SIZE: u32 = 16_384;
const MAX_FRAME_SIZE: u32 = 16_777_215;
/// A window before anything was agreed (section 6.9.2).
pub(crate) const DEFAULT_WINDOW: u32 = 65_535;

mod id {
    pub(super) const HEADER_TABLE_SIZE: u16 = 1;
    pub(super) const ENABLE_PUSH: u16 = 2;
    pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(super) const MAX_FRAME_SIZE: u16 = 5;
    pub(super) const ENABLE_CONNECT_PROTOCOL: u16 = 8;
    pub(super) const NO_RFC7540_PRIORITIES: u16 = 9;
}

impl Config {
    /// The same with every value brought into its legal range.
    pub(crate) fn clamped(self) -> Config {
        Config {
            max_streams: self.max_streams.clamp(1, 1 << 24),
            stream_window_bits: self.stream_window_bits.clamp(1, 30),
            connection_window_bits: self.connection_window_bits.clamp(1, 30),
            max_frame_size: self.max_frame_size.clamp(MIN_FRAME_SIZE, MAX_FRAME_SIZE),
            ..self
        }
    }
    pub(crate) fn stream_window(&self) -> u32 {
        (1 << self.stream_window_bits) - 1
    }
    pub(crate) fn connection_window(&self) -> u32 {
        (1 << self.connection_window_bits) - 1
    }

    /// Appends the client's preface: magic, SETTINGS, and the connection's window. As h2load does, a value is announced
    /// where it differs from the default.
    pub(crate) fn put_preface(&self, out: &mut Vec<u8>) {
        let announced = [
            (id::ENABLE_PUSH, 0, 1),
            (id::INITIAL_WINDOW_SIZE, self.stream_window(), DEFAULT_WINDOW),
            (id::HEADER_TABLE_SIZE, self.header_table_size, hpack::DEFAULT_TABLE_SIZE as u32),
            (id::MAX_FRAME_SIZE, self.max_frame_size, MIN_FRAME_SIZE),
        ];
        let entries = announced.iter().filter(|(_, value, default)| value != default);
        let len = 6 * entries.clone().count() as u32;
        out.reserve_exact(PREFACE.len() + 2 * FrameHeader::LEN + len as usize + 4);
        out.extend_from_slice(PREFACE);
        out.extend_from_slice(&FrameHeader { len, kind: kind::SETTINGS, flags: 0, stream: 0 }.bytes());
        for (id, value, _) in entries {
            out.extend_from_slice(&id.to_be_bytes());
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

/// The peer's settings in force.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerSettings {
    /// Whether any arrived: the first frame must be SETTINGS (section 3.4).
    pub(crate) seen: bool,
    /// Streams in flight at most.
    pub(crate) max_streams: u32,
    /// The same as announced.
    pub(crate) announced_streams: Option<u32>,
    /// Send window of a new stream.
    pub(crate) initial_window: u32,
    /// The largest frame we may send.
    pub(crate) max_frame_size: u32,
}

impl PeerSettings {
    pub(crate) const fn new() -> PeerSettings {
        PeerSettings {
            seen: false,
            max_streams: limits::STREAMS_BEFORE_SETTINGS,
            announced_streams: None,
            initial_window: DEFAULT_WINDOW,
            max_frame_size: MIN_FRAME_SIZE,
        }
    }

    /// Applies a SETTINGS frame's entries in order. Calls `resized` for each table size on the way: the encoder has to
    /// know the least (RFC 7541 section 4.2).
    pub(crate) fn apply(
        &mut self,
        entries: &[u8],
        mut resized: impl FnMut(u32),
    ) -> Result<(), &'static Breach> {
        if !self.seen {
            self.seen = true;
            self.max_streams = u32::MAX; // "initially, there is no limit" (section 6.5.2)
        }
        for e in entries.chunks_exact(6) {
            let value = u32::from_be_bytes([e[2], e[3], e[4], e[5]]);
            match u16::from_be_bytes([e[0], e[1]]) {
                id::HEADER_TABLE_SIZE => resized(value),
                id::ENABLE_PUSH if value != 0 => {
                    return Err(&fault::ENABLE_PUSH);
                }
                id::MAX_CONCURRENT_STREAMS => {
                    self.max_streams = value;
                    self.announced_streams = Some(value);
                }
                id::INITIAL_WINDOW_SIZE if value > 0x7fff_ffff => {
                    return Err(&fault::INITIAL_WINDOW);
                }
                id::INITIAL_WINDOW_SIZE => self.initial_window = value,
                id::MAX_FRAME_SIZE if !(MIN_FRAME_SIZE..=MAX_FRAME_SIZE).contains(&value) => {
                    return Err(&fault::MAX_FRAME_SIZE);
                }
                id::MAX_FRAME_SIZE => self.max_frame_size = value,
                id::ENABLE_CONNECT_PROTOCOL if value > 1 => {
                    return Err(&fault::CONNECT_PROTOCOL);
                }
                id::NO_RFC7540_PRIORITIES if value > 1 => {
                    return Err(&fault::NO_PRIORITIES);
                }
                // MAX_HEADER_LIST_SIZE is advice: a server that minds answers 431. Unknown ones are ignored.
                _ => {}
            }
        }
        Ok(())
    }
}
