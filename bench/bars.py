#!/usr/bin/env python3
"""The speed bars: loadgen against its peers on the same work, in turn, as ratios of client CPU per request.

    bench/bars.py [-r ROUNDS] [-s SECONDS] [--loadgen PATH] [--clear URL] [--tls URL] [--quic URL] [--site URL] [--small PATH]
                  [--large PATH] [ROW...]

Start a server pinned to CPU 0 first, for example haterm, or nginx with `keepalive_requests 1000000000`, or
`taskset -c 0 loadgen serve`; clients are pinned to CPU 1. Peers are taken from PATH (wrk, h2load, shb); one that is
missing leaves its column empty. Each row runs its commands in alternation, ROUNDS times after one that does not count,
and prints medians: us of client CPU (user + system of the whole process) per successful request, requests per second,
peak resident memory, and the ratio to the first peer. ROW: part of a row's name. Only loopback URLs are accepted.
Rows that begin with `plan` compare a plan (bench/plans) with flags that ask for the same; `plan log-in` needs `loadgen serve` as
the server (--site) and its ratio means little. Nothing is asserted: on a shared machine single figures mean little, ratios of one run something.
"""

import argparse
import json
import os
import re
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from urllib.parse import urlparse

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("-r", "--rounds", type=int, default=3)
parser.add_argument("-s", "--seconds", type=int, default=2)
parser.add_argument("--loadgen", default="target/release/loadgen")
parser.add_argument("--clear", default="http://127.0.0.1:8081")
parser.add_argument("--tls", default="https://127.0.0.1:8082")
parser.add_argument("--quic", default="https://127.0.0.1:8443")
parser.add_argument("--site", default="http://127.0.0.1:9081", help="`loadgen serve --clear 127.0.0.1:9081`")
parser.add_argument("--small", default="/?s=100", help="path of a response of 100 bytes")
parser.add_argument("--large", default="/?s=256k", help="path of a response of 256 KiB")
parser.add_argument("rows", nargs="*")
args = parser.parse_args()
for url in (args.clear, args.tls, args.quic, args.site):
    if urlparse(url).hostname not in ("127.0.0.1", "localhost", "::1"):
        sys.exit(f"bars: {url}: only loopback addresses are loaded")

S = args.seconds
LOADGEN = f"{args.loadgen} --format json -D {S} -t 1"


def wrk(c, url):
    return "wrk", f"wrk -t1 -c{c} -d{S} {url}"


def h2load(c, m, url, h1=False, more=""):
    """HTTP/2, over TLS or in clear, unless HTTP/1.1 or `--alpn-list=h3` is asked for."""
    return "h2load", f"h2load {'--h1 ' if h1 else ''}-t1 -c{c} -m{m} -D{S} {more} {url}"


def shb(c, p, url, more=""):
    parallel = f"-p{p}" if "--http" in more else ""
    return "shb", f"shb {more} -t1 -c{c} {parallel} -z{S}s {url}"


def ours(c, m, url, more="--h1", name="loadgen"):
    return name, f"{LOADGEN} -c {c} -m {m} {more} {url}"


def heavy(url, more=""):
    """Two threads on both CPUs, which the server needs one of: rate and mean latency count here, and CPU hardly."""
    return [("h2load", f"h2load -t2 -c512 -m8 -D{2 * S} {more} {url}"),
            ("loadgen", f"{args.loadgen} --format json -t 2 -c 512 -m 8 -D {2 * S} {more} {url}")]


def churn(url, more=""):
    """A connection for each request: as many clients as requests, with h2load's own flags."""
    return [("h2load", f"h2load -t1 -n1000 -c1000 -m1 {more} {url}"),
            ("loadgen", f"{args.loadgen} --format json -t 1 -n 1000 -c 1000 -m 1 {more} {url}")]


def drivers(c, m, url, more="--h1"):
    return [ours(c, m, url, f"{more} --io {io}", io) for io in ("uring", "monoio", "epoll")]


PLANS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "plans")


def plan(c, m, url, protocol, file="step.yaml", name="plan"):
    sets = {"target": url, "protocol": protocol, "connections.max": c, "connections.streams": m,
            "phases.0.users": c * m, "phases.0.for": f"{S}s"}
    if url.startswith("http:"):
        sets["tls"] = "{}"
    return name, f"{args.loadgen} --format json -t 1 -f {PLANS}/{file} " + " ".join(f"--set '{k}={v}'" for k, v in sets.items())


