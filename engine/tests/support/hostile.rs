//! An HTTP/1.1 server by hand, over blocking sockets and a thread per connection, that does what a test tells it to and
//! counts the requests that reached it complete.

use socket2::SockRef;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Connections served at a time; more are dropped, so that a client gone mad cannot take the machine with it.
const MOST: u64 = 128;

/// What a server does with a connection.
type Manners = dyn Fn(&mut Visit) -> io::Result<()> + Send + Sync;

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    connections: AtomicU64,
    open: AtomicU64,
    /// Times that nobody was found waiting to be taken up.
    idle: AtomicU64,
    dead: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

/// A server that runs until it is dropped or killed.
pub struct Hostile {
    address: SocketAddr,
    counts: Arc<Counts>,
    manners: Arc<Manners>,
    acceptor: Option<JoinHandle<()>>,
}

/// One connection, from the server's side.
pub struct Visit {
    pub stream: TcpStream,
    /// Which connection of this server, from 0.
    pub number: u64,
    counts: Arc<Counts>,
    unread: Vec<u8>,
}

impl Hostile {
    /// Serves each connection with `manners`, until that returns.
    pub fn new(manners: impl Fn(&mut Visit) -> io::Result<()> + Send + Sync + 'static) -> Hostile {
        Hostile::at("127.0.0.1:0".parse().unwrap(), manners)
    }

    /// The same at this address.
    pub fn at(
        address: SocketAddr,
        manners: impl Fn(&mut Visit) -> io::Result<()> + Send + Sync + 'static,
    ) -> Hostile {
        let mut server =
            Hostile { address, counts: Arc::default(), manners: Arc::new(manners), acceptor: None };
        server.start();
        server
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
    /// Requests that arrived complete.
    pub fn requests(&self) -> u64 {
        self.counts.requests.load(SeqCst)
    }
    /// Connections accepted.
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(SeqCst)
    }

    /// Waits until every connection was taken up and served to its end: only then are the counts final.
    pub fn settle(&self) {
        // One look may have begun before the last connection came.
        let taken_up = self.counts.idle.load(SeqCst) + 2;
        for _ in 0..5000 {
            let all = self.counts.dead.load(SeqCst) || self.counts.idle.load(SeqCst) >= taken_up;
            if all && self.counts.open.load(SeqCst) == 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("connections stay open after the run");
    }

    /// Dies as a process does: the listener and all connections are gone.
    pub fn kill(&mut self) {
        self.counts.dead.store(true, SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().unwrap();
        }
        for stream in self.counts.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Listens again, on the same port.
    pub fn start(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        self.address = listener.local_addr().unwrap();
        self.counts.dead.store(false, SeqCst);
        let (counts, manners) = (self.counts.clone(), self.manners.clone());
        self.acceptor = Some(std::thread::spawn(move || accept(&listener, &counts, &manners)));
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads to the end of a request's head, where there is nothing behind it.
pub fn read_head(from: &mut impl Read) -> io::Result<()> {
    let (mut head, mut piece) = (Vec::new(), [0; 4096]);
    while !head.ends_with(b"\r\n\r\n") {
        match from.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => head.extend_from_slice(&piece[..n]),
        }
    }
    Ok(())
}

fn accept(listener: &TcpListener, counts: &Arc<Counts>, manners: &Arc<Manners>) {
    listener.set_nonblocking(true).unwrap();
    while !counts.dead.load(SeqCst) {
        let Ok((stream, _)) = listener.accept() else {
            counts.idle.fetch_add(1, SeqCst);
            std::thread::sleep(Duration::from_micros(500));
            continue;
        };
        let number = counts.connections.fetch_add(1, SeqCst);
        if counts.open.fetch_add(1, SeqCst) >= MOST {
            counts.open.fetch_sub(1, SeqCst);
            continue;
        }
        stream.set_nonblocking(false).unwrap();
        stream.set_nodelay(true).unwrap();
        counts.streams.lock().unwrap().push(stream.try_clone().unwrap());
        let (counts, manners) = (counts.clone(), manners.clone());
        std::thread::spawn(move || {
            let mut visit = Visit { stream, number, counts, unread: Vec::new() };
            let _ = manners(&mut visit);
            visit.forget();
        });
    }
}

impl Visit {
    /// Reads to the end of the next request head (these requests have no body) and counts it. Returns how many requests
    /// the server has seen with this one; fails where the client closes.
    pub fn request(&mut self) -> io::Result<u64> {
        let mut piece = [0; 4096];
        loop {
            if let Some(at) = self.unread.windows(4).position(|w| w == b"\r\n\r\n") {
                self.unread.drain(..at + 4);
                return Ok(self.counts.requests.fetch_add(1, SeqCst) + 1);
            }
            match self.stream.read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => self.unread.extend_from_slice(&piece[..n]),
            }
        }
    }

    /// Reads some bytes of whatever it is.
    pub fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut piece = vec![0; 16 * 1024];
        match self.stream.read(&mut piece)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                piece.truncate(n);
                Ok(piece)
            }
        }
    }

    /// Counts a request that a test parsed itself.
    pub fn count(&self) -> u64 {
        self.counts.requests.fetch_add(1, SeqCst) + 1
    }

    /// Sends bytes as they are.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Answers 200 with two bytes.
    pub fn answer(&mut self) -> io::Result<()> {
        self.answer_times(1)
    }

    /// The same so many times, which arrive together.
    pub fn answer_times(&mut self, times: usize) -> io::Result<()> {
        self.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".repeat(times))
    }

    /// Answers request after request until the client closes.
    pub fn serve(&mut self) -> io::Result<()> {
        loop {
            self.request()?;
            self.answer()?;
        }
    }

    /// Says nothing more, until the client closes.
    pub fn stall(&mut self) -> io::Result<()> {
        while self.read().is_ok() {}
        Ok(())
    }

    /// RST at once.
    pub fn reset(&mut self) -> io::Result<()> {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
    }

    /// Closes this end for good: no clone of the socket is kept.
    fn forget(self) {
        let same = |other: &TcpStream| other.peer_addr().ok() == self.stream.peer_addr().ok();
        self.counts.streams.lock().unwrap().retain(|s| !same(s));
        let counts = self.counts.clone();
        drop(self);
        counts.open.fetch_sub(1, SeqCst);
    }
}
