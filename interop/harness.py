"""What every interop check stands on: processes that end with the run, free ports, ledgers, and what loadgen says.

Not a test framework: a check is one call of `check`, in the order of the program. Used by the modules beside it.
"""

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

LOADGEN = str(Path(sys.argv[1]).resolve())
TMP = Path(tempfile.mkdtemp(prefix="loadgen-interop-"))
atexit.register(shutil.rmtree, TMP, ignore_errors=True)
# Servers that give up root read their files as somebody else.
os.chmod(TMP, 0o755)
PASSED, FAILED = [], []


def check(name, good, detail=""):
    (PASSED if good else FAILED).append(name)
    print(f"{'ok  ' if good else 'FAIL'} {name}{'' if good else ': ' + str(detail)}", flush=True)


def tool(*names):
    """The first of these programs that is there; the run ends if none is."""
    for name in names:
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if found:
            return found
    sys.exit(f"interop: none of {names} is installed")


def free_ports(count):
    """Different ones: they are held together before all are let go."""
    held = [socket.socket() for _ in range(count)]
    for s in held:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def wait_for(port, child=None, seconds=15):
    """Until something listens there; the run ends if nothing does, at once if the server has died."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and (child is None or child.poll() is None):
        with socket.socket() as s:
            s.settimeout(0.2)
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    for log in TMP.glob("*.log"):
        print(f"---- {log.name}\n{log.read_text(errors='replace')[-2000:]}")
    sys.exit(f"interop: nothing listens on port {port}")


def run(*command, timeout=120):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)


class Process:
    """A server that is ended when the block is left. `output` is where it writes to."""

    def __init__(self, *command, **options):
        self.command, self.options = command, options
        self.output = TMP / (Path(command[0]).name + ".log")

    def __enter__(self):
        with open(self.output, "a") as log:
            self.child = subprocess.Popen(self.command, stdout=log, stderr=log, **self.options)
        return self.child

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def certificate():
    crt, key = TMP / "crt.pem", TMP / "key.pem"
    made = run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-keyout", str(key), "-out", str(crt), "-days", "2", "-subj", "/CN=localhost",
               "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    if made.returncode:
        sys.exit("interop: openssl made no certificate: " + made.stderr)
    both = TMP / "both.pem"
    both.write_text(crt.read_text() + key.read_text())
    return crt, key


def www():
    """A folder to serve, with files of 100 bytes and 256 KB."""
    folder = TMP / "www"
    folder.mkdir(exist_ok=True)
    for name, size in (("100", 100), ("256k", 262144)):
        (folder / name).write_bytes(b"x" * size)
        os.chmod(folder / name, 0o644)
    os.chmod(folder, 0o755)
    return folder


def loadgen(*args, timeout=120):
    """Runs loadgen and returns (what the process did, its JSON result)."""
    done = run(LOADGEN, "--format", "json", *args, timeout=timeout)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return done, (json.loads(lines[-1]) if lines else {})


class Lines:
    """Counts lines that hold `word` in a file that grows; what was read once is not read again."""

    def __init__(self, path, word=b""):
        self.path, self.word, self.offset, self.count = path, word, 0, 0

    def __call__(self):
        if self.path.exists():
            with open(self.path, "rb") as f:
                f.seek(self.offset)
                for line in f:
                    if not line.endswith(b"\n"):
                        break
                    self.offset += len(line)
                    self.count += self.word in line
        return self.count


def asked(clear):
    """What `loadgen serve` has counted, from its port in clear."""
    with urllib.request.urlopen(f"http://127.0.0.1:{clear}/stats", timeout=10) as answer:
        return json.load(answer)


class Ledger:
    """The server's own count of requests, beside what loadgen says it made.

    `read` returns the server's count since it started. What a run leaves behind unseen would be found by the next one.
    """

    def __init__(self, read):
        self.read = read
        self.seen = read()

    def wait(self, count):
        """Until the server has counted `count` more, or five seconds have passed: a log may be late. Returns how many."""
        end = time.monotonic() + 5
        while (now := self.read()) - self.seen < count and time.monotonic() < end:
            time.sleep(0.05)
        return now - self.seen

    def settle(self):
        """Until the count stands still, after a run that left requests in flight."""
        now, last = self.read(), -1
        while now != last:
            time.sleep(0.25)
            last, now = now, self.read()
        return now - self.seen

    def exact(self, name, url, count, *flags, h2=False, h3=False, tls=None):
        """A count run: loadgen says that `count` succeeded and none failed, and the server counted as many."""
        late = self.read() - self.seen
        self.seen += late
        try:
            done, result = loadgen("-n", str(count), *(["--h3"] if h3 else [] if h2 else ["--h1"]), *flags, url)
        except subprocess.TimeoutExpired:
            check(name, False, "hangs")
            return {}
        seen = self.wait(count)
        self.seen += seen
        spoken = result.get("connections") or {}
        protocol = spoken.get("application_protocol")
        version = (spoken.get("tls") or {}).get("version")
        wanted = "h3" if h3 else ("h2" if url.startswith("https:") else "h2c") if h2 else "http/1.1"
        good = (done.returncode == 0 and result.get("succeeded") == count and result.get("failed") == 0
                and seen == count and late == 0 and protocol == wanted and (tls is None or version == tls))
        check(name, good, f"exit {done.returncode}, client {result.get('succeeded')}, failed {result.get('failed')}, "
                          f"server {seen}, after the run before {late}, asked {count}, spoken {protocol} {version}; "
                          f"{result.get('errors')} {done.stderr[-300:]}")
        return result

    def ten_seconds(self, name, url, *flags, limit=None):
        """A run by time: nothing fails, however often the server ends a connection, and the server's count lies between
        what succeeded and what was begun (what was in flight at the end may have reached it or not). `limit`: requests
        after which this server ends a connection; the run must have gone past it often."""
        done, result = loadgen("-D", "10s", *flags, url)
        seen = self.settle()
        self.seen += seen
        ok, started = result.get("succeeded", 0), result.get("started", 0)
        opened = (result.get("connections") or {}).get("opened", 0)
        good = (done.returncode == 0 and result.get("failed") == 0 and ok > 1000 and ok <= seen <= started
                and (limit is None or opened >= ok // limit > 0))
        check(name, good, f"exit {done.returncode}, client {ok} of {started}, failed {result.get('failed')}, server {seen}, "
                          f"connections {opened}; {result.get('errors')} {done.stderr[-300:]}")
