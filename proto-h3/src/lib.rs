//! Sans-IO HTTP/3 client: RFC 9114 and QPACK (RFC 9204) over `quinn_proto`, written for load.
#![forbid(unsafe_code)]
#![allow(dead_code, unused_imports)] // until the connection is here

mod limits;
pub mod qpack;
