//! Every bound of this crate that is not one file's own matter, with its reason. What a peer can make us keep is bounded here
//! and by the windows of the configuration.

/// The smallest and the largest UDP payload that QUIC can use (RFC 9000 section 14, RFC 768).
pub(crate) const UDP_PAYLOAD: std::ops::RangeInclusive<u16> = 1200..=65_527;

/// Gaps in what came of one stream. A window of 16 MB in packets of 1200 bytes has some 7,000 if every second one is lost.
pub(crate) const GAPS: usize = 16_384;

/// Bytes of CRYPTO frames that wait for those in front of them (RFC 9000 section 7.5 asks for 4096 at least). Chains of large
/// certificates have some 20 KB.
pub(crate) const CRYPTO_BUFFER: u64 = 64 * 1024;

/// Packets that came before the keys for them: what follows a lost ServerHello, of one flight.
pub(crate) const UNDECRYPTABLE: usize = 10;

/// PATH_CHALLENGE frames that wait for their answer. One is under way at a time; a peer that sends more has the last ones answered.
pub(crate) const PATH_RESPONSES: usize = 4;

/// Bytes of a reason in our CONNECTION_CLOSE: a sentence.
pub(crate) const REASON: usize = 200;

/// Ranges of packet numbers received that are remembered for acknowledgements. A peer that loses more in one round trip has
/// older ones sent again in vain.
pub(crate) const ACK_RANGES: usize = 64;

/// Unidirectional streams of the server at once, at most: each is looked for in a list.
pub(crate) const UNI_STREAMS: u64 = 1000;
