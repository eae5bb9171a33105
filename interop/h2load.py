#!/usr/bin/env python3
"""loadgen under the name of h2load beside the real one (Debian's, which writes the classic text), on the same server.

    interop/h2load.py LOADGEN_BINARY

Every line of h2load's output is made into a regular expression: numbers that depend on time stand for any number, in the
table with the width of their column; everything else is literal. Ours must match it line by line, with the options before
the URLs and behind them, end with the same exit code, and have made the same requests by the server's own count. Then the
percentiles of our newest text are computed from `--log-file`. Exit code 0: all passed.
"""

import json
import os
import re
import subprocess
import sys
import urllib.request

from harness import FAILED, LOADGEN, PASSED, TMP, Process, check, free_ports, tool, wait_for

NUMBER = r"\d+(?:\.\d+)?"
# Sizes on the wire: HTTP/1.1 heads are counted differently, and TLS records belong to ours.
TRAFFIC = rf"traffic: {NUMBER}[KMG]?B \(\d+\) total, {NUMBER}[KMG]?B \(\d+\) headers \(space savings {NUMBER}%\), (.*)"


def execute(program, args, stdin=None):
    environment = {**os.environ, "LOADGEN_COMPAT_OUTPUT": "classic"}
    return subprocess.run([program, *args], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=60, env=environment)


def expressions(text, timed):
    """A regular expression for each line. `timed`: how many requests there are depends on time as well."""
    out, table = [], False
    for line in text.splitlines():
        if table:
            # A cell is right-aligned: as many characters, blanks and a number with its unit.
            cells = re.split(r"( *\d+(?:\.\d+)?(?:us|ms|s)?(?=[ %]|$))", line)
            parts = [re.escape(c) if i % 2 == 0 else rf"(?=.{{{len(c)}}}(?:[ %]|$)) *{NUMBER}(?:us|ms|s)?"
                     for i, c in enumerate(cells)]
            out.append("".join(parts))
        elif line.startswith("finished in "):
            out.append(rf"finished in {NUMBER}(?:us|ms|s), {NUMBER} req/s, {NUMBER}[KMG]?B/s")
        elif match := re.fullmatch(TRAFFIC, line):
            data = rf"{NUMBER}[KMG]?B \(\d+\) data" if timed else re.escape(match[1])
            out.append(TRAFFIC.replace("(.*)", data))
        elif timed and line.startswith(("requests: ", "status codes: ")):
            out.append(re.sub(r"\d+(?!xx)", lambda _: r"\d+", re.escape(line).replace(r"\ ", " ")))
        else:
            out.append(re.escape(line))
        table |= line.lstrip().startswith("min ")
    return out


def first_difference(ours, theirs, timed):
    wanted, lines = expressions(theirs, timed), ours.splitlines()
    for number, (expression, line) in enumerate(zip(wanted, lines), 1):
        if not re.fullmatch(expression, line):
            return f"line {number}: {line!r} is not {expression!r}"
    if len(wanted) != len(lines):
        return f"{len(lines)} lines, h2load has {len(wanted)}: {ours}\n{theirs}"
    return ""


