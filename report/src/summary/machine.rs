//! The sections about the client machine: connections, cost, batching, and what must be known to read the figures.

use super::units::{bytes, percent, time};
use crate::counts;
use engine::stats::{AltSvcFigures, Batching, ConnectionFigures, RunResult};

pub(super) fn connections(result: &RunResult) -> String {
    let c = &result.connections;
    let mut out = format!("connections   {} opened", c.opened);
    for (n, what) in [(c.failed, "failed"), (c.lost, "lost"), (c.timed_out, "timed out")] {
        if n > 0 {
            out += &format!(", {n} {what}");
        }
    }
    if c.resumed + c.early_rejected > 0 {
        out += &began(c);
    }
    let spoken: Vec<String> = c.by_protocol.iter().map(|(protocol, n)| format!("{n} {protocol}")).collect();
    if spoken.len() > 1 {
        out += &format!("; {}; the first", spoken.join(", "));
    } else if let Some(protocol) = c.application_protocol {
        out += &format!("; {protocol}");
    }
    if let Some(tls) = &c.tls {
        out += &format!(" over {} {} {}", tls.version, tls.cipher, tls.group);
    }
    if let Some(streams) = c.peer_max_streams {
        out += &format!("; the server allows {streams} streams");
    }
    out.push('\n');
    out += &alternatives(&c.alt_svc);
    let q = &c.quic;
    if q.connections > 0 {
        let lost = (q.packets_lost.mean_ns() * q.packets_lost.count() as f64).round();
        let sent = q.packets_sent.mean_ns() * q.packets_sent.count() as f64;
        out += &format!(
            "              UDP {} datagrams sent, {} received; {lost} packets lost ({}); round trip {} at best, {} smoothed\n",
            q.datagrams_sent,
            q.datagrams_received,
            percent(lost / sent.max(1.0)),
            time(q.rtt_min.quantile_ns(0.5) as f64),
            time(q.rtt_smoothed.quantile_ns(0.5) as f64)
        );
    }
    if !c.goaways.is_empty() {
        let list: Vec<String> = c.goaways.iter().map(|(code, n)| format!("{code}: {n}")).collect();
        out += &format!("              ended by GOAWAY, by code: {}\n", list.join("   "));
    }
    if c.by_address.len() > 1 {
        let list: Vec<String> = c.by_address.iter().map(|(ip, n)| format!("{ip}: {n}")).collect();
        out += &format!("              {}\n", list.join("   "));
    }
    if c.by_source.len() > 1 {
        let list: Vec<String> = c.by_source.iter().map(|(ip, n)| format!("{ip}: {n}")).take(8).collect();
        let more = if c.by_source.len() > 8 { "   ..." } else { "" };
        out += &format!("              from {}{more}\n", list.join("   "));
    }
    out
}

/// What came of alternative services, if anything.
fn alternatives(a: &AltSvcFigures) -> String {
    if *a == AltSvcFigures::default() {
        return String::new();
    }
    let mut out =
        format!("              alt-svc: {} opened where the server said, {} failed", a.opened, a.failed);
    for (n, what) in [
        (a.cleared, "taken back"),
        (a.misdirected, "dropped for a 421"),
        (a.refused, "refused: a host that the plan does not name"),
    ] {
        if n > 0 {
            out += &format!(", {n} {what}");
        }
    }
    out + "\n"
}

/// How connections began, where not all did with a whole handshake.
fn began(c: &ConnectionFigures) -> String {
    let share = |n: u64| percent(counts::share(n, c.opened));
    let mut out =
        format!(": {} fresh ({}), {} resumed ({})", c.fresh, share(c.fresh), c.resumed, share(c.resumed));
    if c.early_accepted + c.early_rejected > 0 {
        let accepted = format!("{} accepted ({})", c.early_accepted, share(c.early_accepted));
        out += &format!(", early data {accepted}, {} rejected", c.early_rejected);
    }
    out
}

/// Over the whole run, warm-up included: CPU time cannot be told apart by phase.
pub(super) fn cost(result: &RunResult) -> String {
    let cost = &result.cost;
    let handshakes: u64 = result.phases.iter().map(|p| p.figures.handshakes.ended()).sum();
    let (ended, each) = match counts::ended_in_all_phases(result) {
        0 if handshakes > 0 => (handshakes as f64, "handshake"),
        ended => (ended.max(1) as f64, "request"),
    };
    let per_request = |t: std::time::Duration| time(t.as_nanos() as f64 / ended);
    let switches = cost.voluntary_switches + cost.involuntary_switches;
    let mut out = format!(
        "client cost   {} CPU per {each} ({} user + {} system), {:.3} context switches per {each}",
        per_request(cost.user + cost.system),
        per_request(cost.user),
        per_request(cost.system),
        counts::share(switches, ended as u64)
    );
    if cost.peak_rss > 0 {
        out += &format!(", peak memory {}", bytes(cost.peak_rss as f64));
    }
    out.push('\n');
    out
}

pub(super) fn batching(result: &RunResult) -> String {
    let line = policy(&result.batching);
    line.map_or(String::new(), |line| format!("batching      {line}\n"))
}

pub(super) fn bodies(discarded: bool) -> String {
    let note = "bodies        discarded in the kernel (--discard-body): counted, never seen\n";
    if discarded { note.to_owned() } else { String::new() }
}

/// The cores together: how many nap, how long on average, what it gains.
fn policy(cores: &[Batching]) -> Option<String> {
    if cores.is_empty() {
        return None;
    }
    let napping: Vec<&Batching> = cores.iter().filter(|b| b.on && b.nap_us > 0).collect();
    if napping.is_empty() {
        if cores.iter().all(|b| b.disabled) {
            return Some("switched off".into());
        }
        // Where a schedule says when requests begin, or a run was over too soon, nobody has tried.
        let tried = cores.iter().any(|b| b.naps > 0);
        return tried.then(|| "none: waiting for more brings nothing here".into());
    }
    let n = napping.len() as f64;
    let nap = napping.iter().map(|b| f64::from(b.nap_us)).sum::<f64>() / n;
    let gain = napping.iter().map(|b| b.gain).sum::<f64>() / n;
    let cores = if napping.len() == cores.len() {
        String::new()
    } else {
        format!(" on {n} of {} cores", cores.len())
    };
    let sign = if gain < 0.0 { "-" } else { "+" };
    Some(format!("{nap:.0} us, gain {sign}{}{cores}", percent(gain.abs())))
}
