//! Send buffers kept for reuse, for every driver: a request is written into one that was sent before.

/// Most buffers kept, and the largest capacity kept.
const BUFFERS: usize = 1024;
const CAPACITY: usize = 32 * 1024;

/// The buffers of a driver that are not in use.
#[derive(Default)]
pub(super) struct Spare(Vec<Vec<u8>>);

impl Spare {
    /// An empty buffer.
    #[inline]
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    #[inline]
    pub(super) fn keep(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() > 0 && buffer.capacity() <= CAPACITY && self.0.len() < BUFFERS {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}
