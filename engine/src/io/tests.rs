//! What a core relies on, whatever the driver: each case runs on all of them, against plain sockets.

use super::choice::{Chosen, choose};
use super::socket::Peer;
use super::{Completion, Driver, Farewell, Receive, Sock, Wait, What};
use crate::Io;
use crate::clock::{Clock, Monotonic};
use proto_h3::{Received, Transmit};
use scenario::plan::Socket as SocketOptions;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

const BY_THEN: Duration = Duration::from_millis(20);
/// So many waits in vain mean that something never comes.
const MANY: usize = 500;

struct Scene {
    io: Box<dyn Driver>,
    clock: Monotonic,
    listener: TcpListener,
}

/// Plays a case on every driver.
fn on_each(case: impl Fn(&mut Scene)) {
    for wish in [Io::Uring, Io::Monoio, Io::Epoll] {
        let (chosen, refusal) = choose(wish, 8, true).unwrap();
        assert!(refusal.is_none(), "{wish:?}: {refusal:?}");
        let io: Box<dyn Driver> = match chosen {
            Chosen::Uring(io) => Box::new(io),
            Chosen::Monoio(io) => Box::new(io),
        };
        eprintln!("on {}", io.describe()); // shown where the case fails
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        case(&mut Scene { io, clock: Monotonic::starting_now(), listener });
    }
}

impl Scene {
    /// One wait; what it brought.
    fn turn(&mut self, nap: Duration) -> Vec<Completion> {
        let now = self.clock.now();
        self.io.wait(now, Wait { deadline: now.after(BY_THEN), want: 1, nap, limit: nap }).unwrap();
        std::iter::from_fn(|| self.io.next()).collect()
    }

    /// Waits until `look` has found what it looks for.
    fn until<T>(&mut self, mut look: impl FnMut(&mut dyn Driver, Completion) -> Option<T>) -> T {
        for _ in 0..MANY {
            let mut found = None;
            for completion in self.turn(Duration::ZERO) {
                assert!(found.is_none(), "more than was expected: {completion:?}");
                found = look(&mut *self.io, completion);
            }
            if let Some(found) = found {
                return found;
            }
        }
        panic!("it never came");
    }

    fn peer(&self) -> Arc<Peer> {
        Arc::new(Peer::ip(self.listener.local_addr().unwrap()))
    }

    /// A connection and the peer's end of it.
    fn connect(&mut self, tag: u32) -> (Sock, TcpStream) {
        let to = self.peer();
        let sock = self.io.open(tag, &to, None, &SocketOptions::default()).unwrap();
        self.until(|_, completion| match completion {
            Completion { tag: t, what: What::Connected(Ok(())) } if t == tag => Some(()),
            other => panic!("{other:?}"),
        });
        (sock, self.listener.accept().unwrap().0)
    }

    /// All bytes until so many are there.
    fn receive(&mut self, many: usize) -> Vec<u8> {
        let mut all = Vec::new();
        self.until(|io, completion| match completion.what {
            What::Received(chunk) => {
                all.extend_from_slice(io.bytes(&chunk));
                io.release(chunk);
                (all.len() >= many).then_some(())
            }
            What::Sent(buffer) => {
                io.recycle(buffer);
                None
            }
            other => panic!("{other:?}"),
        });
        all
    }

    fn expect_eof(&mut self) {
        self.until(|_, completion| match completion.what {
            What::Eof => Some(()),
            other => panic!("{other:?}"),
        });
    }

    /// Waits in vain a few times.
    fn nothing_more(&mut self) {
        for _ in 0..3 {
            let more = self.turn(Duration::ZERO);
            assert!(more.is_empty(), "{more:?}");
        }
    }
}

