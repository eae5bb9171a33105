//! Request bodies on their way out: kept apart from the streams, because most requests have none.

use bytes::Bytes;
use proto::Time;
use std::collections::VecDeque;

/// A body.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) stream: u32,
    pub(crate) body: Bytes,
    pub(crate) sent: usize,
    /// It waits for `100 Continue` until then; [`Time::ZERO`]: it does not wait.
    pub(crate) hold: Time,
    queued: bool,
}

/// See the file's header. Bounded by the streams in flight.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    all: Vec<Option<Upload>>,
    vacant: Vec<u32>,
    /// Those that could go on now as far as their stream is concerned, in turn.
    queue: VecDeque<u32>,
    held: u32,
}

impl Uploads {
    /// Adds a body and returns its index.
    pub(crate) fn add(&mut self, stream: u32, body: Bytes, hold: Time) -> u32 {
        self.held += u32::from(hold != Time::ZERO);
        let upload = Some(Upload { stream, body, sent: 0, hold, queued: false });
        match self.vacant.pop() {
            Some(index) => {
                self.all[index as usize] = upload;
                index
            }
            None => {
                self.all.push(upload);
                (self.all.len() - 1) as u32
            }
        }
    }

    /// The body at an index that [`Uploads::add`] returned and that was not removed since.
    pub(crate) fn at(&mut self, index: u32) -> &mut Upload {
        self.all[index as usize].as_mut().expect("an upload lives as long as its stream refers to it")
    }

    /// Forgets a body.
    pub(crate) fn remove(&mut self, index: u32) {
        let gone = self.all[index as usize].take().expect("an upload is removed once");
        if gone.queued {
            self.unqueue(index);
        }
        self.held -= u32::from(gone.hold != Time::ZERO);
        self.vacant.push(index);
    }

    /// Puts a body at the end of the queue if it may go on, or takes it out if it may not.
    pub(crate) fn requeue(&mut self, index: u32, window_open: bool) {
        let upload = self.at(index);
        let ready = window_open && upload.hold == Time::ZERO;
        if ready == upload.queued {
            return;
        }
        upload.queued = ready;
        if ready {
            self.queue.push_back(index);
        } else {
            self.unqueue(index);
        }
    }

    /// Linear only where neither end will do, which is where a window closes from afar.
    fn unqueue(&mut self, index: u32) {
        if self.queue.front() == Some(&index) {
            self.queue.pop_front();
        } else if self.queue.back() == Some(&index) {
            self.queue.pop_back();
        } else {
            self.queue.retain(|&i| i != index);
        }
    }

    /// The one whose turn it is.
    pub(crate) fn front(&self) -> Option<u32> {
        self.queue.front().copied()
    }

    /// The next one's turn.
    pub(crate) fn rotate(&mut self) {
        if let Some(index) = self.queue.pop_front() {
            self.queue.push_back(index);
        }
    }

    /// A body waits no longer.
    pub(crate) fn release(&mut self, index: u32) {
        let upload = self.at(index);
        if upload.hold != Time::ZERO {
            upload.hold = Time::ZERO;
            self.held -= 1;
        }
    }

    /// When the first of those that wait has waited long enough.
    pub(crate) fn first_deadline(&self) -> Option<Time> {
        if self.held == 0 {
            return None;
        }
        self.all.iter().flatten().map(|u| u.hold).filter(|&t| t != Time::ZERO).min()
    }

    /// One that has waited long enough.
    pub(crate) fn overdue(&self, now: Time) -> Option<u32> {
        if self.held == 0 {
            return None;
        }
        let late = |u: &Option<Upload>| u.as_ref().is_some_and(|u| u.hold != Time::ZERO && u.hold <= now);
        self.all.iter().position(late).map(|i| i as u32)
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Uploads::default();
    }

    /// Heap bytes held, without the bodies, which are shared.
    pub(crate) fn footprint(&self) -> usize {
        self.all.capacity() * size_of::<Option<Upload>>()
            + (self.vacant.capacity() + self.queue.capacity()) * 4
    }
}
