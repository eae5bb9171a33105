//! Every bound of this crate, with its reason. What a peer can make us keep or do is bounded here and nowhere else.

/// Bytes of one response's header block as they come, all CONTINUATION frames together. Servers and proxies accept 8 to
/// 64 KiB by default; beyond four times that no answer is meant to be read. Exceeding it ends the connection, since a
/// block that is not decoded leaves the tables out of step.
pub(crate) const HEADER_BLOCK: usize = 256 * 1024;

/// Bytes of one header list after decoding, counted as RFC 9113 section 6.5.2 counts them. A block of [`HEADER_BLOCK`]
/// bytes can stand for a gigabyte; the fields beyond this are counted but not kept, and the request fails.
pub(crate) const HEADER_LIST: u64 = 256 * 1024;

/// CONTINUATION frames of one block: [`HEADER_BLOCK`] in the smallest frames that any real sender makes (4 KiB), rounded
/// up. Empty and tiny ones in endless number are a known attack.
pub(crate) const CONTINUATIONS: u32 = 128;

/// Entries of one SETTINGS frame. Nine settings are registered; nginx, h2 and nghttp2 send fewer than ten.
pub(crate) const SETTINGS_ENTRIES: u32 = 128;

/// 1xx responses to one request. 103 may be sent a few times, 102 every 20 seconds.
pub(crate) const INFORMATIONAL: u8 = 100;

/// Frames that carry nothing for us (SETTINGS, PING, PRIORITY, WINDOW_UPDATE, empty DATA, unknown ones, frames on closed
/// streams): so many are free at once ...
pub(crate) const IDLE_FRAMES: u32 = 10_000;
/// ... so many more each second: a server that measures the path with PING sends a few hundred ...
pub(crate) const IDLE_FRAMES_PER_SECOND: u64 = 1_000;
/// ... and so many for each response that ended and each DATA frame that carried content either way.
pub(crate) const IDLE_FRAMES_PER_USE: u32 = 4;

/// Acknowledgements (PING, SETTINGS) waiting to be sent. The driver flushes after each batch of input, so more pile up
/// only where the peer floods or does not read (nghttp2 stops at the same number).
pub(crate) const PENDING_ACKS: usize = 1_000;

/// Requests in flight before the peer's SETTINGS arrive: what nghttp2 assumes, and the least that RFC 9113 section 6.5.2
/// recommends a server to allow. A server that allows fewer refuses the rest, which is `unprocessed`.
pub(crate) const STREAMS_BEFORE_SETTINGS: u32 = 100;

/// The last stream id a client can use (RFC 9113 section 5.1.1).
pub(crate) const LAST_STREAM_ID: u32 = 0x7fff_ffff;

/// Templates whose encoded form a connection keeps: 32 bytes and a block of some ten bytes each. Those beyond are encoded
/// anew each time.
pub(crate) const CACHED_TEMPLATES: usize = 256;

/// Bytes of a header block that is remembered so that an identical one need not be decoded.
pub(crate) const REMEMBERED_BLOCK: usize = 512;

/// Payload of a DATA frame of ours. Larger ones would win nothing and let one upload hold up the others.
pub(crate) const DATA_FRAME: usize = 64 * 1024;

/// Payload below which a DATA frame is not begun only to fill the rest of a write.
pub(crate) const DATA_FRAME_WORTHWHILE: usize = 1024;

/// Payload of a DATA frame made where the driver takes fewer bytes at once than a frame header needs.
pub(crate) const DATA_FRAME_TINY: usize = 64;

/// Capacity that a buffer keeps when it is empty; above it, an idle connection gives the memory back.
pub(crate) const KEPT_CAPACITY: usize = 64 * 1024;

/// Part of the dynamic table that paths may fill, so that a list of thousands of paths leaves room for the fields that
/// all of them share.
pub(crate) const PATHS_OF_TABLE: usize = 2;

// The relations that the code relies on.
const _: () = {
    assert!(HEADER_BLOCK <= u32::MAX as usize / 16);
    assert!(DATA_FRAME_TINY < DATA_FRAME_WORTHWHILE && DATA_FRAME_WORTHWHILE < DATA_FRAME);
    assert!(PENDING_ACKS < IDLE_FRAMES as usize);
};
