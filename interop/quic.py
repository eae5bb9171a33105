"""HTTP/3 over a network that is bad on purpose, and against a server whose QPACK uses the dynamic table.

The network is `relay.py`, between loadgen and its own server; the other server is `aioquic_server.py`. In real time over loopback:
every request ends exactly once, as often as the server has counted, and no run hangs.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from harness import LOADGEN, TMP, Ledger, Process, asked, check, free_ports, loadgen, wait_for

HERE = Path(__file__).parent
PYTHON = os.environ.get("AIOQUIC_PYTHON", sys.executable)

# Loss is of each direction; times in milliseconds.
NETWORKS = {
    "nothing wrong": [],
    "1 % lost": ["--loss", "0.01"],
    "5 % lost": ["--loss", "0.05"],
    "10 % lost": ["--loss", "0.10", "--delay", "1"],
    "5 ms away, with jitter": ["--delay", "5", "--jitter", "5"],
    "out of order": ["--delay", "1", "--reorder", "0.2"],
    "everything twice": ["--duplicate", "1"],
    "all at once": ["--loss", "0.03", "--delay", "1", "--jitter", "2", "--reorder", "0.1", "--duplicate", "0.1"],
}


class Relay:
    """A relay in front of a port; `did` is what it tells at its end."""

    def __init__(self, port, *how):
        self.command = [sys.executable, str(HERE / "relay.py"), "--to", f"127.0.0.1:{port}", *how]

    def __enter__(self):
        self.child = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.child.stdout.readline())
        self.did = {}
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if self.child.poll() is not None:
            return
        self.child.send_signal(signal.SIGTERM)
        try:
            self.did = json.loads(self.child.communicate(timeout=10)[0] or "{}")
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def bad_networks(*_):
    [port, clear] = free_ports(2)
    with Process(LOADGEN, "serve", "--tls", f"127.0.0.1:{port}", "--clear", f"127.0.0.1:{clear}") as child:
        wait_for(clear, child)
        ledger = Ledger(lambda: asked(clear)["requests"])
        for seed, (name, how) in enumerate(NETWORKS.items(), 1):
            with Relay(port, "--seed", str(seed), *how) as relay:
                url = f"https://127.0.0.1:{relay.port}/?s="
                ledger.exact(f"network: {name}", url + "2000", 2000, "-c", "4", "-m", "4", h3=True)
                ledger.exact(f"network: {name}, large bodies", url + "200000", 40, "-c", "2", "-m", "2", h3=True)
            lost = "--loss" in how
            check(f"network: {name}, as said", relay.did.get("received", 0) > 0 and (relay.did["lost"] > 0) >= lost, relay.did)
        with Relay(port, "--loss", "0.05", "--delay", "1") as relay:
            result = ledger.exact("network: a connection each, early data, 5 % lost", f"https://127.0.0.1:{relay.port}/?s=2000",
                                  300, "-c", "4", "--requests-per-connection", "1", "--tls-early-data", h3=True)
            connections = result.get("connections") or {}
            check("network: early data is taken", connections.get("early_accepted", 0) > 100, connections)
        with Relay(port, "--rebind", "1", "--delay", "1") as relay:
            moved(clear, relay)


def moved(clear, relay):
    """The NAT between gives the client another port in the middle of a run."""
    before = asked(clear)["requests"]
    done, result = loadgen("--h3", "-D", "3", "-c", "4", "-m", "4", f"https://127.0.0.1:{relay.port}/?s=2000", timeout=60)
    seen = asked(clear)["requests"] - before
    ok, started = result.get("succeeded", 0), result.get("started", 0)
    opened = (result.get("connections") or {}).get("opened")
    good = (done.returncode == 0 and result.get("failed") == 0 and opened == 4 and 500 < ok <= seen <= started)
    check("network: a NAT that rebinds", good, f"exit {done.returncode}, client {ok} of {started}, failed {result.get('failed')}, "
                                               f"server {seen}, connections {opened}; {result.get('errors')}")
    relay.end()
    check("network: it did rebind", relay.did.get("rebound") == 4, relay.did)


class Counted:
    """What the server on aioquic has counted."""

    def __init__(self, port, what):
        self.port, self.what = port, what

    def __call__(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
            return json.loads(s.makefile().read())[self.what]


PLAN = """
version: 1
target: https://127.0.0.1:{port}
protocol: h3
tls: {{ insecure: true }}
connections: {{ max: 2, streams: 4 }}
scenarios:
  s:
    steps:
      - get: /
        check: {{ status: 200, header_equals: {{ server: aioquic-interop, x-table: a field that is worth an entry }} }}
phases: [ {{ users: 8, iterations: 1000 }} ]
"""


def aioquic(crt, key, _folder):
    [port] = free_ports(1)
    with Process(PYTHON, str(HERE / "aioquic_server.py"), str(crt), str(key), str(port)) as child:
        wait_for(port, child)
        ledger = Ledger(Counted(port, "requests"))
        url = f"https://127.0.0.1:{port}/"
        for name, flags in (("c1", ["-c", "1"]), ("c7 t2 m8", ["-c", "7", "-t", "2", "-m", "8"])):
            ledger.exact(f"aioquic h3 {name}", url, 2000, *flags, h3=True)
        ledger.exact("aioquic h3 without a table", url, 500, "-c", "2", "-m", "4", "--header-table-size", "0", h3=True)
        plan = TMP / "aioquic.yaml"
        plan.write_text(PLAN.format(port=port))
        before = [Counted(port, what)() for what in ("encoder_stream_bytes", "decoder_stream_bytes")]
        done, result = loadgen("-f", str(plan))
        ledger.seen += ledger.wait(1000)
        inserted, acknowledged = (Counted(port, what)() - n for what, n in
                                  zip(("encoder_stream_bytes", "decoder_stream_bytes"), before))
        checks = result.get("checks") or {}
        check("aioquic: fields out of the dynamic table are what they were",
              done.returncode == 0 and result.get("succeeded") == 1000 and checks.get("failed") == 0
              and checks.get("passed", 0) >= 3000 and inserted > 0 and acknowledged > 0,
              f"{result.get('succeeded')}, {checks}, encoder stream {inserted}, decoder stream {acknowledged} bytes; {done.stderr[-300:]}")
        ledger.ten_seconds("aioquic h3 ten seconds", url, "--h3", "-c", "4", "-m", "4")


ALL = [bad_networks, aioquic]
