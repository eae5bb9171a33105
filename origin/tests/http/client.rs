//! A blocking HTTP/1 client: writes what it is told, reads what comes. It panics on anything unexpected, and
//! never waits longer than [`PATIENCE`].

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use origin::Origin;

/// Far beyond anything a test waits for, so that it only ends what hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One connection, in clear or over anything else that reads and writes.
pub struct Client<S: Read + Write = TcpStream> {
    stream: BufReader<S>,
}

/// What came back.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub version: String,
    fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Sends one GET over a connection of its own.
pub fn get(origin: &Origin, target: &str) -> Response {
    Client::clear(origin).get(target)
}

/// A socket that does not wait for ever.
pub fn connect(addr: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(addr).expect("connects");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.set_nodelay(true).expect("no delay");
    socket
}

impl Client {
    /// Connects to the clear address.
    pub fn clear(origin: &Origin) -> Self {
        Self::over(connect(origin.clear_addr().expect("listens in clear")))
    }
}

impl<S: Read + Write> Client<S> {
    pub fn over(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    pub fn get(&mut self, target: &str) -> Response {
        self.request("GET", target, &[], "")
    }

    /// Sends a request with a `content-length` if it has a body, and reads the response.
    pub fn request(&mut self, method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> Response {
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: test\r\n");
        for (name, value) in fields {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("content-length: {}\r\n", body.len());
        }
        self.send(&format!("{head}\r\n{body}"));
        if method == "HEAD" { self.head() } else { self.response() }
    }

    pub fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).expect("sends");
    }

    /// Sends what the server may not want to read to its end.
    pub fn send_some(&mut self, text: &str) {
        let _ = self.stream.get_mut().write_all(text.as_bytes());
    }

    /// Reads a response with its body.
    pub fn response(&mut self) -> Response {
        let mut response = self.head();
        if response.field("transfer-encoding") == Some("chunked") {
            response.body = self.chunks();
        } else if let Some(length) = response.field("content-length") {
            response.body = vec![0; length.parse().expect("a length")];
            self.stream.read_exact(&mut response.body).expect("the whole body");
        } else if !matches!(response.status, 100..200 | 204 | 304) {
            response.body = self.rest();
        }
        response
    }

    /// Reads a response that has no body.
    pub fn head(&mut self) -> Response {
        let line = self.line();
        let mut words = line.splitn(3, ' ');
        let version = words.next().expect("a version").to_owned();
        let status = words
            .next()
            .and_then(|status| status.parse().ok())
            .unwrap_or_else(|| panic!("no status: {line:?}"));
        let mut fields = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                return Response { status, version, fields, body: Vec::new() };
            }
            let (name, value) = line.split_once(": ").expect("a field");
            fields.push((name.to_lowercase(), value.to_owned()));
        }
    }

    /// Everything up to the end of the connection, whichever way it ends, and whether that was a reset.
    pub fn until_end(&mut self) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => (bytes, false),
            // Over TLS, a missing close_notify.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => (bytes, false),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => (bytes, true),
            Err(error) => panic!("{error}"),
        }
    }

    /// Everything up to the end, which must be in order.
    pub fn rest(&mut self) -> Vec<u8> {
        let (bytes, reset) = self.until_end();
        assert!(!reset, "reset after {} bytes", bytes.len());
        bytes
    }

    pub fn into_inner(self) -> S {
        self.stream.into_inner()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line");
        assert!(line.ends_with("\r\n"), "the connection ended within a head, after {line:?}");
        line.truncate(line.len() - 2);
        line
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.line(), 16).expect("a chunk size");
            let start = body.len();
            body.resize(start + size, 0);
            self.stream.read_exact(&mut body[start..]).expect("a whole chunk");
            assert_eq!(self.line(), "");
            if size == 0 {
                return body;
            }
        }
    }
}

impl Response {
    /// The value of a field, if it is there once.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values =
            self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice");
        value
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.field("content-type"), Some("application/json"));
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// Name and value of the cookie it sets, without attributes.
    pub fn cookie(&self) -> Option<&str> {
        self.field("set-cookie").map(|cookie| cookie.split(';').next().unwrap_or_default())
    }
}
