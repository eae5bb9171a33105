#!/usr/bin/env python3
"""Whether a result can be trusted, shown on a real server: bench/trust.py LOADGEN [PART...] [--cpus SERVER,CLIENT]

    stall       coordinated omission: 1,000 arrivals a second for 20 s at a server that is frozen (SIGSTOP) for 5 s. Response times
                must be those that follow from the length of the stall, to 2 %, and nothing may be forgotten
    verdicts    an idle client is VALID; one that has too much to do, one that shares its CPU with two busy loops and one whose
                UDP buffer is tiny are not, each by its own reason
    quickstart  configs/quickstart.yaml twenty times: every verdict is VALID

All of them by default. The server is `loadgen serve`, on a CPU of its own. A machine that does other work meanwhile fails rightly:
a client that was kept from its CPU has to say so. Exit code 0: all of it held.
"""

import argparse, contextlib, json, pathlib, signal, subprocess, sys, tempfile, time

CONFIGS = pathlib.Path(__file__).resolve().parent.parent / "configs"
RATE, LENGTH, FREEZE_AT, FROZEN = 1000, 20, 8, 5
failed = 0


def check(name, good, detail):
    global failed
    failed += not good
    print(f"{'ok  ' if good else 'FAIL'} {name}: {detail}", flush=True)


def on(cpu, *command):
    return ["taskset", "-c", str(cpu), *map(str, command)]


@contextlib.contextmanager
def started(command, **more):
    process = subprocess.Popen(command, **more)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait()


@contextlib.contextmanager
def server(args):
    """Its process, and its addresses in clear and over TLS."""
    ports = ["--clear", "127.0.0.1:0", "--tls", "127.0.0.1:0"]
    with started(on(args.cpus[0], args.loadgen, "serve", *ports), stdout=subprocess.PIPE,
                 stderr=subprocess.STDOUT, text=True) as process:
        addresses = []
        while len(addresses) < 2:
            line = process.stdout.readline()
            if not line:
                sys.exit("loadgen serve did not start")
            addresses += [word.rstrip("/,").split("//")[1] for word in line.split() if "://127.0.0.1:" in word]
        yield process, addresses[0], addresses[1]


def plan(text):
    file = tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False)
    file.write("version: 1\n" + text)
    file.close()
    return file.name


def command(args, *more):
    return on(args.cpus[1], args.loadgen, "--quiet", "--format", "json", *more)


def result(done):
    if done.returncode not in (0, 99):
        sys.exit(f"{' '.join(done.args)}: exit {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def run(args, *more):
    return result(subprocess.run(command(args, *more), capture_output=True, text=True))


def stall(args):
    with server(args) as (process, clear, _):
        text = (f"target: http://{clear}\nprotocol: h1\nconnections: {{ max: 64 }}\nscenarios: {{ s: {{ steps: [ get: / ] }} }}\n"
                f"phases: [ {{ rate: {RATE}/s, for: {LENGTH}s, backlog: {{ time: 30s, number: 100000 }} }} ]\n")
        client = subprocess.Popen(command(args, "-f", plan(text)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(FREEZE_AT)
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        time.sleep(FROZEN)
        process.send_signal(signal.SIGCONT)
        frozen = time.monotonic() - began
        out, err = client.communicate()
        r = result(subprocess.CompletedProcess(client.args, client.returncode, out, err))
    # What was due during the stall waited for its end, one arrival a millisecond; the others took no time to speak of.
    total = RATE * LENGTH
    for name, share in [("p90_us", 0.9), ("p99_us", 0.99), ("max_us", 1.0)]:
        expected = frozen - (1 - share) * total / RATE
        found = r["response_time"][name] / 1e6
        check(f"stall {name}", abs(found / expected - 1) <= 0.02,
              f"response time {found:.3f} s, by the schedule {expected:.3f} s; service time {r['service_time'][name] / 1e6:.3f} s")
    books = {key: r[key] for key in ("started", "succeeded", "failed", "abandoned", "dropped")}
    check("stall books", books["started"] == books["succeeded"] == total, books)
    check("stall says who was slow", any("found every user busy" in reason for reason in r["verdict_reasons"]), r["verdict_reasons"])


def judged(name, r, levels, reason=""):
    reasons = r["verdict_reasons"]
    right = r["verdict"] in levels and (not reason or any(reason in text for text in reasons))
    check(name, right, f"{r['verdict']} {'; '.join(reasons)}")


def verdicts(args):
    doubted = ("SUSPECT", "INVALID")
    with server(args) as (_, clear, tls):
        easy = ["--h1", "-c", "16", "-D", "4s", "--rate-total", "1000", f"http://{clear}/"]
        judged("idle client", run(args, *easy), ("VALID",))
        # Work for the client and little for the server, whichever machine: searches that look at every byte, at a rate that is too high.
        search = ", ".join(f"x{n}: {{ regex: '[^ -~]{{{n}}}', default: none }}" for n in range(3, 7))
        heavy = (f"target: http://{clear}\nprotocol: h1\nconnections: {{ max: 16 }}\nscenarios: {{ s: {{ steps: [ {{ get: \"/?s=64k\", "
                 f"extract: {{ {search} }} }} ] }} }}\n"
                 "phases: [ { rate: 20k/s, for: 4s, backlog: { time: 100ms, number: 10000 } } ]\n")
        judged("client with too much to do", run(args, "-f", plan(heavy)), doubted, "% busy")
        with contextlib.ExitStack() as loops:
            for _ in range(2):
                loops.enter_context(started(on(args.cpus[1], sys.executable, "-c", "while True: pass")))
            judged("client beside two busy loops", run(args, *easy), doubted, "for its CPU")
        tiny = (f"target: https://{tls}\nprotocol: h3\ntls: {{ insecure: true }}\nconnections: {{ max: 4, streams: 8, "
                "socket: { receive_buffer: 4096 } }\nscenarios: { s: { steps: [ get: \"/?s=256k\" ] } }\n"
                "phases: [ { users: 32, for: 4s } ]\n")
        judged("client with a tiny UDP buffer", run(args, "-f", plan(tiny)), doubted, "receive buffer was full")


def quickstart(args):
    command = [args.loadgen, "--quiet", "--format", "json", "-f", str(CONFIGS / "quickstart.yaml")]
    for n in range(1, 21):
        judged(f"quickstart {n}", result(subprocess.run(command, capture_output=True, text=True)), ("VALID",))


def main():
    parts = {part.__name__: part for part in (stall, verdicts, quickstart)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("loadgen")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(parts)}")
    parser.add_argument("--cpus", default="0,1", help="the server's CPU and the client's")
    args = parser.parse_args()
    args.loadgen = str(pathlib.Path(args.loadgen).resolve())
    args.cpus = args.cpus.split(",")
    if unknown := set(args.parts) - set(parts):
        parser.error(f"no such part: {', '.join(unknown)}")
    for name in args.parts or parts:
        parts[name](args)
    sys.exit(1 if failed else 0)


main()
