//! A network in virtual time that does to each datagram what its weather says. `proto-h3`'s tests include this file, too.

use proto::Time;
use proto::conformance::Rng;
use std::collections::BTreeMap;
use std::time::Duration;

/// What the network does to a datagram, in parts of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    pub loss: u64,
    pub duplicate: u64,
    /// Held back by up to two more ways.
    pub reorder: u64,
    /// A bit is flipped.
    pub corrupt: u64,
    /// Marked as having met congestion, where ECN is in use.
    pub mark: u64,
    /// All ECN bits are washed off.
    pub bleach: bool,
    pub delay: Duration,
    /// Bytes a second, where there is a bottleneck, and how many may wait before it.
    pub rate: Option<(u64, u64)>,
    /// Datagrams above this vanish, from that moment on.
    pub shrink: Option<(Time, usize)>,
    /// The client's address changes then.
    pub rebind: Option<Time>,
    /// Nothing gets through from then on.
    pub dead: Option<Time>,
}

/// To whom a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Side {
    Client,
    Server,
}

/// What becomes of one datagram, whatever the weather.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    Lost,
    Twice,
    Late,
}

pub struct Network {
    pub weather: Weather,
    rng: Rng,
    /// By arrival and a number that keeps them apart: to whom, and what.
    flying: BTreeMap<(Time, u64), (Side, Vec<u8>, u8)>,
    count: u64,
    /// When the bottleneck is free again, of each way.
    free: [Time; 2],
    /// Datagrams so far.
    number: u64,
    /// What becomes of the datagram of this number, from 1.
    pub fate: Option<(u64, Fate)>,
}

impl Network {
    pub fn new(weather: Weather, rng: Rng) -> Network {
        Network {
            weather,
            rng,
            flying: BTreeMap::new(),
            count: 0,
            free: [Time::ZERO; 2],
            number: 0,
            fate: None,
        }
    }

    pub fn send(&mut self, now: Time, to: Side, bytes: &[u8], mut ecn: u8) {
        let w = self.weather;
        self.number += 1;
        let fate = self.fate.filter(|f| f.0 == self.number).map(|f| f.1);
        let chance = |rng: &mut Rng, parts| rng.below(1000) < parts;
        let vanishes = fate == Some(Fate::Lost)
            || w.dead.is_some_and(|t| now >= t)
            || w.shrink.is_some_and(|(t, size)| now >= t && bytes.len() > size)
            || chance(&mut self.rng, w.loss);
        if vanishes {
            return;
        }
        if w.bleach {
            ecn = 0;
        } else if ecn != 0 && chance(&mut self.rng, w.mark) {
            ecn = 3;
        }
        let mut sent = now;
        if let Some((rate, queue)) = w.rate {
            let free = &mut self.free[to as usize];
            let start = (*free).max(now);
            if start.since(now) > Duration::from_secs_f64(queue as f64 / rate as f64) {
                return;
            }
            *free = start.after(Duration::from_secs_f64(bytes.len() as f64 / rate as f64));
            sent = *free;
        }
        if fate == Some(Fate::Late) {
            sent = sent.after(Duration::from_millis(300));
        }
        let copies = 1 + u64::from(chance(&mut self.rng, w.duplicate) || fate == Some(Fate::Twice));
        for _ in 0..copies {
            let mut delay = w.delay;
            if chance(&mut self.rng, w.reorder) {
                delay += Duration::from_nanos(self.rng.below(2 * w.delay.as_nanos() as u64));
            }
            let mut bytes = bytes.to_vec();
            if chance(&mut self.rng, w.corrupt) {
                let at = self.rng.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << self.rng.below(8);
            }
            self.count += 1;
            self.flying.insert((sent.after(delay), self.count), (to, bytes, ecn));
        }
    }

    /// When the next datagram arrives.
    pub fn next_arrival(&self) -> Option<Time> {
        self.flying.keys().next().map(|k| k.0)
    }

    /// A datagram that has arrived: to whom, and its ECN bits.
    pub fn arrived(&mut self, now: Time) -> Option<(Side, Vec<u8>, u8)> {
        let first = self.flying.first_entry().filter(|e| e.key().0 <= now)?;
        Some(first.remove())
    }

    /// The client's address changes now, if the weather wants it; that happens once.
    pub fn rebinds(&mut self, now: Time) -> bool {
        self.weather.rebind.take_if(|at| now >= *at).is_some()
    }

    /// What is under way is lost.
    pub fn clear(&mut self) {
        self.flying.clear();
    }
}
