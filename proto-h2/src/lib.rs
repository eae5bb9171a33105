//! Sans-IO HTTP/2 client (RFC 9113, HPACK RFC 7541).
