//! Every bound of this crate that more than one file needs, with its reason.

/// The smallest and the largest UDP payload that QUIC can use (RFC 9000 section 14, RFC 768).
pub(crate) const UDP_PAYLOAD: std::ops::RangeInclusive<u16> = 1200..=65_527;
