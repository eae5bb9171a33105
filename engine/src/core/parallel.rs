//! Requests of one user that run at once (`parallel`): each takes the place of a user of its own in the core, a lane, and
//! shares the variables and cookies of its owner.
//!
//! Lanes are made when they are first needed and kept: in steady state nothing is allocated. Their numbers lie behind those
//! of the users.

use super::Core;
use super::users::{State, User};
use crate::clock::Clock;
use crate::io::Driver;
use proto::Time;
use scenario::plan::Share;
use scenario::program::{Flight, Hop};

/// The lanes of a core.
#[derive(Default)]
pub(super) struct Lanes {
    pub(super) list: Vec<Lane>,
    /// Those that nobody uses, by the connection that is their own (`Share::PerUser`); else all in the first.
    free: Vec<Vec<u32>>,
}

/// A request beside that of its owner.
#[derive(Default)]
pub(super) struct Lane {
    pub(super) owner: u32,
    pub(super) flight: Flight,
}

impl<D: Driver, C: Clock> Core<'_, D, C> {
    /// Begins the requests of a `parallel`, at most so many at a time.
    pub(super) fn fan_out(&mut self, index: u32, most: u16, due: Time, now: Time) {
        self.users[index as usize].state = State::Fanned;
        let launched = (0..most).take_while(|_| self.launch(index, due, now)).count();
        if launched == 0 {
            // The others go first, as after anything that takes no time.
            self.rest(index, now, State::Thinking, now);
        }
    }

    /// Begins the next request of a `parallel`. False: there is none.
    fn launch(&mut self, owner: u32, due: Time, now: Time) -> bool {
        let setup = self.setup;
        let (scenario, phase) = {
            let user = &self.users[owner as usize];
            (user.scenario, user.iteration_phase)
        };
        let program = setup.program(scenario);
        let lane = self.take_lane(owner);
        self.scripts.at(now);
        let scripts = &mut self.scripts;
        let flight = &mut scripts.lanes.list[lane as usize - scripts.actors.len()].flight;
        let Some(step) = scripts.actors[owner as usize].launch(program, &scripts.world, flight) else {
            self.free_lane(lane);
            return false;
        };
        let user = &mut self.users[lane as usize];
        (user.scenario, user.iteration_phase) = (scenario, phase);
        let step = setup.scenarios[usize::from(scenario)].first + step;
        self.start_request_to(lane, (step, setup.steps[step as usize].target), due, now);
        true
    }

    /// Whether a number is that of a lane.
    #[inline]
    pub(super) fn is_lane(&self, index: u32) -> bool {
        index as usize >= self.scripts.actors.len() && !self.scripts.lanes.list.is_empty()
    }

    /// The request of a lane ended: a redirect is followed, the next one begins, or the owner goes on.
    pub(super) fn landed(&mut self, lane: u32, now: Time) {
        let setup = self.setup;
        let scenario = self.users[lane as usize].scenario;
        let program = setup.program(scenario);
        self.scripts.at(now);
        let scripts = &mut self.scripts;
        let beside = &mut scripts.lanes.list[lane as usize - scripts.actors.len()];
        let owner = beside.owner;
        let next = scripts.actors[owner as usize].land(program, &scripts.world, &mut beside.flight);
        let stopping = self.stopping || self.is_cut(owner);
        if let Some((step, Hop { target, .. })) = next.filter(|_| !stopping) {
            let step = setup.scenarios[usize::from(scenario)].first + step;
            return self.start_request_to(lane, (step, target), now, now);
        }
        self.users[lane as usize].state = State::Idle;
        self.free_lane(lane);
        if !stopping && self.launch(owner, now, now) {
            return;
        }
        let aloft = self.scripts.actors[owner as usize].aloft();
        // A redirect that is not followed any more was not counted as landed; the run is over then.
        if aloft == 0 || (stopping && !self.has_lanes(owner)) {
            self.next_step(owner, now);
        }
    }

    fn has_lanes(&self, owner: u32) -> bool {
        let actors = self.scripts.actors.len();
        let busy = |i: usize| self.users[actors + i].state != State::Idle;
        self.scripts.lanes.list.iter().enumerate().any(|(i, lane)| lane.owner == owner && busy(i))
    }

    /// The connection of a user's own has the same remainder as its number, and so has its lanes'.
    fn modulus(&self) -> u32 {
        match self.setup.plan.connections.share {
            Share::PerUser => self.share.links.max(1),
            Share::Pool => 1,
        }
    }

    fn take_lane(&mut self, owner: u32) -> u32 {
        let modulus = self.modulus();
        let row = (owner % modulus) as usize;
        if self.scripts.lanes.free.is_empty() {
            self.scripts.lanes.free.resize(modulus as usize, Vec::new());
        }
        while self.scripts.lanes.free[row].is_empty() {
            let index = self.users.len() as u32;
            self.users.push(User::new(0));
            let lanes = &mut self.scripts.lanes;
            lanes.list.push(Lane::default());
            lanes.free[(index % modulus) as usize].push(index);
        }
        let lanes = &mut self.scripts.lanes;
        let lane = lanes.free[row].pop().expect("one was just made");
        lanes.list[lane as usize - self.scripts.actors.len()].owner = owner;
        lane
    }

    fn free_lane(&mut self, lane: u32) {
        let row = (lane % self.modulus()) as usize;
        self.scripts.lanes.free[row].push(lane);
    }
}
