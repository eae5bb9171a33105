//! What h2load says while it runs, made from the engine's events. A [`Live`] returns lines; who prints them is `cli`.

use super::{Format, Mode, complete};
use engine::Event;
use engine::stats::{RunResult, TlsFacts};
use std::fmt::Write as _;
use std::time::Duration;

/// Connections that begin so many at a time: `-r`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lots {
    /// All of them, over all threads.
    pub clients: u32,
    /// At a time.
    pub rate: u32,
    /// From one lot to the next: `--rate-period`.
    pub every: Duration,
}

/// Says what happens in h2load's words.
#[derive(Clone, Debug)]
pub struct Live {
    format: Format,
    mode: Mode,
    lots: Option<Lots>,
    clients_of_first: u32,
    connected: bool,
    warned_up: bool,
    reported: u64,
}

impl Live {
    /// Before the first event. `lots`: connections begin one lot after the other.
    pub fn new(format: Format, mode: Mode, lots: Option<Lots>) -> Live {
        Live { format, mode, lots, clients_of_first: 0, connected: false, warned_up: false, reported: 0 }
    }

    /// The very first line.
    pub fn begin(&self) -> &'static str {
        "starting benchmark...\n"
    }

    /// The lines of an event; often none.
    pub fn event(&mut self, event: &Event) -> String {
        match event {
            Event::CoreStarting { core, connections, iterations } => {
                if *core == 0 {
                    self.clients_of_first = *connections;
                }
                self.spawning(*core, *connections, iterations.unwrap_or(0))
            }
            Event::Connected { core: 0, tls, application_protocol } if !self.connected => {
                self.connected = true;
                let tls = tls.as_ref().map_or(String::new(), |facts| tls_lines(facts, self.format));
                format!("{tls}Application protocol: {application_protocol}\n")
            }
            Event::PhaseBegan { core, phase } => self.phase_began(*core, *phase),
            Event::PhaseEnded { core, phase } => self.phase_ended(*core, *phase),
            Event::Snapshot(snapshot) => {
                self.progress(complete(&snapshot.books), snapshot.connections.attempted)
            }
            _ => String::new(),
        }
    }

    /// What is still to be said before the final text.
    pub fn end(&mut self, result: &RunResult) -> String {
        self.progress(complete(&result.totals.books), result.connections.attempted)
    }

    fn spawning(&self, core: usize, clients: u32, requests: u64) -> String {
        match self.mode {
            Mode::Count(_) => {
                let lots = self.lots.filter(|lots| lots.clients > lots.rate).map_or(String::new(), |lots| {
                    let (rate, every) = (lots.rate.min(clients), period(lots.every));
                    format!("Up to {rate} client(s) will be created every {every} ")
                });
                format!(
                    "spawning thread #{core}: {clients} total client(s). {lots}{requests} total requests\n"
                )
            }
            Mode::Timed { warm_up, main } => format!(
                "spawning thread #{core}: {clients} total client(s). Timing-based test with {}s of warm-up time and {}s \
                 of main duration for measurements.\n",
                warm_up.as_secs_f64(),
                main.as_secs_f64()
            ),
        }
    }

    /// The plan of `-D` has one phase, or two if there is a warm-up; h2load always speaks of both.
    fn phase_began(&mut self, core: usize, phase: usize) -> String {
        let Mode::Timed { warm_up, .. } = self.mode else { return String::new() };
        let mut out = String::new();
        if phase == 0 {
            let _ = writeln!(out, "Warm-up started for thread #{core}.");
            if core == 0 && !self.warned_up {
                self.warned_up = true;
                out += &self.clients_started();
            }
        }
        if phase == 1 || warm_up.is_zero() {
            let _ = writeln!(out, "Warm-up phase is over for thread #{core}.");
            let _ = writeln!(out, "Main benchmark duration is started for thread #{core}.");
        }
        out
    }

    fn phase_ended(&self, core: usize, phase: usize) -> String {
        match self.mode {
            Mode::Timed { warm_up, .. } if phase == 1 || warm_up.is_zero() => format!(
                "Main benchmark duration is over for thread #{core}. Stopping all clients.\n\
                 Stopped all clients for thread #{core}\n"
            ),
            _ => String::new(),
        }
    }

    fn clients_started(&mut self) -> String {
        let all = u64::from(self.clients_of_first);
        self.tenths(all, all, "of clients started")
    }

    /// h2load reports each tenth of what its first thread was given; we have the sum of all, which says the same. With `-r` it
    /// tells of the clients.
    fn progress(&mut self, done: u64, connected: u64) -> String {
        match (self.mode, self.lots) {
            (Mode::Timed { .. }, _) => String::new(),
            (Mode::Count(_), Some(lots)) => {
                self.tenths(connected, u64::from(lots.clients), "of clients started")
            }
            (Mode::Count(total), None) => self.tenths(done, total, "done"),
        }
    }

    fn tenths(&mut self, done: u64, all: u64, what: &str) -> String {
        let every = (all / 10).max(1);
        let mut out = String::new();
        while self.reported + every <= done.min(all) {
            self.reported += every;
            let _ = writeln!(out, "progress: {}% {what}", self.reported * 100 / all);
        }
        out
    }
}

/// As h2load says how long a period is: whole hours, minutes or seconds where it is that, else milliseconds.
fn period(time: Duration) -> String {
    let (seconds, ms) = (time.as_secs(), time.as_millis());
    match () {
        () if time.is_zero() => "0".into(),
        () if ms % 1000 > 0 => format!("{ms}ms"),
        () if seconds % 60 > 0 => format!("{seconds}s"),
        () if seconds / 60 % 60 > 0 => format!("{}m", seconds / 60),
        () => format!("{}h", seconds / 3600),
    }
}

fn tls_lines(facts: &TlsFacts, format: Format) -> String {
    let mut out = format!("TLS Protocol: {}\nCipher: {}\n", facts.version, openssl_cipher(&facts.cipher));
    if let Some(key) = temp_key(&facts.group) {
        let _ = writeln!(out, "Server Temp Key: {key}");
    }
    if format != Format::Classic {
        if !facts.certificate.is_empty() {
            let _ = writeln!(out, "Certificate: {}", facts.certificate);
        }
        let _ = writeln!(out, "Negotiated Group: {}", facts.group);
        let _ = writeln!(out, "Resumption: {}", if facts.resumed { "yes" } else { "no" });
    }
    out
}

/// OpenSSL has names of its own for the suites of TLS 1.2; those of TLS 1.3 are IANA's.
fn openssl_cipher(iana: &str) -> &str {
    match iana {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" => "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" => "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" => "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" => "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" => "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" => "ECDHE-RSA-CHACHA20-POLY1305",
        other => other,
    }
}

/// The server's ephemeral key as OpenSSL describes it; none for hybrid groups, of which it says nothing either.
fn temp_key(group: &str) -> Option<&'static str> {
    match group.to_ascii_lowercase().as_str() {
        "x25519" => Some("X25519 253 bits"),
        "secp256r1" | "p-256" | "prime256v1" => Some("ECDH P-256 256 bits"),
        "secp384r1" | "p-384" => Some("ECDH P-384 384 bits"),
        "secp521r1" | "p-521" => Some("ECDH P-521 521 bits"),
        _ => None,
    }
}
