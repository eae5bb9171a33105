//! A connection with a recorder, for tests that say "submit this, the peer says that, these events".
#![allow(dead_code, reason = "each test binary uses its part")]

use bytes::Bytes;
use proto::conformance::{Event, Recorder};
use proto::{
    ByteInput, ClientConn, Field, Framing, Refused, Request, Scheme, Template, Text, Time, Token, Want,
};
use proto_h1::{Config, Connection, Prepared};
use std::num::NonZeroU32;
use std::time::Duration;

pub const ALL: Want = Want { fields: true, body: true };

pub struct Case {
    pub conn: Connection,
    pub log: Recorder,
    pub now: Time,
    pub out: Vec<u8>,
    next: u64,
}

pub fn config(depth: u32) -> Config {
    Config { depth: NonZeroU32::new(depth).expect("a depth"), ..Config::default() }
}

pub fn template(method: &str) -> Template {
    Template::new(method, Scheme::Http, Text::literal("h"), Text::literal("/")).expect("legal")
}

pub fn field(template: Template, name: &str, value: &str) -> Template {
    template.field(Field { name: name.into(), value: Text::literal(value), secret: false }).expect("legal")
}

pub fn prepare(template: &Template) -> Prepared {
    Connection::prepare(0, template)
}

impl Case {
    pub fn new(config: Config) -> Case {
        let conn = Connection::new(config);
        Case { conn, log: Recorder::default(), now: Time::ZERO, out: Vec::new(), next: 0 }
    }
    pub fn submit(&mut self, prepared: &Prepared, body: &'static [u8], want: Want) -> Result<Token, Refused> {
        let token = Token(self.next);
        let request = Request { prepared, values: &[], body: Bytes::from_static(body), want };
        self.conn.submit(self.now, token, request)?;
        self.log.accept(token, want);
        self.next += 1;
        Ok(token)
    }
    /// Submits and hands out a request of this method.
    pub fn ask(&mut self, method: &str) -> Token {
        let token = self.submit(&prepare(&template(method)), b"", ALL).expect("room");
        self.flush();
        token
    }
    pub fn post(&mut self, framing: Framing, expect: bool, body: &'static [u8]) -> Token {
        self.submit(&prepare(&template("POST").body(framing, expect)), body, ALL).expect("room")
    }
    pub fn transmit(&mut self, limit: usize) -> usize {
        let before = self.out.len();
        let _ = self.conn.poll_transmit(self.now, limit, &mut self.out, &mut self.log);
        self.out.len() - before
    }
    pub fn flush(&mut self) {
        while self.transmit(1 << 20) > 0 {}
    }
    pub fn say(&mut self, bytes: &[u8]) -> &mut Case {
        self.conn.handle_input(self.now, ByteInput::Bytes(bytes), &mut self.log);
        self
    }
    pub fn skip(&mut self, n: u64) {
        self.conn.handle_input(self.now, ByteInput::Skipped(n), &mut self.log);
    }
    pub fn eof(&mut self) -> &mut Case {
        self.conn.handle_input(self.now, ByteInput::Eof, &mut self.log);
        self
    }
    pub fn cancel(&mut self, token: Token) {
        self.conn.cancel(self.now, token, &mut self.log);
    }
    pub fn wait(&mut self, ms: u64) {
        self.now = self.now.after(Duration::from_millis(ms));
        self.conn.handle_timeout(self.now, &mut self.log);
    }
    /// The events so far, one short line each.
    pub fn told(&self) -> Vec<String> {
        self.log.events.iter().map(line).collect()
    }
}

fn fields(fields: &[(String, Vec<u8>)]) -> String {
    fields.iter().map(|(n, v)| format!(" {n}={}", String::from_utf8_lossy(v))).collect()
}

fn line(event: &Event) -> String {
    match event {
        Event::Ready => "ready".into(),
        Event::Sent(t) => format!("sent {}", t.0),
        Event::Informational(t, status) => format!("interim {} {status}", t.0),
        Event::Head(t, status, f) => format!("head {} {status}{}", t.0, fields(f)),
        Event::Body(t, len, bytes) if bytes.is_empty() => format!("body {} {len} unseen", t.0),
        Event::Body(t, _, bytes) => format!("body {} {}", t.0, String::from_utf8_lossy(bytes)),
        Event::Trailers(t, f) => format!("trailers {}{}", t.0, fields(f)),
        Event::Done(t) => format!("done {}", t.0),
        Event::Failed(t, e, unprocessed) => {
            let again = if *unprocessed { " unprocessed" } else { "" };
            format!("failed {} {:?} {:?}{again}", t.0, e.fault, e.kind)
        }
        Event::Draining => "draining".into(),
        Event::Closed(proto::CloseReason::Graceful) => "closed".into(),
        Event::Closed(proto::CloseReason::Error(e)) => format!("closed {:?} {:?}", e.fault, e.kind),
    }
}
