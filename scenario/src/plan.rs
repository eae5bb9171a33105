//! The plan in memory. Made by `parse` from YAML and by `cli` from flags; read by `engine`.
//!
//! Everything here is already checked: counts are non-zero where zero makes no sense, every index points somewhere,
//! every template is a legal request. What cannot be expressed cannot go wrong at run time.

use crate::limits;
use crate::program::data::Source;
use crate::program::{Handed, Program};
use crate::search::Search;
use crate::secret::{Secrets, in_query, is_credential};
use crate::tags::Tags;
use bytes::Bytes;
use proto::{Scheme, Template, Want};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

mod connections;
mod load;
mod names;
mod threshold;

pub use connections::{
    Congestion, Connections, Family, Http2, Http3, Identity, Mix, Proxy, ProxyProtocol, ProxyVersion, Route,
    Secret, Share, Socket, Timeouts, Tls, TlsVersion,
};
pub use load::{Arrivals, Backlog, Curve, Handshakes, Load, Phase, PhaseOverrides, Spread, Stop};
pub use threshold::{CountName, Metric, Op, SeriesName, Threshold};

/// A whole run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// For people and file names.
    pub name: String,
    /// Where connections go. Never empty; index 0 is the default.
    pub targets: Vec<Target>,
    /// Which HTTP, where a target does not say: see [`Plan::protocol_of`].
    pub protocol: Protocol,
    /// How TLS behaves for `https` targets.
    pub tls: Tls,
    /// How many connections, and how they are shared and ended.
    pub connections: Connections,
    /// What HTTP/2 connections announce and keep to.
    pub http2: Http2,
    /// The same of HTTP/3 connections, and of QUIC.
    pub http3: Http3,
    /// The time limits of a connection and of a request.
    pub timeouts: Timeouts,
    /// What users do. No scenario without a step; empty only where all phases are of handshakes.
    pub scenarios: Vec<Scenario>,
    /// One after the other, or as [`Plan::tracks`] says. Never empty.
    pub phases: Vec<Phase>,
    /// What runs side by side; empty: all scenarios share all phases. See [`Plan::all_tracks`].
    pub tracks: Vec<Track>,
    /// What decides the exit code.
    pub thresholds: Vec<Threshold>,
    /// What scripted scenarios share.
    pub script: Script,
    /// The load to look for. The phases are then those of its first probe, and there are no thresholds.
    pub search: Option<Search>,
    /// What it was read from besides its own file: files that it includes, sends, takes rows or times from, holds responses against
    /// or shows and trusts as certificates.
    pub files: Vec<PathBuf>,
}

/// Phases that follow one another, and the scenarios whose iterations they make begin. Tracks run side by side, each with users
/// of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Indices of scenarios; a scenario is of one track. Empty only where all its phases are of handshakes.
    pub scenarios: Vec<usize>,
    /// Indices of phases. Never empty; tracks divide the phases of the plan.
    pub phases: Range<usize>,
    /// How long after the start of the run the first of them begins.
    pub start_after: Duration,
    /// Its phases are its scenario's own, and not those of the plan.
    pub own: bool,
}

/// What the programs of all scenarios share.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Where rows come from.
    pub data: Vec<Source>,
    /// The checks of all programs, in the order of their tallies.
    pub checks: Vec<NamedCheck>,
    /// What everything random begins with: values, rows, pauses, arrivals. The same plan with the same seed is the same run.
    pub seed: u64,
    /// What is done once, before the first phase.
    pub setup: Option<Box<Once>>,
    /// What is done once, after the last phase.
    pub teardown: Option<Box<Once>>,
    /// Where users wait for each other.
    pub meetings: Vec<Meeting>,
    /// Places of the values that this plan, being a setup, hands over.
    pub hands: Vec<u16>,
    /// The values that a setup handed over.
    pub handed: Handed,
    /// What the whole plan knows that is not to be shown, whichever part of it is run: values from the environment, which stand in
    /// paths, fields and bodies like any text, and credentials that it writes.
    pub hidden: Secrets,
}

/// A point where users wait until so many have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// Its name; empty if it has none.
    pub name: String,
    /// How many.
    pub users: NonZeroU32,
}

/// Steps that are done once in a run, by one user of their own, beside the phases.
#[derive(Clone, Debug)]
pub struct Once {
    /// The steps.
    pub scenario: Scenario,
    /// Where they go: a list of its own, so that the phases open no connections there.
    pub targets: Vec<Target>,
    /// Their checks.
    pub checks: Vec<NamedCheck>,
    /// Places of the variables that are handed to all users.
    pub hands: Vec<u16>,
}

