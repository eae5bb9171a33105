//! The first requests of a run and what came back, whole, for people to look at (`--trace`).
//!
//! Only requests that are traced are asked for fields and body; when the last of them has ended the trace is gone and the
//! core is as fast as without. Not a log of the run (`request_log`).

use crate::limits;
use proto::{Fields, Time, Want};
use scenario::secret::Secrets;
use std::time::Duration;

/// A request and what came of it.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// Which of the traced requests of its core, from 0.
    pub number: u32,
    /// Its step, in the plan's dense order.
    pub step: usize,
    /// The connection it went on, from 0 on each core.
    pub connection: u32,
    /// What stood in the slots of the step's template.
    pub values: Vec<Vec<u8>>,
    /// The path that a redirect led to, where the request follows one.
    pub redirected: Option<Vec<u8>>,
    /// The beginning of a body that was made for this request, and its length.
    pub sent: Option<(Vec<u8>, u64)>,
    /// Since the run began.
    pub began: Duration,
    /// The status of the final response, if its head came.
    pub status: Option<u16>,
    /// The fields of that head, then the trailers.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The beginning of the body.
    pub body: Vec<u8>,
    /// Bytes of the whole body.
    pub body_len: u64,
    /// From the request to the head of the response.
    pub first_byte: Option<Duration>,
    /// From the request to its end.
    pub took: Option<Duration>,
    /// What checks and extractors made of it, in words.
    pub notes: Vec<String>,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// What of all this nobody is to see.
    pub secrets: Secrets,
}

/// The trace of a core.
pub(crate) struct Trace {
    /// Requests that may still begin to be traced.
    left: u32,
    begun: u32,
    /// Those under way, by user.
    open: Vec<(u32, Time, Exchange)>,
    ended: Vec<Exchange>,
}

impl Trace {
    /// Of the first `n` requests.
    pub(crate) fn of(n: u32) -> Option<Box<Trace>> {
        (n > 0).then(|| Box::new(Trace { left: n, begun: 0, open: Vec::new(), ended: Vec::new() }))
    }

    /// A core's part of the first `n` requests of the run.
    pub(crate) fn share(n: u32, core: usize, cores: usize) -> u32 {
        let (core, cores) = (core as u32, cores as u32);
        n / cores + u32::from(core < n % cores)
    }

    /// A request is given to a connection. Returns what it must ask for if it is traced.
    pub(crate) fn begin(&mut self, user: u32, step: u32, connection: u32, now: Time) -> Option<Want> {
        const ALL: Want = Want { fields: true, body: true };
        if let Some((_, _, again)) = self.open.iter_mut().find(|(u, ..)| *u == user) {
            again.connection = connection;
            return Some(ALL);
        }
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let began = Duration::from_nanos(now.as_nanos());
        let number = self.begun;
        let exchange = Exchange { number, step: step as usize, connection, began, ..Exchange::default() };
        self.begun += 1;
        self.open.push((user, now, exchange));
        Some(ALL)
    }

