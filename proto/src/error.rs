//! Why a request or a connection failed, and whose fault it was. Small, copied freely; text is made at the edge.

use std::fmt;

/// Who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The peer broke the protocol or refused.
    Peer,
    /// The path between us failed: reset, unreachable, closed in the middle.
    Network,
    /// We did it: a cancel, a timeout, a limit of ours, a request that cannot be sent.
    Local,
}

/// The class of a failure. A class is what statistics count, so there are few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// A connection could not be opened.
    Connect,
    /// The TLS handshake or a TLS record failed.
    Tls,
    /// A response head (or header block) that breaks the grammar.
    Head,
    /// A body or frame whose framing breaks the rules: lengths, chunks, frame sizes, wrong states.
    Framing,
    /// HPACK or QPACK state broken.
    Compression,
    /// A flow-control rule broken.
    FlowControl,
    /// Something of the peer's is larger than a limit of ours.
    TooLarge,
    /// Bytes that belong to no request.
    Unsolicited,
    /// The connection ended before the first byte of the response.
    Closed,
    /// The connection ended in the middle of a response.
    Truncated,
    /// The connection was reset.
    Reset,
    /// The peer reset this stream; the code is the protocol's.
    StreamReset(u32),
    /// The peer is going away and did not process the request; the code is the protocol's.
    GoAway(u32),
    /// No answer within a timeout of ours.
    Timeout,
    /// A complete response whose status was not expected (judged by the engine).
    Status,
    /// Cancelled by the caller.
    Cancelled,
    /// Not sent because of a limit or an invalid value of ours.
    Unsendable,
}

/// A failure: class, fault and one static phrase that names the rule broken (with its RFC section where there is one).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// Whose fault.
    pub fault: Fault,
    /// The class that statistics count.
    pub kind: Kind,
    /// What exactly, for people.
    pub detail: &'static str,
}

impl Error {
    /// The peer broke a rule.
    pub const fn peer(kind: Kind, detail: &'static str) -> Error {
        Error { fault: Fault::Peer, kind, detail }
    }
    /// The path failed.
    pub const fn network(kind: Kind, detail: &'static str) -> Error {
        Error { fault: Fault::Network, kind, detail }
    }
    /// Our own doing.
    pub const fn local(kind: Kind, detail: &'static str) -> Error {
        Error { fault: Fault::Local, kind, detail }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail)?;
        match self.kind {
            Kind::StreamReset(code) | Kind::GoAway(code) => write!(f, " (code {code:#x})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