/// A check of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedCheck {
    /// The scenario it belongs to.
    pub scenario: String,
    /// The step.
    pub step: String,
    /// The tags of the step.
    pub tags: Tags,
    /// Its own name.
    pub name: String,
}

/// How often a check passed and failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckTally {
    /// Times it passed.
    pub passed: u64,
    /// Times it failed.
    pub failed: u64,
    /// What was found instead, a few times.
    pub samples: Vec<String>,
}

impl Plan {
    /// Every step of every scenario, in the dense order that step indices (results, prepared templates) use.
    pub fn steps(&self) -> impl Iterator<Item = (&Scenario, &Step)> {
        self.scenarios.iter().flat_map(|s| s.steps.iter().map(move |step| (s, step)))
    }

    /// The checks of all programs, then those of the steps of plain scenarios: in this order the result has them.
    pub fn checks(&self) -> impl Iterator<Item = NamedCheck> {
        let plain = self.steps().filter(|(scenario, step)| scenario.counts_in_step(step));
        let plain = plain.map(|(scenario, step)| NamedCheck {
            scenario: scenario.name.clone(),
            step: step.name.clone(),
            tags: step.tags.clone(),
            name: STATUS_CHECK.to_owned(),
        });
        self.script.checks.iter().cloned().chain(plain)
    }

    /// Whether each phase has tallies of checks of its own: where a threshold asks for a check in a phase.
    pub fn tallies_by_phase(&self) -> bool {
        self.thresholds.iter().any(|t| t.check.is_some() && t.phase.is_some())
    }

    /// What must not be shown of any request, nor of the plan itself.
    pub fn secrets(&self) -> Secrets {
        let mut secrets = self.script.hidden.clone();
        if let Some(authorization) =
            self.connections.route.proxy.as_ref().and_then(|p| p.authorization.as_ref())
        {
            secrets.add_known("proxy-authorization", authorization.reveal().as_bytes());
        }
        let once = self.script.setup.iter().chain(&self.script.teardown).map(|once| &once.scenario);
        // A default stands in each of ten thousand steps.
        let (mut seen, mut parameters) = (HashSet::new(), HashSet::new());
        for scenario in self.scenarios.iter().chain(once) {
            for value in scenario.steps.iter().flat_map(|step| in_query(step.template.path())) {
                if let Some(value) =
                    value.as_literal().filter(|_| parameters.len() < limits::KNOWN_PARAMETERS)
                    && !parameters.contains(&value)
                {
                    secrets.add_known_parameter(&value);
                    parameters.insert(value);
                }
            }
            let fields = scenario.steps.iter().flat_map(|step| step.template.fields());
            fields.filter(|field| is_credential(field)).for_each(|field| {
                if let Some(value) = field.value.as_literal()
                    && seen.insert((&field.name, value.clone()))
                {
                    secrets.add_known(&field.name, &value);
                }
            });
            let constants = scenario.program.iter().flat_map(|program| program.hidden_constants());
            constants.for_each(|value| secrets.add_known("", &value));
        }
        secrets
    }

    /// What is spoken with a target.
    pub fn protocol_of(&self, target: &Target) -> Protocol {
        target.protocol.unwrap_or(self.protocol)
    }

    /// Whether this is spoken with some target.
    pub fn speaks(&self, protocol: Protocol) -> bool {
        self.targets.iter().any(|t| self.protocol_of(t) == protocol)
    }

    /// Whether HTTP/3 is spoken with some target, or may come to be.
    pub fn speaks_quic(&self) -> bool {
        self.targets.iter().any(|t| self.protocol_of(t) == Protocol::H3 || self.may_move(t))
    }

    /// Whether connections to a target go where it says that it speaks HTTP/3.
    pub fn may_move(&self, target: &Target) -> bool {
        self.connections.alt_svc && target.has_alternative(self.protocol)
    }

    /// How connections begin.
    pub fn mix(&self) -> Mix {
        self.connections.mix.unwrap_or(match (self.tls.early_data, self.tls.resumption) {
            (true, _) => Mix::EARLY,
            (false, true) => Mix::RESUMED,
            (false, false) => Mix::FRESH,
        })
    }

