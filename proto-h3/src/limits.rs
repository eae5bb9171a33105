//! Every bound of this crate, with its reason. What a peer can make us keep or do is bounded here and nowhere else; what
//! it can make QUIC keep is bounded by the windows of the configuration.

/// The largest dynamic table that may be announced: the table counts its bytes in 32 bits, and a peer may fill it.
pub(crate) const TABLE: usize = 16 * 1024 * 1024;

/// Bytes of one header section as they come. Servers and proxies accept 8 to 64 KiB by default; beyond four times that no
/// answer is meant to be read. The decoded list has the bound of HTTP/2 (`proto_h2::head`).
pub(crate) const HEADER_SECTION: u64 = 256 * 1024;

/// Bytes of a SETTINGS or GOAWAY frame. A server sends some five settings of at most 16 bytes each.
pub(crate) const CONTROL_FRAME: u64 = 4096;

/// 1xx responses to one request. 103 may be sent a few times, 102 every 20 seconds.
pub(crate) const INFORMATIONAL: u8 = 100;

/// Streams that may wait for the encoder stream, as announced at most: each keeps its header section.
pub(crate) const BLOCKED_STREAMS: u16 = 256;

/// Unidirectional streams that a server may have open at once: it needs three (RFC 9114 section 6.2), and may try others.
/// h2load announces as many.
pub(crate) const UNI_STREAMS: u64 = 100;

/// Templates whose frame a connection keeps ready: some hundred bytes each. Those beyond are written anew each time.
pub(crate) const CACHED_TEMPLATES: usize = 256;

/// Bytes of a header section that is remembered so that an identical one need not be decoded.
pub(crate) const REMEMBERED_SECTION: usize = 512;

/// Capacity that a buffer keeps when it is empty; above it, the memory is given back.
pub(crate) const KEPT_CAPACITY: usize = 64 * 1024;

/// Bytes of buffer that rendered requests are cut from: many requests to one allocation.
pub(crate) const ARENA: usize = 8 * 1024;

/// Datagrams of one GSO batch: the kernel takes 64 segments and 64 KiB.
pub(crate) const SEGMENTS: usize = 64;

/// Instructions for the peer's encoder that wait because it gives our stream no credit. One acknowledgement has at most
/// nine bytes; a peer that reads none of thousands has stopped following its own table.
pub(crate) const DECODER_STREAM_BACKLOG: usize = 64 * 1024;

/// The smallest and the largest UDP payload that QUIC can use (RFC 9000 section 14, RFC 768).
pub(crate) const UDP_PAYLOAD: std::ops::RangeInclusive<u16> = 1200..=65_527;
