//! Every bound of this crate, with its reason.

use std::time::Duration;

/// Largest response head. haproxy and nginx stop at 16 and 32 KiB; cookies of real sites need a little more.
pub const MAX_HEAD: usize = 64 * 1024;
/// Most fields in a head or a trailer section. Apache's own limit is 100.
pub const MAX_FIELDS: usize = 128;
/// Largest trailer section: trailers carry a checksum and a timing, not content.
pub const MAX_TRAILERS: usize = 16 * 1024;
/// Most 1xx responses before one final response. `102` and `103` come a few times; a flood would never end.
pub const MAX_INFORMATIONAL: u8 = 64;
/// Bytes of chunk extensions and padding in one response: nobody reads them, so they only cost.
pub const MAX_CHUNK_EXTENSIONS: u16 = 16 * 1024;
/// Hex digits of a chunk size, leading zeros included: as many as a `u64` has.
pub const MAX_CHUNK_DIGITS: u8 = 16;
/// Largest `content-length` and chunk size: sums and casts of what follows never overflow.
pub const MAX_LENGTH: u64 = i64::MAX as u64;
/// A carry-over or output buffer larger than this is given back once empty: idle connections must cost little.
pub const KEEP_BUFFER: usize = 8 * 1024;
/// How long a request body waits for `100 (Continue)`. RFC 9110 section 10.1.1 forbids to wait without end; curl waits 1 s.
pub const EXPECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Heads remembered per thread, one for each template (modulo this number).
pub const MEMO_SLOTS: usize = 8;
/// Largest head remembered: with more in it (cookies, policies) heads rarely repeat.
pub const MEMO_HEAD: usize = 1024;