small, large = args.clear + args.small, args.clear + args.large
tsmall, tlarge = args.tls + args.small, args.tls + args.large
qsmall, qlarge, h3 = args.quic + args.small, args.quic + args.large, "--alpn-list=h3"
close = "--h1 -H 'connection: close'"
ROWS = {
    "h1 100B c64": [wrk(64, small), shb(64, 1, small), h2load(64, 1, small, True), ours(64, 1, small),
                    ours(64, 1, small, "--h1 --no-batch", "no-batch")],
    "h1 100B c512": [wrk(512, small), ours(512, 1, small)],
    "h1 100B c5000": [wrk(5000, small), ours(5000, 1, small)],
    "h1 100B c4": [wrk(4, small), h2load(4, 1, small, True), ours(4, 1, small)],
    "h1 256k c64": [wrk(64, large), ours(64, 1, large), ours(64, 1, large, "--h1 --discard-body", "discard")],
    "h1 tls 256k c16": [h2load(16, 1, tlarge, True), ours(16, 1, tlarge)],
    "h1 tls 100B c64": [h2load(64, 1, tsmall, True), ours(64, 1, tsmall)],
    "h1 close c64": [shb(64, 1, small, "--disable-keepalive"), ours(64, 1, small, close)],
    "h1 tls close c64": [shb(64, 1, tsmall, "--disable-keepalive"), ours(64, 1, tsmall, close)],
    "h2c 100B c16 m8": [h2load(16, 8, small), shb(16, 8, small, "--http2"), ours(16, 8, small, "")],
    "h2c 100B c64 m32": [h2load(64, 32, small), ours(64, 32, small, "")],
    "h2 tls 100B c16 m8": [h2load(16, 8, tsmall), shb(16, 8, tsmall, "--http2"), ours(16, 8, tsmall, "")],
    "h2 tls 100B c64 m32": [h2load(64, 32, tsmall), ours(64, 32, tsmall, "")],
    "h2c 256k c16 m8": [h2load(16, 8, large), ours(16, 8, large, "")],
    "h2 tls 256k c16 m8": [h2load(16, 8, tlarge), shb(16, 8, tlarge, "--http2"), ours(16, 8, tlarge, "")],
    "h2 tls 100B c1000 m1": [h2load(1000, 1, tsmall), ours(1000, 1, tsmall, "")],
    "heavy h2 tls 256k c512 m8": heavy(tlarge),
    "h3 100B c16 m8": [h2load(16, 8, qsmall, more=h3), shb(16, 8, qsmall, "--http3"), ours(16, 8, qsmall, h3)],
    "h3 100B c64 m32": [h2load(64, 32, qsmall, more=h3), shb(64, 32, qsmall, "--http3"), ours(64, 32, qsmall, h3)],
    "h3 256k c16 m8": [h2load(16, 8, qlarge, more=h3), shb(16, 8, qlarge, "--http3"), ours(16, 8, qlarge, h3)],
    "h3 100B c1000 m1": [h2load(1000, 1, qsmall, more=h3), ours(1000, 1, qsmall, h3)],
    "h3 connections": churn(qsmall, h3),
    "heavy h3 256k c512 m8": heavy(qlarge, h3),
    "plan h1 c64": [ours(64, 1, small, name="flags"), plan(64, 1, args.clear, "h1")],
    "plan h2c c8 m8": [ours(8, 8, small, "", "flags"), plan(8, 8, args.clear, "h2c")],
    "plan h2 tls c8 m8": [ours(8, 8, tsmall, "", "flags"), plan(8, 8, args.tls, "h2")],
    "plan h3 c8 m8": [ours(8, 8, qsmall, h3, "flags"), plan(8, 8, args.quic, "h3")],
    "plan h2c c64 m1": [ours(64, 1, small, "", "flags"), plan(64, 1, args.clear, "h2c")],
    "plan h3 c64 m1": [ours(64, 1, qsmall, h3, "flags"), plan(64, 1, args.quic, "h3")],
    "plan log-in c64": [ours(64, 1, args.site + "/login", name="flags"), plan(64, 1, args.site, "h1", "log-in.yaml")],
    "drivers h1 100B c64": [wrk(64, small), *drivers(64, 1, small)],
    "drivers h1 100B c512": [wrk(512, small), *drivers(512, 1, small)],
    "drivers h1 256k c64": [wrk(64, large), *drivers(64, 1, large)],
    "drivers h2c 100B c16 m8": [h2load(16, 8, small), *drivers(16, 8, small, "")],
}


