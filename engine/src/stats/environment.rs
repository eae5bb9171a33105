//! The machine's fingerprint: what one must know to compare two results.

use super::Environment;
use std::fs;

/// Reads the fingerprint. What cannot be read is left out.
pub(crate) fn read(driver: &str) -> Environment {
    let mut facts = Vec::new();
    let mut add = |name, value: Option<String>| {
        if let Some(value) = value.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()) {
            facts.push((name, value));
        }
    };
    add("loadgen", Some(env!("CARGO_PKG_VERSION").into()));
    add("kernel", file("/proc/sys/kernel/osrelease"));
    add("cpu", cpu_model());
    add("cpus", std::thread::available_parallelism().ok().map(|n| n.to_string()));
    add("governor", file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"));
    add("clocksource", file("/sys/devices/system/clocksource/clocksource0/current_clocksource"));
    add("congestion_control", file("/proc/sys/net/ipv4/tcp_congestion_control"));
    add("port_range", file("/proc/sys/net/ipv4/ip_local_port_range").map(|r| r.replace('\t', "-")));
    add("mitigations", mitigations());
    add("driver", Some(driver.into()));
    Environment { facts }
}

fn file(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn cpu_model() -> Option<String> {
    let info = file("/proc/cpuinfo")?;
    let line = info.lines().find(|l| l.starts_with("model name") || l.starts_with("Model"))?;
    line.split_once(':').map(|(_, v)| v.to_owned())
}

/// The vulnerabilities the kernel mitigates, by name; they cost system calls dearly.
fn mitigations() -> Option<String> {
    let mut names: Vec<String> = fs::read_dir("/sys/devices/system/cpu/vulnerabilities")
        .ok()?
        .flatten()
        .filter(|e| fs::read_to_string(e.path()).is_ok_and(|t| t.starts_with("Mitigation")))
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Some(names.join(" "))
}
