//! proto-h1
