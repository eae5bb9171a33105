//! The plainest exchange, written out.

use bytes::Bytes;
use proto::{ByteInput, ClientConn, CloseReason, Error, Fields, Request, Scheme, Sink, Template, Text, Time};
use proto::{Token, Want};
use proto_h1::{Config, Connection};

#[derive(Default)]
struct Log(Vec<String>);

impl Sink for Log {
    fn sent(&mut self, token: Token) {
        self.0.push(format!("sent {}", token.0));
    }
    fn head(&mut self, token: Token, status: u16, fields: &dyn Fields) {
        self.0.push(format!("head {} {status} {}", token.0, fields.count()));
    }
    fn body(&mut self, token: Token, len: u64, _bytes: &[u8]) {
        self.0.push(format!("body {} {len}", token.0));
    }
    fn done(&mut self, token: Token) {
        self.0.push(format!("done {}", token.0));
    }
    fn failed(&mut self, token: Token, error: Error, unprocessed: bool) {
        self.0.push(format!("failed {} {error} {unprocessed}", token.0));
    }
    fn closed(&mut self, reason: CloseReason) {
        self.0.push(format!("closed {reason:?}"));
    }
}

#[test]
fn one_request_and_its_response() {
    let template =
        Template::new("GET", Scheme::Http, Text::literal("a:80"), Text::literal("/x")).expect("legal");
    let prepared = Connection::prepare(0, &template);
    let mut conn = Connection::new(Config::default());
    let mut log = Log::default();
    let request = Request {
        prepared: &prepared,
        values: &[],
        body: Bytes::new(),
        want: Want { fields: true, body: false },
    };
    conn.submit(Time::ZERO, Token(7), request).expect("room for one");
    let mut out = Vec::new();
    while conn.poll_transmit(Time::ZERO, 10, &mut out, &mut log).is_some() {}
    assert_eq!(out, b"GET /x HTTP/1.1\r\nHost: a:80\r\n\r\n");
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    conn.handle_input(Time::ZERO, ByteInput::Bytes(response), &mut log);
    assert_eq!(log.0, ["sent 7", "head 7 200 1", "body 7 3", "done 7"]);
    assert_eq!(conn.capacity(), 1);
}