def succeeded(text):
    """Successful requests by a tool's own summary."""
    for pattern in (r"^requests: .*?(\d+) succeeded", r"^Requests:\s+\d+ \((\d+) ok", r"^\s*(\d+) requests in "):
        found = re.search(pattern, text, re.M)
        if found:
            return int(found[1])
    for line in text.splitlines():
        if line.startswith("{"):
            return json.loads(line).get("succeeded", 0)
    return 0


MS = {"ns": 1e-6, "us": 1e-3, "ms": 1, "s": 1e3}


def mean(text):
    """The mean response time in ms, or nothing where a tool does not say."""
    for line in text.splitlines():
        if line.startswith("{"):
            return json.loads(line)["service_time"]["mean_us"] / 1e3
    # h2load: minimum, maximum, median, p95, p99, mean; without the three in the middle before 1.70.
    found = re.search(r"^(?:request|time for request) *:((?: +[\d.]+[a-z]+)+)", text, re.M)
    times = re.findall(r"([\d.]+)([a-z]+)", found[1]) if found else []
    if len(times) < 4:
        return None
    number, unit = times[2] if found[0].startswith("time") else times[5]
    return float(number) * MS[unit]


def run(command, cpus):
    with tempfile.TemporaryFile() as out:
        began = time.monotonic()
        child = subprocess.Popen(["taskset", "-c", cpus] + shlex.split(command), stdout=out, stderr=subprocess.STDOUT)
        peak = [0.0]

        def watch():  # the kernel's own maximum would include this script's memory at the fork
            while child.returncode is None:
                try:
                    found = re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{child.pid}/status").read())
                    peak[0] = max(peak[0], int(found[1]) / 1024 if found else 0)
                except OSError:
                    return
                time.sleep(0.02)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        out.seek(0)
        text = out.read().decode(errors="replace")
    done = succeeded(text)
    if child.returncode or not done:
        sys.exit(f"{text[-1500:]}\nbars: exit {child.returncode}, {done} requests: {command}")
    return {"us": (usage.ru_utime + usage.ru_stime) * 1e6 / done, "user": usage.ru_utime * 1e6 / done,
            "sys": usage.ru_stime * 1e6 / done, "rps": done / wall, "rss": peak[0], "mean": mean(text)}


def row(name, commands):
    commands = [(n, c) for n, c in commands if shutil.which(shlex.split(c)[0])]
    samples = {n: [] for n, _ in commands}
    for turn in range(args.rounds + 1):
        for n, command in commands:
            sample = run(command, "0,1" if name.startswith("heavy") else "1")
            if turn:
                samples[n].append(sample)
    base = None
    print(f"\n{name}\n{'':12} {'us/req':>8} {'user':>7} {'sys':>7} {'req/s':>9} {'RSS MB':>7} {'mean ms':>8}  ratio  (us/req from-to)")
    for n, _ in commands:
        median = {k: statistics.median(s[k] for s in samples[n]) for k in ("us", "user", "sys", "rps", "rss")}
        base = base or median["us"]
        means = [s["mean"] for s in samples[n] if s["mean"]]
        waited = f"{statistics.median(means):8.3f}" if means else " " * 8
        low, high = min(s["us"] for s in samples[n]), max(s["us"] for s in samples[n])
        print(f"{n:12} {median['us']:8.2f} {median['user']:7.2f} {median['sys']:7.2f} {median['rps']:9.0f} "
              f"{median['rss']:7.1f} {waited}  {median['us'] / base:5.2f}  ({low:.2f}-{high:.2f})", flush=True)


resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
chosen = {n: c for n, c in ROWS.items() if not args.rows or any(r in n for r in args.rows)}
if not chosen:
    sys.exit(f"bars: no such row; there are: {', '.join(ROWS)}")
for name, commands in chosen.items():
    row(name, commands)
