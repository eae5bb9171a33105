#!/usr/bin/env python3
"""How exactly a schedule is kept: bench/pacing.py [-c CONNECTIONS] [-m DEPTH] [--h2] [--cpu N] LOADGEN URL

Start a server first and pin it to another CPU (`loadgen serve --cpus 0`, or haterm). Runs at 1,000, 10,000 and 100,000 requests
a second, and prints the send lag, how far the achieved rate is off, how many windows of 10 ms have their number of requests
within two, and how far gaps of Poisson arrivals are from the exponential distribution (Kolmogorov-Smirnov; below the bound at
1 % it passes). With -m a connection takes so many requests at once (pipelined, or streams with --h2), so that a pause of the
server does not make every connection busy: then the lag is the client's own. What a machine that does other work meanwhile
adds is in these figures too; the verdict tells of pauses.
"""
import argparse, json, math, pathlib, subprocess, sys, tempfile


def run(args, *more):
    command = ["taskset", "-c", str(args.cpu), args.loadgen, "--format", "json", *more]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def starts(path):
    """When each request was sent, in seconds from the first, from a request log (microseconds since 1970, tab, ...)."""
    times = sorted(int(line.split("\t")[0]) for line in path.read_text().splitlines())
    return [(t - times[0]) / 1e6 for t in times]


def kolmogorov_smirnov(gaps, rate):
    gaps = sorted(gaps)
    n = len(gaps)
    worst = 0.0
    for i, gap in enumerate(gaps):
        expected = 1 - math.exp(-gap * rate)
        worst = max(worst, abs(expected - i / n), abs(expected - (i + 1) / n))
    return worst, 1.63 / math.sqrt(n)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--connections", type=int, default=64)
    parser.add_argument("-m", "--depth", type=int, default=1, help="requests at once on a connection")
    parser.add_argument("--h2", action="store_true", help="HTTP/2 instead of HTTP/1.1")
    parser.add_argument("--cpu", type=int, default=1, help="the client's CPU")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("loadgen")
    parser.add_argument("url")
    args = parser.parse_args()
    c, seconds = str(args.connections), args.seconds
    protocol = ["-m", str(args.depth)] + ([] if args.h2 else ["--h1"])
    print(f"{'rate':>8} {'lag p50':>10} {'lag p99':>10} {'rate off':>9}   verdict")
    for rate in (1000, 10_000, 100_000):
        r = run(args, *protocol, "-c", c, "-D", str(seconds), "--rate-total", str(rate), args.url)
        lag = r["send_lag"]
        off = abs(r["started"] / (rate * seconds) - 1) * 100
        print(f"{rate:>8} {lag['p50_us']:>7.1f} us {lag['p99_us']:>7.1f} us {off:>7.3f} %   {r['verdict']} "
              + "; ".join(r["verdict_reasons"]))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        log = folder / "log"
        run(args, *protocol, "-c", c, "-D", str(seconds), "--rate-total", "10000", "--log-file", str(log), args.url)
        windows = {}
        for t in starts(log):
            windows[int(t * 100)] = windows.get(int(t * 100), 0) + 1
        full = [windows.get(i, 0) for i in range(seconds * 100 - 1)]
        near = sum(98 <= n <= 102 for n in full) / len(full) * 100
        print(f"windows of 10 ms at 10,000/s with 98 to 102 requests: {near:.2f} % ({min(full)} to {max(full)})")
        plan = folder / "poisson.yaml"
        base, _, path = args.url.partition("://")[2].partition("/")
        plan.write_text(f"version: 1\ntarget: http://{base}\nprotocol: {'h2c' if args.h2 else 'h1'}\n"
                        f"connections: {{ max: {c}, streams: {args.depth} }}\nscenarios: {{ s: {{ steps: [ get: \"/{path}\" ] }} }}\n"
                        f"phases: [ {{ rate: 500/s, arrivals: poisson, for: {seconds}s }} ]\n")
        log2 = folder / "log2"
        run(args, "-f", str(plan), "--log-file", str(log2))
        times = starts(log2)
        worst, bound = kolmogorov_smirnov([b - a for a, b in zip(times, times[1:])], 500)
        print(f"Poisson arrivals at 500/s as they were sent: distance {worst:.4f}, bound {bound:.4f}")


main()