class Beside:
    def __init__(self, clear, tls):
        self.clear, self.tls = f"http://127.0.0.1:{clear}", f"https://127.0.0.1:{tls}"
        self.theirs = tool("h2load")
        folder = TMP / "bin"
        folder.mkdir()
        self.ours = str(folder / "h2load")
        os.symlink(LOADGEN, self.ours)

    def count(self):
        stats = json.load(urllib.request.urlopen(self.clear + "/stats"))
        return stats["requests"], stats["body_bytes_received"]

    def one(self, program, args, stdin):
        before = self.count()
        done = execute(program, args, stdin)
        return done, tuple(now - then for now, then in zip(self.count(), before))

    def case(self, name, options, urls, timed=False, stdin=None):
        for order, args in (("first", [*options, *urls]), ("last", [*urls, *options])):
            theirs, made = self.one(self.theirs, args, stdin)
            ours, made_by_us = self.one(self.ours, args, stdin)
            wrong = first_difference(ours.stdout, theirs.stdout, timed)
            if ours.returncode != theirs.returncode:
                wrong += f"; exit {ours.returncode}, h2load {theirs.returncode}; {ours.stderr}"
            if not timed and made != made_by_us:
                wrong += f"; requests and body bytes at the server {made_by_us}, of h2load {made}"
            check(f"{name}, options {order}", not wrong, wrong)

    def text_cases(self):
        body, urls = TMP / "body", TMP / "urls"
        body.write_bytes(b"x" * 3000)
        urls.write_text(f"{self.clear}/?s=10\n{self.clear}/any/b\nhttp://elsewhere:1/any/c?x\n")
        where = {"h2c": ([], self.clear), "h2": ([], self.tls), "h1 clear": (["--h1"], self.clear),
                 "h1 tls": (["--h1"], self.tls)}
        for name, (flags, at) in where.items():
            page = [f"{at}/?s=1k"]
            self.case(f"{name} one request", flags, page)
            self.case(f"{name} -n", ["-n", "300", "-c", "6", "-m", "3", *flags], page)
            self.case(f"{name} -D", ["-D", "1", "-c", "4", *flags], page, timed=True)
            self.case(f"{name} --warm-up-time", ["-D", "1s", "--warm-up-time=500ms", "-c", "2", *flags], page, timed=True)
            self.case(f"{name} several URIs", ["-n", "50", "-c", "2", *flags], [f"{at}/any/a", f"{at}/any/b?c=d", f"{at}/"])
            self.case(f"{name} -d", ["-n", "20", "-c", "2", "-d", str(body), *flags], [f"{at}/echo"])
            self.case(f"{name} -H", ["-n", "20", "-H", "x-a: b", "-H", ":method: PUT", "-H", "user-agent: me", *flags], page)
            self.case(f"{name} all fail", ["-n", "20", "-c", "2", *flags], [f"{at}/?r=503"])
        self.case("threads", ["-n", "100", "-c", "4", "-t", "2"], [f"{self.clear}/?s=1k"])
        self.case("-i", ["-n", "30", "-c", "3", "-i", str(urls)], [])
        self.case("-i beside a URL", ["-n", "30", f"--input-file={urls}"], ["http://nobody.invalid/"])
        self.case("-i -", ["-n", "30", "-i", "-"], [], stdin=urls.read_text())
        self.case("-B", ["-n", "20", "-B", self.clear], ["http://nobody.invalid:9/?s=10", "http://else.invalid/any/a"])
        self.case("--base-uri over TLS", ["-n", "20", f"--base-uri={self.tls}"], ["http://nobody.invalid/?s=10"])
        host = self.clear.removeprefix("http://")
        self.case("--connect-to", ["-n", "20", "-c", "2", f"--connect-to={host}"], ["http://name.invalid/?s=10"])
        self.case("--connect-to over TLS", ["-n", "20", f"--connect-to={self.tls.removeprefix('https://')}"],
                  ["https://name.invalid/?s=10"])
        self.case("-N", ["-n", "1", "-N", "300ms"], [f"{self.clear}/?t=3s"])
        self.case("abbreviations", ["--req=20", "--cl", "2", "--h1"], [f"{self.clear}/?s=10"])

    def refusals(self):
        page = f"{self.clear}/"
        blank = TMP / "blank"
        blank.write_text(f"{page}\n\n{page}\n")
        for name, args in {
            "unknown option": ["--no-such", page],
            "unknown short option": ["-x", page],
            "ambiguous option": ["--r=1", page],
            "option without its value": [page, "-n"],
            "bad value": ["-n", "x", page],
            "more clients than requests": ["-n", "1", "-c", "2", page],
            "more threads than clients": ["-t", "2", "-n", "4", page],
            "bad window": ["-w", "31", page],
            "no URI": [],
            "bad URI": ["-n", "1", "localhost"],
            "empty line": ["-i", str(blank)],
            "no file": ["-i", "/no/such/file"],
            "no body": ["-d", "/no/such/file", page],
            "unknown host": ["http://no-such-host.invalid/"],
        }.items():
            theirs, ours = execute(self.theirs, args), execute(self.ours, args)
            good = ours.returncode == theirs.returncode == 1 and "finished" not in ours.stdout and ours.stderr
            check(f"refused: {name}", good, f"exit {ours.returncode}, h2load {theirs.returncode}; {ours}")

    def percentiles(self):
        for path, n in (("/?s=100", 20000), ("/?t=17ms", 300)):
            log = TMP / f"log-{n}"
            args = ["-n", str(n), "-c", "8", "-m", "4", "--log-file", str(log), self.clear + path]
            done = subprocess.run([LOADGEN, *args], stdout=subprocess.PIPE, text=True, timeout=60)
            rows = [line.split("\t") for line in log.read_text().splitlines()]
            took = sorted(int(us) for _, status, us in rows if status != "-1")
            row = re.search(r"^request +: +(.*)$", done.stdout, re.M)[1].split()
            at = lambda p: took[int(n * p)]
            want = [took[0], took[-1], (took[n // 2 - 1] + took[n // 2]) / 2, at(0.95), at(0.99)]

            def near(cell, us):
                # Below 1 ms the text has whole microseconds, above it two decimals: within 1 us, and half a last digit.
                value, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", cell).groups()
                scale = {"us": 1, "ms": 1e3, "s": 1e6}[unit]
                return abs(float(value) * scale - us) <= 1 + (0 if unit == "us" else 0.005 * scale)

            check(f"percentiles of {path} are those of the log", len(took) == n == len(rows)
                  and all(near(c, us) for c, us in zip(row, want)), f"{row} is not {want} of {len(rows)}")


def main():
    clear, tls = free_ports(2)
    with Process(LOADGEN, "serve", "--clear", f"127.0.0.1:{clear}", "--tls", f"127.0.0.1:{tls}") as child:
        wait_for(clear, child)
        wait_for(tls, child)
        beside = Beside(clear, tls)
        beside.text_cases()
        beside.refusals()
        beside.percentiles()
    # Nobody listens there any more.
    theirs, ours = (execute(p, ["-n", "6", "-c", "2", beside.clear]) for p in (beside.theirs, beside.ours))
    check("nobody listens", ours.returncode == theirs.returncode == 0
          and not first_difference(ours.stdout, theirs.stdout, False), f"{ours}\n{theirs}")
    print(f"{len(PASSED)} passed, {len(FAILED)} failed")
    sys.exit(1 if FAILED else 0)


main()
