//! What a core notes while a connection tells it what happened.
//!
//! The sink of every connection: it writes clocks and statuses into the virtual user, records the end, and queues the
//! user for what comes next. It never calls back into the connection.

use super::link::Tidings;
use super::script::Scripts;
use super::users::{State, User};
use super::{Queues, StepSetup};
use crate::limits;
use crate::stats::Times;
use crate::stats::recorder::Recorder;
use proto::{CloseReason, Error, Fields, Kind, Sink, Time, Token};

/// A sink over the parts of a core that events concern.
pub(super) struct Notes<'a> {
    pub(super) now: Time,
    pub(super) users: &'a mut [User],
    pub(super) steps: &'a [StepSetup],
    pub(super) scripts: &'a mut Scripts,
    pub(super) recorder: &'a mut Recorder,
    pub(super) queues: &'a mut Queues,
    pub(super) tidings: &'a mut Tidings,
}

const TIMED_OUT: Error = Error::local(Kind::Timeout, "no complete answer within the request timeout");
const STATUS: Error = Error::peer(Kind::Status, "a status that was not expected");

impl Notes<'_> {
    /// The first body of the connection begins, or its first response has none.
    #[cold]
    fn first_of_connection(&mut self) {
        self.tidings.body_seen = true;
        let since = self.now.nanos_since(self.tidings.opened_at);
        self.recorder.connections.connection_first_byte.record(since);
    }

    /// Ends a request badly; `unseen`: no byte of its last attempt has left.
    pub(super) fn fail(&mut self, index: u32, error: Error, unseen: bool) {
        if let Some(script) = &self.steps[self.users[index as usize].step as usize].script {
            self.scripts.failed(index, script, error.detail);
            self.scripts.tell_notes(&mut self.recorder.trace, index, script);
        }
        self.end_badly(index, error, unseen);
    }

    /// The same for a request whose script knows already.
    fn end_badly(&mut self, index: u32, error: Error, unseen: bool) {
        self.tidings.client.ended = self.now;
        let user = &mut self.users[index as usize];
        user.state = State::Ended;
        let cell = self.recorder.cell(user.phase, user.step);
        cell.books.failed_timeout += u64::from(error.kind == Kind::Timeout);
        cell.books.never_sent += u64::from(unseen);
        self.recorder.failed(user.phase, user.step, error, self.now.nanos_since(user.due));
        if let Some(log) = &mut self.recorder.log {
            let began = if user.sent == Time::NEVER { user.due } else { user.sent };
            let status = (error.kind == Kind::Status).then_some(user.status);
            log.note(user.phase, began, self.now.nanos_since(began), status);
        }
        if let Some(trace) = &mut self.recorder.trace {
            trace.end(index, self.now, Some(error));
        }
        self.queues.in_flight -= 1;
        self.queues.ready.push(index);
    }
}