    /// What was made for the request of a user.
    pub(crate) fn made<'v>(
        &mut self,
        user: u32,
        values: impl Iterator<Item = &'v [u8]>,
        redirected: Option<Vec<u8>>,
        body: &[u8],
    ) {
        let Some((_, exchange)) = self.of_user(user) else { return };
        exchange.values = values.map(<[u8]>::to_vec).collect();
        exchange.redirected = redirected;
        let kept = &body[..body.len().min(limits::TRACED_BODY)];
        exchange.sent = Some((kept.to_vec(), body.len() as u64));
    }

    fn of_user(&mut self, user: u32) -> Option<(Time, &mut Exchange)> {
        self.open.iter_mut().find(|(u, ..)| *u == user).map(|(_, began, exchange)| (*began, exchange))
    }

    pub(crate) fn head(&mut self, user: u32, now: Time, status: u16, fields: &dyn Fields) {
        let Some((began, exchange)) = self.of_user(user) else { return };
        exchange.status = Some(status);
        exchange.first_byte = Some(now.since(began));
        exchange.add(fields);
    }

    pub(crate) fn trailers(&mut self, user: u32, fields: &dyn Fields) {
        if let Some((_, exchange)) = self.of_user(user) {
            exchange.add(fields);
        }
    }

    pub(crate) fn body(&mut self, user: u32, len: u64, bytes: &[u8]) {
        let Some((_, exchange)) = self.of_user(user) else { return };
        exchange.body_len += len;
        let room = limits::TRACED_BODY - exchange.body.len();
        exchange.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// What checks and extractors found.
    pub(crate) fn note(&mut self, user: u32, notes: Vec<String>) {
        if let Some((_, exchange)) = self.of_user(user) {
            exchange.notes.extend(notes);
        }
    }

    /// Whether the request of a user is traced.
    pub(crate) fn follows(&self, user: u32) -> bool {
        self.open.iter().any(|(u, ..)| *u == user)
    }

    /// What is not to be shown of the request of a user: it may have become more.
    pub(crate) fn hide(&mut self, user: u32, secrets: Secrets) {
        if let Some((_, exchange)) = self.of_user(user) {
            exchange.secrets.merge(secrets);
        }
    }

    /// The request of a user ended.
    pub(crate) fn end(&mut self, user: u32, now: Time, error: Option<proto::Error>) {
        let Some(at) = self.open.iter().position(|(u, ..)| *u == user) else { return };
        let (_, began, mut exchange) = self.open.remove(at);
        exchange.took = Some(now.since(began));
        exchange.error = error.map(|e| e.to_string());
        self.ended.push(exchange);
    }

    /// Those that ended since the last call.
    pub(crate) fn take(&mut self) -> Vec<Exchange> {
        std::mem::take(&mut self.ended)
    }

    /// Those that the end of the run cut off.
    pub(crate) fn take_open(&mut self) -> Vec<Exchange> {
        std::mem::take(&mut self.open).into_iter().map(|(_, _, exchange)| exchange).collect()
    }

    /// Every request to be traced has ended and was taken.
    pub(crate) fn is_over(&self) -> bool {
        self.left == 0 && self.open.is_empty() && self.ended.is_empty()
    }
}

impl Exchange {
    fn add(&mut self, fields: &dyn Fields) {
        fields.each(&mut |name, value| {
            if self.fields.len() < limits::TRACED_FIELDS {
                self.fields.push((name.to_vec(), value.to_vec()));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;

    impl Fields for One {
        fn each(&self, f: &mut dyn FnMut(&[u8], &[u8])) {
            f(b"a", b"b");
        }
    }

    #[test]
    fn the_first_requests_are_shared_out_over_the_cores() {
        let shares: Vec<u32> = (0..3).map(|core| Trace::share(5, core, 3)).collect();
        assert_eq!(shares, [2, 2, 1]);
        assert!(Trace::of(0).is_none());
    }

    #[test]
    fn a_request_is_traced_to_its_end_also_when_it_is_sent_again_and_the_next_is_not() {
        let at = |us: u64| Time::from_nanos(us * 1000);
        let mut trace = Trace::of(1).unwrap();
        assert!(trace.begin(7, 0, 1, at(5)).is_some());
        assert!(trace.begin(7, 0, 2, at(6)).is_some(), "sent again");
        assert!(trace.begin(8, 0, 2, at(6)).is_none());
        trace.head(7, at(9), 200, &One);
        trace.body(7, 3000, &[b'x'; 3000]);
        trace.body(8, 10, b"another's");
        trace.end(8, at(10), None);
        trace.end(7, at(11), None);
        let ended = trace.take();
        let e = &ended[0];
        assert_eq!((ended.len(), e.connection, e.status, e.fields.len()), (1, 2, Some(200), 1));
        assert_eq!((e.body.len(), e.body_len), (limits::TRACED_BODY, 3000));
        assert_eq!((e.first_byte, e.took), (Some(Duration::from_micros(4)), Some(Duration::from_micros(6))));
        assert!(trace.is_over());
    }
}
