#!/usr/bin/env python3
"""The HdrHistogram log of a run, read by another implementation (PyPI hdrhistogram), against the JSON result of the same run.

    interop/hlog.py LOADGEN_BINARY

Runs plans and flags on the built-in server, on one core and on two, with intervals of 100 ms. All lines of a tag merged must
have the count, the extremes and the percentiles that the JSON result says; so must the histograms in the rows of the time
series and those in the result itself. Exit code 0: all of it agrees.
"""

import base64
import json
import math
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

LOADGEN = str(Path(sys.argv[1]).resolve())
TMP = Path(tempfile.mkdtemp(prefix="loadgen-hlog-"))
SERIES = ("response_time", "service_time", "send_lag")
PERCENTILES = {"p50_us": 50, "p90_us": 90, "p95_us": 95, "p99_us": 99, "p99_9_us": 99.9}
HOUR = 3_600_000_000_000
failed = 0

PLAN = """
version: 1
target: builtin
scenarios:
  s: { steps: [ get: "/?t=2ms", get: "/?s=100" ] }
phases:
  - { name: warm-up, users: 8, for: 300ms, record: false }
  - { name: one, users: 8, for: 450ms }
  - { name: two, users: 16, for: 450ms }
"""


HANDSHAKES = """
version: 1
target: builtin
scenarios:
  s: { steps: [ get: / ] }
phases:
  - { name: warm-up, handshakes: 100/s, for: 300ms, record: false }
  - { name: knock, handshakes: 400/s, for: 450ms }
  - { name: visit, rate: 500/s, for: 450ms }
"""


def check(name, good, detail=""):
    global failed
    failed += not good
    print(f"{'ok  ' if good else 'FAIL'} {name}{'' if good else ': ' + str(detail)}", flush=True)


def empty():
    return HdrHistogram(1, HOUR, 3)


def percentile(hist, p):
    """The library takes the rank nearest to p; the result's, like those of HdrHistogram in Java, are the first at or above."""
    total = hist.get_total_count()
    return hist.get_value_at_percentile(100 * math.ceil(Fraction(str(p)) * total / 100) / total)


def agrees(name, hist, series):
    """Percentiles of the same values are the same to the nanosecond, but that ours never exceed the exact extremes."""
    check(f"{name} count", hist.get_total_count() == series["count"], (hist.get_total_count(), series["count"]))
    if series["count"] == 0:
        return
    theirs = {key: percentile(hist, p) for key, p in PERCENTILES.items()}
    least, most = round(series["min_us"] * 1000), round(series["max_us"] * 1000)
    theirs = {key: min(max(value, least), most) for key, value in theirs.items()}
    ours = {key: round(series[key] * 1000) for key in PERCENTILES}
    check(f"{name} percentiles", ours == theirs, f"{ours} is not {theirs}")
    same = hist.get_highest_equivalent_value(most) == hist.get_max_value()
    check(f"{name} maximum", same, (most, hist.get_max_value()))


def read_log(path):
    """Tag to the histogram of all its lines, and to the number of lines."""
    merged, lines, reader = {}, {}, HistogramLogReader(str(path), empty())
    while (hist := reader.get_next_interval_histogram()) is not None:
        tag = hist.get_tag()
        merged.setdefault(tag, empty()).add(hist)
        lines[tag] = lines.get(tag, 0) + 1
    reader.close()
    return merged, lines


def case(name, *args):
    log, out, rows = TMP / "x.hlog", TMP / "x.json", TMP / "rows.jsonl"
    done = subprocess.run([LOADGEN, "-q", "--interval", "100ms", "-o", log, "-o", out, "--json-timeline",
                           "--timeline", rows, *args], capture_output=True, text=True, timeout=60)
    check(f"{name} runs", done.returncode == 0, done.stderr)
    result = json.loads(out.read_text())
    merged, lines = read_log(log)
    opening = [("opening_time", result["handshakes"]["opening_time"])] if "opening_time" in merged else []
    for series, of_result in [(series, result[series]) for series in SERIES] + opening:
        agrees(f"{name} hlog {series}", merged[series], of_result)
        agrees(f"{name} result {series}", HdrHistogram.decode(of_result["histogram"]), of_result)
        of_rows = empty()
        for row in result["timeline"]["rows"]:
            if row["record"]:
                of_rows.add(HdrHistogram.decode(row[series]["histogram"]))
        agrees(f"{name} rows {series}", of_rows, of_result)
    check(f"{name} has intervals", lines["response_time"] >= 3, lines)
    streamed = [json.loads(line) for line in rows.read_text().splitlines()]
    check(f"{name} --timeline says the same", streamed == result["timeline"]["rows"])
    warm_up = sum(p["succeeded"] for p in result["phases"] if not p["record"])
    unrecorded = merged.get("unrecorded.response_time", empty())
    check(f"{name} warm-up apart", unrecorded.get_total_count() == warm_up, warm_up)


plan = TMP / "plan.yaml"
plan.write_text(PLAN)
case("plan", "-f", str(plan))
case("plan on two cores", "-f", str(plan), "-t", "2")
plan.write_text(HANDSHAKES)
case("handshakes", "-f", str(plan), "-t", "2")
case("flags", "--h1", "-c", "8", "-D", "500ms", "builtin")
case("flags on two cores", "-c", "4", "-m", "4", "-t", "2", "-D", "500ms", "builtin")
sys.exit(1 if failed else 0)
