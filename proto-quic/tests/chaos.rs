//! A server that says anything: frames with random contents, packets in any order and at any level, time that passes as it likes, an
//! owner that does anything. Nothing is expected of the client but that it neither panics, spins, talks without end nor keeps more
//! than a bound, and that after its end it is silent. `CHAOS_SEED` and `CHAOS_ROUNDS`: see `common/seeds.rs`.

mod common;

use common::meter::{self, Meter};
use common::scripted::Server;
use common::wire::{Frame, Level, payload};
use common::world::{World, config};
use common::*;
use proto_quic::{Config, StreamId};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Meter = Meter;

/// Numbers as they tend to break things.
fn number(rng: &mut Rng) -> u64 {
    match rng.below(10) {
        0..=4 => rng.below(20),
        5 | 6 => rng.below(10_000),
        7 => rng.below(200_000),
        8 => (1 << rng.below(62)) - rng.below(2),
        _ => (1 << 62) - 1 - rng.below(3),
    }
}

fn bytes(rng: &mut Rng, most: u64) -> Vec<u8> {
    let len = rng.below(most);
    (0..len).map(|_| rng.next() as u8).collect()
}

/// Mostly streams that exist, mostly small offsets: most frames are to get as far as they can.
fn frame(rng: &mut Rng) -> Frame {
    let id = if rng.below(20) == 0 { number(rng) } else { [0, 0, 2, 3, 3, 4, 7, 8][rng.below(8) as usize] };
    match rng.below(26) {
        0 => Frame::Ping,
        1 => Frame::Padding(1 + rng.below(50) as usize),
        2 | 3 => {
            let largest = rng.below(30);
            let low = largest - rng.below(largest + 1);
            let ecn = (rng.below(2) == 0).then(|| [number(rng), number(rng), number(rng)]);
            Frame::Ack { delay: number(rng), ranges: vec![low..=largest], ecn }
        }
        4 => Frame::ResetStream { id, code: number(rng), size: rng.below(5000) },
        5 => Frame::StopSending { id, code: number(rng) },
        6 => Frame::Crypto { offset: number(rng), data: bytes(rng, 50) },
        7 => Frame::NewToken(bytes(rng, 50)),
        8 => Frame::MaxData(number(rng)),
        9 => Frame::MaxStreamData { id, max: number(rng) },
        10 => Frame::MaxStreams { bidi: rng.below(2) == 0, max: number(rng).min(1 << 60) },
        11 => Frame::DataBlocked(number(rng)),
        12 => Frame::StreamDataBlocked { id, max: number(rng) },
        13 => Frame::StreamsBlocked { bidi: rng.below(2) == 0, max: number(rng).min(1 << 60) },
        14 | 15 => {
            let seq = rng.below(8);
            let mut token = [0; 16];
            token[0] = seq as u8;
            Frame::NewConnectionId {
                seq,
                retire: rng.below(seq + 1),
                id: format!("id-no--{seq}").into(),
                token,
            }
        }
        16 => Frame::RetireConnectionId(number(rng)),
        17 => Frame::PathChallenge([rng.next() as u8; 8]),
        18 => Frame::PathResponse([rng.next() as u8; 8]),
        19 if rng.below(10) == 0 => Frame::Close {
            code: number(rng),
            frame: (rng.below(2) == 0).then(|| number(rng)),
            reason: bytes(rng, 50),
        },
        20 => Frame::HandshakeDone,
        _ => {
            let offset = if rng.below(10) == 0 { number(rng) } else { rng.below(3000) };
            let most = if rng.below(4) == 0 { 1000 } else { 20 };
            let data = bytes(rng, most);
            Frame::Stream { id, offset, data, fin: rng.below(30) == 0 }
        }
    }
}