    /// Steps that are done once as a plan of its own: one user, one iteration.
    pub fn once(&self, once: &Once) -> Plan {
        let phase = Phase {
            name: once.scenario.name.clone(),
            users: NonZeroU32::MIN,
            load: Load::Closed,
            stop: Stop::Iterations(NonZeroU64::MIN),
            record: true,
            overrides: PhaseOverrides::default(),
        };
        let width = once.scenario.program.as_ref().map_or(1, |p| p.width());
        let max = match self.connections.share {
            Share::Pool => NonZeroU32::new(width).unwrap_or(NonZeroU32::MIN),
            Share::PerUser => NonZeroU32::MIN,
        };
        let ramp_up = Duration::ZERO;
        Plan {
            name: self.name.clone(),
            targets: once.targets.clone(),
            connections: Connections { max, ramp_up, mix: None, alt_svc: false, ..self.connections.clone() },
            scenarios: vec![once.scenario.clone()],
            phases: vec![phase],
            tracks: vec![],
            files: vec![],
            thresholds: vec![],
            script: Script {
                data: vec![],
                checks: once.checks.clone(),
                seed: self.script.seed,
                setup: None,
                teardown: None,
                meetings: vec![],
                hands: once.hands.clone(),
                handed: self.script.handed.clone(),
                hidden: self.script.hidden.clone(),
            },
            // Its one connection has no session of an earlier one.
            tls: Tls { resumption: false, early_data: false, ..self.tls.clone() },
            search: None,
            ..*self
        }
    }

    /// Every list of targets: the plan's, and those of what is done once.
    fn all_targets(&self) -> impl Iterator<Item = &Target> {
        let once = self.script.setup.iter().chain(&self.script.teardown);
        self.targets.iter().chain(once.flat_map(|o| &o.targets))
    }

    /// What runs side by side: the tracks, or the one that all scenarios and phases are.
    pub fn all_tracks(&self) -> Cow<'_, [Track]> {
        match self.tracks.is_empty() {
            false => Cow::Borrowed(&self.tracks),
            true => Cow::Owned(vec![Track {
                scenarios: (0..self.scenarios.len()).collect(),
                phases: 0..self.phases.len(),
                start_after: Duration::ZERO,
                own: false,
            }]),
        }
    }

    /// The track of a scenario that has phases of its own.
    pub fn own_track(&self, scenario: usize) -> Option<&Track> {
        self.tracks.iter().find(|t| t.own && t.scenarios == [scenario])
    }

    /// The most users that there are at a time, over all tracks; connections of phases of handshakes count as such.
    pub fn users(&self) -> u32 {
        most_users(&self.tracks, &self.phases, |_| true)
    }

    /// The most connections that phases of handshakes have at a time, over all tracks.
    pub fn handshakes(&self) -> u32 {
        most_users(&self.tracks, &self.phases, |p| !p.load.makes_requests())
    }

    /// Whether any phase makes requests.
    pub fn makes_requests(&self) -> bool {
        self.phases.iter().any(|p| p.load.makes_requests())
    }

    /// Whether any target is the built-in server, which must be started before the run.
    pub fn needs_builtin(&self) -> bool {
        self.all_targets().any(|t| t.endpoint == Endpoint::Builtin)
    }

    /// Points every built-in target at the server that was started for it.
    pub fn bind_builtin(&mut self, clear: SocketAddr, tls: SocketAddr) {
        let once = self.script.setup.iter_mut().chain(&mut self.script.teardown);
        for target in self.targets.iter_mut().chain(once.flat_map(|o| &mut o.targets)) {
            if target.endpoint == Endpoint::Builtin {
                target.endpoint = Endpoint::Address(match target.scheme {
                    Scheme::Http => clear,
                    Scheme::Https => tls,
                });
            }
        }
    }
}

/// The most users that there may be at a time in phases that count: those of the largest phase of each track, or of all where
/// there are none.
pub(crate) fn most_users(tracks: &[Track], phases: &[Phase], counts: impl Fn(&Phase) -> bool) -> u32 {
    let most =
        |phases: &[Phase]| phases.iter().filter(|p| counts(p)).map(|p| p.users.get()).max().unwrap_or(0);
    match tracks {
        [] => most(phases),
        _ => tracks.iter().map(|t| most(&phases[t.phases.clone()])).fold(0, u32::saturating_add),
    }
}

/// A place to connect to, and the name it has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// In clear or over TLS.
    pub scheme: Scheme,
    /// What `host` / `:authority` says: the host, and the port unless it is the scheme's own.
    pub authority: String,
    /// The host alone, without brackets: the default server name of TLS.
    pub host: String,
    /// Where the connection really goes.
    pub endpoint: Endpoint,
    /// What is spoken there if not what the plan says. A host that is spoken to in several protocols is several targets, each
    /// with connections of its own.
    pub protocol: Option<Protocol>,
}

