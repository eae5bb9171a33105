#!/usr/bin/env python3
"""Interop: loadgen against other people's servers, other people's clients against `loadgen serve`.

    interop/run.py LOADGEN_BINARY

Starts nginx and Caddy on loopback, in clear and over TLS, and checks that in count mode their access logs hold exactly
the requests that loadgen says it made. Then h2load, wrk and curl put load on `loadgen serve`, whose counters must
agree with theirs. Everything it starts it also ends, by process id. A tool that is missing fails the run: nothing is
skipped. Exit code 0: all passed.
"""

import json
import os
import re
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
PASSED, FAILED = [], []


def check(name, good, detail=""):
    (PASSED if good else FAILED).append(name)
    print(f"{'ok  ' if good else 'FAIL'} {name}{'' if good else ': ' + str(detail)}", flush=True)


def tool(*names):
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    sys.exit(f"interop: none of {names} is installed")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as s:
            s.settimeout(0.2)
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"interop: nothing listens on port {port}")


def run(*command, timeout=120):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)


class Process:
    """A server that is ended when the block is left."""

    def __init__(self, *command, **options):
        self.command, self.options = command, options

    def __enter__(self):
        log = open(TMP / (Path(self.command[0]).name + ".log"), "a")
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
    return crt, key


def loadgen(*args, timeout=120):
    """Runs loadgen and returns (exit code, its JSON result)."""
    done = run(LOADGEN, "--format", "json", *args, timeout=timeout)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return done, (json.loads(lines[-1]) if lines else {})


def exact(name, url, count, server_count, *flags, h2=False):
    """A count run: loadgen says `count` succeeded, and the server counted as many more as before."""
    before = server_count()
    done, result = loadgen("-n", str(count), *([] if h2 else ["--h1"]), *flags, url)
    seen = -1
    for _ in range(50):  # an access log may be written a moment after the response
        seen = server_count() - before
        if seen >= count:
            break
        time.sleep(0.1)
    good = done.returncode == 0 and result.get("succeeded") == count and result.get("failed") == 0 and seen == count
    check(name, good, f"exit {done.returncode}, client {result.get('succeeded')}, failed {result.get('failed')}, "
                      f"server {seen}, asked {count}; {done.stderr[-300:]}")


def lines_of(path):
    def count():
        return sum(1 for _ in open(path)) if path.exists() else 0
    return count


COUNT_CASES = [("c1", ["-c", "1"]), ("c7 t2", ["-c", "7", "-t", "2"]), ("c64", ["-c", "64"])]


def nginx(crt, key):
    clear, tls, log = free_port(), free_port(), TMP / "nginx-access.log"
    (TMP / "www").mkdir(exist_ok=True)
    (TMP / "www/100").write_bytes(b"x" * 100)
    (TMP / "www/256k").write_bytes(b"x" * 262144)
    conf = TMP / "nginx.conf"
    conf.write_text(f"""
        daemon off; worker_processes 1; pid {TMP}/nginx.pid; error_log {TMP}/nginx-error.log;
        events {{ worker_connections 1024; }}
        http {{
          access_log {log} combined;
          client_body_temp_path {TMP}/b; proxy_temp_path {TMP}/p; fastcgi_temp_path {TMP}/f;
          uwsgi_temp_path {TMP}/u; scgi_temp_path {TMP}/s;
          server {{ listen 127.0.0.1:{clear}; listen 127.0.0.1:{tls} ssl http2;
            ssl_certificate {crt}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;
            root {TMP}/www; }}
        }}""")
    os.chmod(TMP, 0o755)
    for name in ("www", "www/100", "www/256k"):
        os.chmod(TMP / name, 0o755)
    with Process(tool("nginx", "/usr/sbin/nginx"), "-c", str(conf), "-p", str(TMP)):
        wait_for(clear)
        count = lines_of(log)
        # nginx ends a connection after 1000 requests by default: the run must reconnect and lose nothing.
        for name, flags in COUNT_CASES:
            exact(f"nginx h1 clear {name}", f"http://127.0.0.1:{clear}/100", 20000, count, *flags)
        exact("nginx h1 clear 256k", f"http://127.0.0.1:{clear}/256k", 1000, count, "-c", "8")
        exact("nginx h1 tls", f"https://127.0.0.1:{tls}/100", 10000, count, "-c", "16")
        exact("nginx h1 tls 256k", f"https://127.0.0.1:{tls}/256k", 500, count, "-c", "8")
        exact("nginx h1 tls verified", f"https://localhost:{tls}/100", 1000, count, "-c", "4", "-4", "--tls-ca", str(crt))
        exact("nginx h1 no keep-alive", f"http://127.0.0.1:{clear}/100", 2000, count, "-c", "8", "-H", "connection: close")
        exact("nginx h2 m8", f"https://127.0.0.1:{tls}/100", 20000, count, "-c", "4", "-m", "8", h2=True)
        exact("nginx h2 256k", f"https://127.0.0.1:{tls}/256k", 500, count, "-c", "4", "-m", "4", h2=True)
        # Ten seconds across hundreds of GOAWAYs (keepalive_requests 1000): nothing may fail.
        done, result = loadgen("-D", "10s", "-c", "8", "-m", "8", f"https://127.0.0.1:{tls}/100")
        check("nginx h2 10 s across GOAWAYs", done.returncode == 0 and result.get("failed") == 0
              and result.get("succeeded", 0) > 10000, f"{done.stderr[-300:]} {result.get('errors')}")
        exact("nginx h1 pipelining", f"http://127.0.0.1:{clear}/100", 10000, count, "-c", "4", "-m", "8")


