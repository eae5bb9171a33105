//! HTTP/2 by hand, as far as a server needs it that answers every request with an empty 200: frames, and no compression
//! (`:status: 200` is one byte of the static table). Shares nothing with the client's own codec.

use super::hostile::Visit;
use std::io;

pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;

pub const NO_ERROR: u32 = 0;
pub const REFUSED_STREAM: u32 = 7;

const ACK: u8 = 1;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame as it came.
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// A connection of HTTP/2 over a visit.
pub struct Server<'a> {
    visit: &'a mut Visit,
    input: Vec<u8>,
    /// Highest stream seen.
    pub last: u32,
}

impl<'a> Server<'a> {
    /// Reads the preface and says SETTINGS with these values.
    pub fn greet(visit: &'a mut Visit, settings: &[(u16, u32)]) -> io::Result<Server<'a>> {
        let mut input = Vec::new();
        while input.len() < PREFACE.len() {
            input.extend(visit.read()?);
        }
        assert!(input.starts_with(PREFACE), "the client does not speak HTTP/2");
        input.drain(..PREFACE.len());
        let mut server = Server { visit, input, last: 0 };
        server.settings(settings)?;
        Ok(server)
    }

    pub fn settings(&mut self, settings: &[(u16, u32)]) -> io::Result<()> {
        let mut payload = Vec::new();
        for (id, value) in settings {
            payload.extend(id.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        self.send(SETTINGS, 0, 0, &payload)
    }

    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.visit.say(frame)
    }

    /// The next frame.
    pub fn frame(&mut self) -> io::Result<Frame> {
        self.fill(9)?;
        let len = u32::from_be_bytes([0, self.input[0], self.input[1], self.input[2]]) as usize;
        self.fill(9 + len)?;
        let head: Vec<u8> = self.input.drain(..9).collect();
        let payload = self.input.drain(..len).collect();
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Ok(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    fn fill(&mut self, n: usize) -> io::Result<()> {
        while self.input.len() < n {
            self.input.extend(self.visit.read()?);
        }
        Ok(())
    }

    /// Counts a request that was read as a frame.
    pub fn count(&mut self) {
        self.visit.count();
    }

    /// The next request's stream, counted; acknowledges what must be acknowledged.
    pub fn request(&mut self) -> io::Result<u32> {
        loop {
            let frame = self.frame()?;
            match frame.kind {
                HEADERS => {
                    self.visit.count();
                    self.last = frame.stream;
                    return Ok(frame.stream);
                }
                SETTINGS | PING if frame.flags & ACK == 0 => {
                    let payload = if frame.kind == PING { frame.payload } else { Vec::new() };
                    self.send(frame.kind, ACK, 0, &payload)?;
                }
                _ => {}
            }
        }
    }

    /// An empty 200.
    pub fn answer(&mut self, stream: u32) -> io::Result<()> {
        self.send(HEADERS, 0x5, stream, &[0x88])
    }

    pub fn refuse(&mut self, stream: u32) -> io::Result<()> {
        self.send(RST_STREAM, 0, stream, &REFUSED_STREAM.to_be_bytes())
    }

    pub fn go_away(&mut self, last: u32, code: u32) -> io::Result<()> {
        self.send(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
    }

    pub fn serve(&mut self) -> io::Result<()> {
        loop {
            let stream = self.request()?;
            self.answer(stream)?;
        }
    }
}