impl Sink for Notes<'_> {
    #[inline]
    fn sent(&mut self, token: Token) {
        self.users[token.0 as usize].sent = self.now;
    }

    fn head(&mut self, token: Token, status: u16, fields: &dyn Fields) {
        let user = &mut self.users[token.0 as usize];
        user.status = status;
        user.first_byte = self.now;
        let (phase, step) = (user.phase, user.step);
        if let Some(Some(alternative)) = self.queues.alternatives.get_mut(usize::from(user.target)) {
            self.tidings.heard = self.tidings.heard.max(alternative.hear(status, fields, self.now));
        }
        self.recorder.cell(phase, step).status(status);
        if let Some(script) = &self.steps[step as usize].script {
            self.scripts.head((token.0 as u32, phase), script, status, fields, self.now);
            self.scripts.tell_notes(&mut self.recorder.trace, token.0 as u32, script);
        }
        if let Some(trace) = &mut self.recorder.trace {
            trace.head(token.0 as u32, self.now, status, fields);
        }
    }

    #[inline]
    fn body(&mut self, token: Token, len: u64, bytes: &[u8]) {
        let user = &self.users[token.0 as usize];
        self.recorder.cell(user.phase, user.step).data += len;
        self.recorder.data_bytes += len;
        if let Some(script) = &self.steps[user.step as usize].script {
            self.scripts.body(token.0 as u32, script, bytes);
        }
        if let Some(trace) = &mut self.recorder.trace {
            trace.body(token.0 as u32, len, bytes);
        }
        if !self.tidings.body_seen {
            self.first_of_connection();
        }
    }

    fn trailers(&mut self, token: Token, fields: &dyn Fields) {
        if let Some(trace) = &mut self.recorder.trace {
            trace.trailers(token.0 as u32, fields);
        }
    }

    fn done(&mut self, token: Token) {
        let index = token.0 as u32;
        (self.tidings.served, self.tidings.last_end, self.tidings.on_the_way) = (true, self.now, 0);
        if !self.tidings.body_seen {
            self.first_of_connection();
        }
        let user = &mut self.users[index as usize];
        debug_assert_eq!(user.state, State::InFlight);
        // A body that lasts until the close has not ended where the connection was cut (RFC 9112 section 8). An answer
        // before the end of the request is complete: the server reads no further, and resets.
        if let Some(error) = self.tidings.cut.filter(|_| user.sent != Time::NEVER) {
            return self.fail(index, error, false);
        }
        let step = &self.steps[user.step as usize];
        let (expected, checked) = match &step.script {
            None => {
                let expected = step.expected.contains(user.status);
                (expected, (u32::from(expected), u32::from(!expected)))
            }
            Some(script) => {
                let response = self.now.nanos_since(user.due);
                let verdict = self.scripts.done((index, user.phase), script, response, self.tidings.protocol);
                self.scripts.tell_notes(&mut self.recorder.trace, index, script);
                (verdict.expected, (verdict.passed, verdict.failed))
            }
        };
        if step.checks > 0 {
            let cell = self.recorder.cell(user.phase, user.step);
            cell.checks_passed += u64::from(checked.0);
            cell.checks_failed += u64::from(checked.1);
        }
        if !expected {
            let cell = self.recorder.cell(user.phase, user.step);
            cell.books.failed_status += 1;
            self.tidings.client.answered += u64::from(cell.recorded);
            self.end_badly(index, STATUS, false);
            return;
        }
        user.state = State::Ended;
        // An early answer comes before the request was sent to its end.
        let sent = if user.sent == Time::NEVER { self.now } else { user.sent };
        let times = Times {
            response: self.now.nanos_since(user.due),
            service: self.now.nanos_since(sent),
            lag: sent.nanos_since(user.due),
            first_byte: user.first_byte.nanos_since(sent),
        };
        let recorded = self.recorder.succeeded(user.phase, user.step, times);
        if let Some(log) = &mut self.recorder.log {
            log.note(user.phase, sent, times.service, Some(user.status));
        }
        if let Some(trace) = &mut self.recorder.trace {
            trace.end(index, self.now, None);
        }
        self.tidings.client.answered += u64::from(recorded);
        self.queues.in_flight -= 1;
        self.queues.ready.push(index);
    }

    fn failed(&mut self, token: Token, error: Error, unprocessed: bool) {
        let index = token.0 as u32;
        let error = match (error.kind, self.tidings.cut) {
            (Kind::Closed | Kind::Truncated | Kind::Cancelled, Some(cut)) if cut.kind != Kind::Truncated => {
                cut
            }
            _ => error,
        };
        let user = &mut self.users[index as usize];
        let step = &self.steps[user.step as usize];
        debug_assert!(matches!(user.state, State::InFlight | State::Late));
        // Refused is not unseen: the server has read what it does not process, at least the head of an upload.
        let refused = matches!(error.kind, Kind::StreamReset(_) | Kind::GoAway(_));
        let unseen = unprocessed && user.sent == Time::NEVER && (!step.has_body || !refused);
        // What a connection that brings answers did not come to was not tried: the next one begins with it, and whoever goes
        // round so costs a connection that got others on. A stream that is refused by itself was come to.
        let passed_over = unprocessed && self.tidings.served && !matches!(error.kind, Kind::StreamReset(_));
        let allowed = match unprocessed {
            true => limits::RETRIES,
            // `Kind::Closed`: not a byte of an answer has come.
            false if self.tidings.crossed && error.kind == Kind::Closed && step.idempotent => {
                limits::CROSSINGS
            }
            false => 0,
        };
        // On HTTP/1.1 a request that is late takes those with it that were pipelined behind it: some are as late as it is.
        let late = user.state == State::Late
            || (error.kind == Kind::Cancelled && user.deadline(step.timeout) <= self.now);
        if late {
            self.fail(index, TIMED_OUT, unseen);
        } else if passed_over || user.attempts < allowed {
            user.attempts += u8::from(!passed_over);
            user.state = State::Again;
            self.tidings.left_over.get_or_insert(index);
            let (phase, step) = (user.phase, user.step);
            let books = &mut self.recorder.cell(phase, step).books;
            books.retried += 1;
            books.never_sent += u64::from(unseen);
            self.queues.ready.push(index);
        } else {
            self.fail(index, error, unseen);
        }
    }

    fn draining(&mut self) {
        self.tidings.draining = true;
    }

    fn closed(&mut self, reason: CloseReason) {
        self.tidings.closed = Some(reason);
    }
}
