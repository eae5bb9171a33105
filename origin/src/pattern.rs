//! The bytes that sized bodies are made of: shared by all threads and never copied. Called by `body.rs`.

use std::sync::LazyLock;

use crate::random::Random;

/// Lines of 49 characters and a newline, a point at every tenth: a reader of a dump finds the offset at a
/// glance. A whole number of lines, so that pieces follow each other without a seam.
pub(crate) static LINES: [u8; LENGTH] = lines();

/// Bytes that do not compress, made once. Repeated in a longer body.
pub(crate) static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let random = Random::new();
    (0..LENGTH).map(|_| random.next() as u8).collect()
});

/// Close to 64 KiB: a body up to this leaves in one piece.
const LENGTH: usize = 1310 * LINE;
const LINE: usize = 50;

const fn lines() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    let mut index = 0;
    while index < LENGTH {
        let column = index % LINE;
        bytes[index] = match column % 10 {
            _ if column == LINE - 1 => b'\n',
            0 => b'.',
            digit => b'0' + digit as u8,
        };
        index += 1;
    }
    bytes
}
