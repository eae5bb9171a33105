//! White-box tests of the connection.