/// A payload of frames, sometimes with something wrong in it.
fn packet(rng: &mut Rng) -> Vec<u8> {
    let frames: Vec<Frame> = (0..1 + rng.below(5)).map(|_| frame(rng)).collect();
    let mut out = payload(&frames);
    if rng.below(40) == 0 {
        let at = rng.below(out.len() as u64 + 1) as usize;
        match rng.below(3) {
            0 => out.truncate(at),
            1 => out.insert(at, rng.next() as u8),
            _ => out.extend(bytes(rng, 30)),
        }
    }
    out
}

fn level(w: &World, rng: &mut Rng) -> Level {
    let all = [Level::OneRtt, Level::OneRtt, Level::OneRtt, Level::Handshake, Level::Initial];
    let level = all[rng.below(5) as usize];
    if w.server.has_keys(level) { level } else { Level::Initial }
}

/// The owner does something.
fn act(w: &mut World, rng: &mut Rng) {
    let id = [0, 2, 3, 4, 7, 8, 12][rng.below(7) as usize];
    let now = w.now;
    match rng.below(9) {
        0 | 1 => drop(w.try_open(&bytes(rng, 3000), rng.below(2) == 0)),
        2 => {
            if let Some(id) = w.client.open_uni() {
                w.log.cookies.insert(id.0, 0);
            }
        }
        3 => w.write(id, &bytes(rng, 2000), rng.below(5) == 0),
        4 => w.client.reset(StreamId(id), number(rng)),
        5 => w.client.stop_sending(StreamId(id), number(rng)),
        6 => w.client.consumed(StreamId(id), rng.below(50)),
        7 => w.client.update_keys(),
        8 if rng.below(40) == 0 => w.client.close(now, number(rng), b"enough"),
        _ => {}
    }
}

fn chaos(seed: u64) -> bool {
    let mut rng = Rng::new(seed);
    meter::reset();
    let windows = Config {
        stream_window: 5000 + rng.below(50_000),
        connection_window: 5000 + rng.below(50_000),
        uni_streams: rng.below(5),
        ..config()
    };
    let mut w = World::new(&windows, Server::new());
    w.log.hoards = rng.below(3) == 0;
    w.log.lenient = true;
    // The server does not know what the client may do, since it says anything.
    w.server.lawful = false;
    if rng.below(3) != 0 {
        w.run();
    } else {
        w.flush();
    }
    for _ in 0..300 {
        match rng.below(12) {
            0..=6 => {
                let level = level(&w, &mut rng);
                let mut shape = w.server.shape(level);
                if rng.below(10) == 0 {
                    w.server.next_number[level.space()] += rng.below(5);
                }
                shape.number_len = 2 + rng.below(3) as usize;
                let payload = packet(&mut rng);
                let bytes = w.server.sealed(&shape, &payload);
                w.server.push(&bytes);
            }
            7 => act(&mut w, &mut rng),
            8 => drop(w.flush()),
            9 => drop(w.answer()),
            10 => w.deliver(&bytes(&mut rng, 1300), rng.next() as u8),
            _ => {
                w.now = w.now.after(Duration::from_nanos(rng.below(50_000_000)));
                w.fire();
            }
        }
    }
    w.run();
    let (_, most) = meter::held();
    assert!(most < 1 << 20, "the client held {most} bytes");
    if w.log.is_lost() {
        w.wait(secs(100));
        let before = w.server.datagrams;
        w.server.push(&[0x42; 60]);
        w.run();
        w.wait(secs(100));
        assert_eq!((w.server.datagrams, w.client.poll_timeout()), (before, None), "it goes on after its end");
    } else {
        w.wait(secs(200));
    }
    w.log.is_lost()
}

#[test]
fn whatever_comes() {
    let mut lost = 0;
    let tried = seeds::run("CHAOS", 600, |seed| lost += u64::from(chaos(seed)));
    // Neither always nor never: the server is no use otherwise.
    assert!(tried.is_none_or(|tried| lost > 0 && lost < tried), "{lost} of {tried:?} ended");
}