/// Bytes of which no two stretches are alike.
fn noise(many: u32) -> Vec<u8> {
    (0..many).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// The peer has nothing to read, and is not at its end.
fn assert_open(peer: &mut TcpStream) {
    peer.set_nonblocking(true).unwrap();
    let error = peer.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    peer.set_nonblocking(false).unwrap();
}

#[test]
fn bytes_go_both_ways_until_the_peer_has_closed() {
    on_each(|scene| {
        let (sock, mut peer) = scene.connect(7);
        scene.io.receive(sock, Receive::Stream);
        for round in 0..100_u32 {
            scene.io.send(sock, round.to_be_bytes().to_vec());
            scene.turn(Duration::ZERO).into_iter().for_each(|c| assert!(matches!(c.what, What::Sent(_))));
            let mut bytes = [0; 4];
            peer.read_exact(&mut bytes).unwrap();
            assert_eq!(bytes, round.to_be_bytes());
            peer.write_all(&bytes).unwrap();
            assert_eq!(scene.receive(4), bytes);
        }
        drop(peer);
        scene.expect_eof();
        scene.nothing_more();
        let now = scene.clock.now();
        scene.io.retire(sock, now, Farewell::Await);
        scene.nothing_more();
    });
}

#[test]
fn much_is_received_and_nothing_of_it_lost() {
    on_each(|scene| {
        let (sock, mut peer) = scene.connect(0);
        scene.io.receive(sock, Receive::Stream);
        let sent = noise(3_000_000);
        let copy = sent.clone();
        let writer = std::thread::spawn(move || peer.write_all(&copy).map(|()| peer));
        assert!(scene.receive(sent.len()) == sent);
        writer.join().unwrap().unwrap();
    });
}

#[test]
fn a_send_larger_than_the_socket_takes_ends_when_all_of_it_is_taken() {
    on_each(|scene| {
        let (sock, mut peer) = scene.connect(0);
        let sent = noise(20_000_000);
        scene.io.send(sock, sent.clone());
        scene.nothing_more();
        let reader = std::thread::spawn(move || {
            let mut all = vec![0; 20_000_000];
            peer.read_exact(&mut all).map(|()| all)
        });
        let buffer = scene.until(|_, completion| match completion.what {
            What::Sent(buffer) => Some(buffer),
            other => panic!("{other:?}"),
        });
        assert!(buffer == sent && reader.join().unwrap().unwrap() == sent);
    });
}

#[test]
fn nobody_listens() {
    on_each(|scene| {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = match scene.io.open(0, &Arc::new(Peer::ip(closed)), None, &SocketOptions::default()) {
            Err(error) => error,
            Ok(_) => scene.until(|_, completion| match completion.what {
                What::Connected(Err(error)) => Some(error),
                other => panic!("{other:?}"),
            }),
        };
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    });
}

#[test]
fn what_the_peer_had_when_it_closed_is_known_from_its_end() {
    for read in [true, false] {
        on_each(|scene| {
            let (sock, mut peer) = scene.connect(0);
            scene.io.receive(sock, Receive::Stream);
            scene.io.send(sock, b"first".to_vec());
            scene.until(|_, completion| matches!(completion.what, What::Sent(_)).then_some(()));
            peer.read_exact(&mut [0; 5]).unwrap();
            if read {
                scene.io.send(sock, b"second".to_vec());
                scene.until(|_, completion| matches!(completion.what, What::Sent(_)).then_some(()));
                peer.read_exact(&mut [0; 6]).unwrap();
                drop(peer);
            } else {
                drop(peer);
                // Nobody has looked yet, so nobody knows that the peer is gone.
                scene.io.send(sock, b"second".to_vec());
            }
            assert_eq!(scene.io.unacknowledged(sock), if read { 0 } else { 6 });
            let mut sent = read;
            let mut ended = false;
            scene.until(|_, completion| {
                match completion.what {
                    What::Sent(_) => sent = true,
                    What::Eof => ended = true,
                    other => panic!("{other:?}"),
                }
                (sent && ended).then_some(())
            });
            assert_eq!(scene.io.unacknowledged(sock), if read { 0 } else { 6 }, "nor later");
        });
    }
}

#[test]
fn once_is_once() {
    on_each(|scene| {
        let (sock, mut peer) = scene.connect(0);
        scene.io.receive(sock, Receive::Once);
        peer.write_all(&[1; 5000]).unwrap();
        let mut left = 5000;
        while left > 0 {
            left -= scene.receive(1).len();
            scene.nothing_more();
            scene.io.receive(sock, Receive::Once);
        }
        drop(peer);
        scene.expect_eof();
    });
}

#[test]
fn what_is_discarded_is_counted() {
    on_each(|scene| {
        let (sock, mut peer) = scene.connect(0);
        let writer = std::thread::spawn(move || {
            peer.write_all(&[2; 1_000_000]).unwrap();
            peer.write_all(&[3; 4]).unwrap();
            peer
        });
        let mut left = 1_000_000;
        while left > 0 {
            scene.io.set_low_water(sock, left.min(100_000) as u32);
            scene.io.receive(sock, Receive::Discard(left));
            left -= scene.until(|_, completion| match completion.what {
                What::Skipped(n) => Some(n),
                other => panic!("{other:?}"),
            });
        }
        scene.io.set_low_water(sock, 1);
        scene.io.receive(sock, Receive::Once);
        assert_eq!(scene.receive(4), [3; 4]);
        drop(writer.join().unwrap());
    });
}

#[test]
fn an_aborted_socket_is_closed_and_not_heard_of_again() {
    on_each(|scene| {
        let (sock, mut peer) = scene.connect(0);
        scene.io.receive(sock, Receive::Stream);
        peer.write_all(b"late").unwrap();
        let now = scene.clock.now();
        scene.io.retire(sock, now, Farewell::Abort);
        scene.nothing_more();
        assert!(matches!(peer.read(&mut [0]), Ok(0) | Err(_)));
        // Its place is another's now.
        let (again, mut peer) = scene.connect(5);
        scene.io.receive(again, Receive::Stream);
        peer.write_all(b"new").unwrap();
        assert_eq!(scene.receive(3), b"new");
    });
}

#[test]
fn a_connection_given_up_before_it_stands_is_not_heard_of() {
    on_each(|scene| {
        let to = scene.peer();
        for turns in 0..3 {
            let sock = scene.io.open(9, &to, None, &SocketOptions::default()).unwrap();
            let heard: usize = (0..turns).map(|_| scene.turn(Duration::ZERO).len()).sum();
            assert!(heard <= 1);
            let now = scene.clock.now();
            scene.io.retire(sock, now, Farewell::Abort);
            scene.nothing_more();
        }
    });
}

#[test]
fn the_peer_may_close_first() {
    on_each(|scene| {
        let (sock, mut peer) = scene.connect(0);
        scene.io.receive(sock, Receive::Stream);
        let now = scene.clock.now();
        scene.io.retire(sock, now, Farewell::Await);
        scene.nothing_more();
        assert_open(&mut peer);
        peer.write_all(b"the rest is swallowed").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        scene.nothing_more();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_peer_that_does_not_close_is_not_waited_for_for_ever() {
    on_each(|scene| {
        let (sock, mut peer) = scene.connect(0);
        scene.io.receive(sock, Receive::Stream);
        let now = scene.clock.now();
        scene.io.retire(sock, now, Farewell::Await);
        let late = now.after(crate::limits::LINGER);
        while scene.clock.now() <= late {
            scene.turn(Duration::ZERO);
        }
        scene.nothing_more();
        assert!(matches!(peer.read(&mut [0]), Ok(0) | Err(_)));
    });
}

#[test]
fn of_more_than_may_linger_the_oldest_are_closed_at_once() {
    on_each(|scene| {
        scene.io.set_lingering_max(2);
        let mut peers = Vec::new();
        for tag in 0..5 {
            let (sock, peer) = scene.connect(tag);
            scene.io.receive(sock, Receive::Stream);
            let now = scene.clock.now();
            scene.io.retire(sock, now, Farewell::Await);
            peers.push(peer);
        }
        scene.turn(Duration::ZERO);
        for peer in &mut peers[..3] {
            assert!(matches!(peer.read(&mut [0]), Ok(0) | Err(_)));
        }
        peers[3..].iter_mut().for_each(assert_open);
    });
}

#[test]
fn datagrams_go_both_ways_and_not_to_a_socket_given_up() {
    on_each(|scene| {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = Arc::new(Peer::ip(peer.local_addr().unwrap()));
        let sock = scene.io.open_datagrams(6, &to, None, &SocketOptions::default()).unwrap();
        let three_of_two = Transmit { segment_size: Some(2), ecn: 0 };
        scene.io.send_datagrams(sock, b"aabbcc", three_of_two).unwrap();
        let (mut piece, mut from) = ([0; 8], None);
        for expected in [b"aa", b"bb", b"cc"] {
            let (n, sender) = peer.recv_from(&mut piece).unwrap();
            assert_eq!(&piece[..n], expected);
            from = Some(sender);
        }
        // More than one receive takes.
        for i in 0..100_u8 {
            peer.send_to(&[i; 40], from.unwrap()).unwrap();
        }
        let (mut all, mut received) = (Vec::new(), Vec::new());
        for _ in 0..MANY {
            for completion in scene.turn(Duration::ZERO) {
                assert!(matches!(completion, Completion { tag: 6, what: What::Readable }), "{completion:?}");
                scene.io.receive_datagrams(sock, &mut received).unwrap();
                received.drain(..).for_each(|r: Received| all.extend_from_slice(&r.bytes));
            }
            if all.len() >= 4000 {
                break;
            }
        }
        assert_eq!(all.len(), 4000);
        assert!(all.chunks(40).zip(0..).all(|(datagram, i)| datagram == [i; 40]));
        assert_eq!(scene.io.datagram_drops(sock), 0);
        let now = scene.clock.now();
        scene.io.retire(sock, now, Farewell::Finish);
        peer.send_to(b"late", from.unwrap()).unwrap();
        scene.nothing_more();
    });
}

#[test]
fn the_end_is_said_after_all_that_was_to_be_sent() {
    on_each(|scene| {
        let (sock, mut peer) = scene.connect(0);
        scene.io.receive(sock, Receive::Stream);
        scene.io.send(sock, vec![4; 9_000_000]);
        let now = scene.clock.now();
        scene.io.retire(sock, now, Farewell::Finish);
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).map(|n| (n, peer))
        });
        while !reader.is_finished() && scene.clock.now() <= now.after(crate::limits::LINGER) {
            assert!(scene.turn(Duration::ZERO).is_empty());
        }
        assert_eq!(reader.join().unwrap().unwrap().0, 9_000_000);
    });
}

#[test]
fn a_wait_ends_at_its_deadline_and_at_once_if_that_has_passed() {
    on_each(|scene| {
        let (sock, _peer) = scene.connect(0);
        scene.io.receive(sock, Receive::Stream);
        for _ in 0..3 {
            let began = scene.clock.now();
            let mut waits = 0;
            while scene.clock.now().since(began) < BY_THEN {
                let now = scene.clock.now();
                let wait = Wait {
                    deadline: began.after(BY_THEN),
                    want: 1,
                    nap: Duration::ZERO,
                    limit: Duration::ZERO,
                };
                scene.io.wait(now, wait).unwrap();
                assert!(scene.io.next().is_none());
                waits += 1;
            }
            assert!(waits < 10, "{waits}: it does not wait");
            let now = scene.clock.now();
            let past = Wait { deadline: now, want: 1, nap: Duration::ZERO, limit: Duration::ZERO };
            scene.io.wait(now, past).unwrap();
        }
    });
}

#[test]
fn a_nap_brings_what_came_meanwhile_and_ends_even_if_nothing_did() {
    on_each(|scene| {
        let (sock, mut peer) = scene.connect(0);
        scene.io.receive(sock, Receive::Stream);
        let nap = Duration::from_micros(50);
        assert!(scene.turn(nap).is_empty());
        peer.write_all(b"x").unwrap();
        for _ in 0..MANY {
            if let Some(completion) = scene.turn(nap).pop() {
                let What::Received(chunk) = completion.what else { panic!("{completion:?}") };
                assert_eq!(scene.io.bytes(&chunk), b"x");
                return scene.io.release(chunk);
            }
        }
        panic!("it never came");
    });
}

#[test]
fn a_driver_that_goes_closes_its_sockets() {
    let mut peers = Vec::new();
    let collected = std::cell::RefCell::new(&mut peers);
    on_each(|scene| {
        let (idle, a) = scene.connect(0);
        scene.io.receive(idle, Receive::Stream);
        let (lingering, b) = scene.connect(1);
        let now = scene.clock.now();
        scene.io.retire(lingering, now, Farewell::Await);
        let (_unused, c) = scene.connect(2);
        let (busy, d) = scene.connect(3);
        scene.io.send(busy, vec![5; 9_000_000]);
        scene.nothing_more();
        collected.borrow_mut().extend([a, b, c, d]);
    });
    for mut peer in peers {
        let end = peer.read_to_end(&mut Vec::new());
        assert!(end.is_ok_and(|n| n < 9_000_000));
    }
}