def caddy(crt, key):
    clear, tls, log = free_port(), free_port(), TMP / "caddy-access.log"
    conf = TMP / "Caddyfile"
    body = f'  log {{\n    output file {log}\n  }}\n  respond "{"x" * 100}"\n'
    conf.write_text("{\n  admin off\n  auto_https off\n  persist_config off\n  servers {\n    protocols h1 h2\n  }\n}\n"
                    f"http://127.0.0.1:{clear} {{\n{body}}}\n"
                    f"https://127.0.0.1:{tls}, https://localhost:{tls} {{\n  tls {crt} {key}\n{body}}}\n")
    with Process(tool("caddy", os.environ.get("CADDY", "caddy")), "run", "--config", str(conf), "--adapter", "caddyfile",
                 env={**os.environ, "HOME": str(TMP), "XDG_DATA_HOME": str(TMP)}):
        wait_for(clear)
        wait_for(tls)
        count = lines_of(log)
        for name, flags in COUNT_CASES:
            exact(f"caddy h1 clear {name}", f"http://127.0.0.1:{clear}/", 5000, count, *flags)
        exact("caddy h1 tls", f"https://127.0.0.1:{tls}/", 5000, count, "-c", "16")
        exact("caddy h2 m8", f"https://127.0.0.1:{tls}/", 5000, count, "-c", "4", "-m", "8", h2=True)
        exact("caddy h1 tls verified", f"https://localhost:{tls}/", 500, count, "-c", "4", "-4", "--tls-ca", str(crt))


def shapes(text, exact_headers):
    """The classic text with what depends on time taken out: numbers as #, in the table with their width."""
    out, table = [], False
    for line in text.splitlines():
        if table:
            line = re.sub(r" *\b\d+(\.\d+)?(us|ms|s)?(?=[ %]|$)", lambda m: f"<{len(m[0])}>", line)
        elif line.startswith("finished in ") or (line.startswith("traffic: ") and not exact_headers):
            line = re.sub(r"\d+(\.\d+)?([KMG]?B|[um]?s)?\b", "#", line)
        elif line.startswith("traffic: "):
            total, _, rest = line.partition(" total, ")
            line = re.sub(r"\d+(\.\d+)?([KMG]?B)?\b", "#", total) + " total, " + rest
        table |= line.lstrip().startswith("min ")
        out.append(line)
    return out


def beside_h2load(clear, tls):
    """Our classic text is that of Debian's h2load, line by line."""
    for name, port, scheme, flags in (("h2", tls, "https", []), ("h2c", clear, "http", []),
                                      ("h1 clear", clear, "http", ["--h1"]), ("h1 tls", tls, "https", ["--h1"])):
        args = ["-n", "2000", "-c", "8", "-m", "1" if flags else "4", *flags, f"{scheme}://127.0.0.1:{port}/?s=1k"]
        theirs = shapes(run(tool("h2load"), *args).stdout, not flags)
        ours = shapes(run(LOADGEN, "--compat-output", "classic", *args).stdout, not flags)
        check(f"text beside h2load {name}", len(ours) > 15 and ours == theirs, f"{ours} is not {theirs}")


def serve(crt):
    clear, tls = free_port(), free_port()
    with Process(LOADGEN, "serve", "--clear", f"127.0.0.1:{clear}", "--tls", f"127.0.0.1:{tls}"):
        wait_for(clear)
        wait_for(tls)

        def count():
            return json.load(urllib.request.urlopen(f"http://127.0.0.1:{clear}/stats"))["requests"]

        for scheme, port in (("http", clear), ("https", tls)):
            before = count()
            done = run(tool("h2load"), "--h1", "-n", "5000", "-c", "8", f"{scheme}://127.0.0.1:{port}/?s=100")
            ok = re.search(r"(\d+) succeeded", done.stdout)
            check(f"h2load --h1 {scheme} on serve", ok and ok[1] == "5000" and count() - before == 5000, done.stdout)
        before = count()
        done = run(tool("wrk"), "-t1", "-c8", "-d1", f"http://127.0.0.1:{clear}/?s=100")
        made = re.search(r"(\d+) requests in", done.stdout)
        seen = count() - before
        # wrk does not count what is in flight when its time is over: at most one request a connection.
        check("wrk on serve", made and 0 <= seen - int(made[1]) <= 8, f"{done.stdout} server {seen}")
        done = run(tool("curl"), "-sk", f"https://127.0.0.1:{tls}/?s=100", "-o", "/dev/null", "-w", "%{http_code} %{size_download}")
        check("curl https on serve", done.stdout == "200 100", done.stdout)
        exact("serve h2c m32", f"http://127.0.0.1:{clear}/?s=100", 20000, count, "-c", "4", "-m", "32", h2=True)
        exact("serve h2 tls m32", f"https://127.0.0.1:{tls}/?s=100", 20000, count, "-c", "4", "-m", "32", h2=True)
        beside_h2load(clear, tls)
        exact("serve h1 tls", f"https://127.0.0.1:{tls}/?s=100", 5000, count, "-c", "8")


def main():
    crt, key = certificate()
    nginx(crt, key)
    caddy(crt, key)
    serve(crt)
    shutil.rmtree(TMP, ignore_errors=True)
    print(f"{len(PASSED)} passed, {len(FAILED)} failed")
    sys.exit(1 if FAILED else 0)


main()
