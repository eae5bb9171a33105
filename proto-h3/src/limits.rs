//! Every bound of this crate, with its reason. What a peer can make us keep or do is bounded here and nowhere else.

/// The largest dynamic table that may be announced: the table counts its bytes in 32 bits, and a peer may fill it.
pub(crate) const TABLE: usize = 16 * 1024 * 1024;