/// Where a connection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A name or an address in text (without brackets), resolved once before the start.
    Name {
        /// Host name or IP address.
        host: String,
        /// Port.
        port: u16,
    },
    /// An address.
    Address(SocketAddr),
    /// Addresses, used in turn. Never empty.
    Addresses(Vec<SocketAddr>),
    /// A Unix socket; `@NAME` is one in the abstract namespace.
    Unix(PathBuf),
    /// The built-in server, in process.
    Builtin,
}

/// Which HTTP the connections speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Protocol {
    /// What ALPN agrees on over TLS; HTTP/1.1 in clear.
    Auto,
    /// HTTP/1.1.
    #[default]
    H1,
    /// HTTP/2 over TLS.
    H2,
    /// HTTP/2 in clear, with prior knowledge.
    H2c,
    /// HTTP/3.
    H3,
}

impl Protocol {
    /// As plans name them.
    pub const WORDS: &'static [(&'static str, Protocol)] = &[
        ("auto", Protocol::Auto),
        ("h1", Protocol::H1),
        ("h2", Protocol::H2),
        ("h2c", Protocol::H2c),
        ("h3", Protocol::H3),
    ];

    /// `auto`, `h1`, `h2`, `h2c`, `h3`.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Auto => "auto",
            Protocol::H1 => "h1",
            Protocol::H2 => "h2",
            Protocol::H2c => "h2c",
            Protocol::H3 => "h3",
        }
    }

    /// Whether it can be spoken with targets of this scheme.
    pub fn goes_with(self, scheme: Scheme) -> bool {
        match self {
            Protocol::Auto | Protocol::H1 => true,
            Protocol::H2 | Protocol::H3 => scheme == Scheme::Https,
            Protocol::H2c => scheme == Scheme::Http,
        }
    }
}

/// What a virtual user does, over and over.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// Share of the users relative to the other scenarios.
    pub weight: NonZeroU32,
    /// In order. Never empty.
    pub steps: Vec<Step>,
    /// How users walk the steps.
    pub order: Order,
    /// What is done besides sending constant requests; `None`: nothing, which is the fast path.
    pub program: Option<Arc<Program>>,
}

/// The name of the check of a step that has a status to expect and nothing else to look at.
pub const STATUS_CHECK: &str = "status";

impl Scenario {
    /// Whether this step of it has a check that is counted with the requests of the step: there is no program to judge it.
    pub fn counts_in_step(&self, step: &Step) -> bool {
        self.program.is_none() && !step.checks.is_empty()
    }

    /// The names of the checks of its steps, by the place of the step in it.
    pub fn check_names(&self, step: usize) -> Vec<&str> {
        match &self.program {
            Some(program) => program.exchanges()[step].check_names().collect(),
            None if self.counts_in_step(&self.steps[step]) => vec![STATUS_CHECK],
            None => vec![],
        }
    }
}

/// How users walk the steps of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Order {
    /// First to last: one iteration.
    #[default]
    Sequence,
    /// Each request takes the connection's next step, round robin (h2load with several URIs); an iteration is one request.
    RoundRobin,
}

/// One HTTP exchange of a scenario.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name in results; unique in its scenario.
    pub name: String,
    /// Index into [`Plan::targets`].
    pub target: usize,
    /// The request.
    pub template: Template,
    /// Its body; empty without one.
    pub body: Bytes,
    /// What is judged of the response.
    pub checks: Vec<Check>,
    /// Overrides [`Timeouts::request`].
    pub timeout: Option<Duration>,
    /// What must be looked at in the response.
    pub want: Want,
    /// What its figures are found by, besides its name.
    pub tags: Tags,
}

impl Step {
    /// The statuses that make the request a success: the step's status check, else anything below 400.
    pub fn expected(&self) -> StatusSet {
        self.checks.iter().map(|Check::Status(set)| set.clone()).next().unwrap_or_else(StatusSet::below_400)
    }
}

/// Pass or fail on one response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// The status is one of these.
    Status(StatusSet),
}

/// A set of status codes: ranges, inclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSet(pub Vec<(u16, u16)>);

impl StatusSet {
    /// What counts as success where nobody says otherwise.
    pub fn below_400() -> StatusSet {
        StatusSet(vec![(100, 399)])
    }
    /// Whether the status is in the set.
    #[inline]
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|&(lo, hi)| lo <= status && status <= hi)
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (lo, hi)) in self.0.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            match lo == hi {
                true => write!(f, "{comma}{lo}")?,
                false => write!(f, "{comma}{lo}..{hi}")?,
            }
        }
        Ok(())
    }
}
