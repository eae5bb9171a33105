"""The flat results, JSON lines and CSV, as pandas reads them: every documented column is there, typed, one run a row."""

import pandas

from harness import TMP, LOADGEN, Process, check, free_ports, run, wait_for

# loadgen-rs's columns of CSV, in its order.
CSV = ("proto url h3_backend clients threads max_streams mode tls_protocol tls_cipher duration_s metrics_sample "
       "requests_target requests_started requests_completed ok err_total rps bytes_in bytes_out mbps_in mbps_out "
       + " ".join(f"{series}_{figure}_us" for series in ("latency", "ttfb", "connect")
                  for figure in ("min", "p50", "p90", "p99", "mean", "max", "stdev"))
       + " err_connect err_tls err_timeout err_http elapsed_s started_rps rps_target_achieved_pct connect_v4_count "
         "connect_v6_count connect_addrs").split()
# JSON lines have these as well, and the addresses as an object.
JSONL = [name for name in CSV if name != "connect_addrs"] + [
    "rps_target", "status_counts", "status_2xx", "status_3xx", "status_4xx", "status_5xx", "connect_addr_counts",
    "latency_hist_b64", "ttfb_hist_b64", "connect_hist_b64"]
TEXT = {"proto", "url", "mode", "tls_protocol", "tls_cipher", "connect_addrs", "status_counts", "connect_addr_counts",
        "latency_hist_b64", "ttfb_hist_b64", "connect_hist_b64"}
# Empty where they do not apply: HTTP/3's library, and a rate that was asked for.
EMPTY = {"h3_backend", "rps_target", "rps_target_achieved_pct"}


def check_rows(name, rows, columns, count):
    missing = [c for c in columns if c not in rows.columns]
    check(f"{name} has every column", not missing, f"missing {missing}")
    untyped = [c for c in columns if c not in TEXT | EMPTY and c in rows.columns
               and not (pandas.api.types.is_numeric_dtype(rows[c]) and rows[c].notna().all())]
    check(f"{name} has numbers where numbers belong", not untyped, f"not numbers: {untyped}")
    if missing or untyped:
        return
    check(f"{name} holds both runs", len(rows) == 2 and list(rows.ok) == [count, count]
          and list(rows.requests_target) == [count, count] and list(rows.clients) == [4, 7]
          and list(rows.proto) == ["h1", "h2"] and rows.tls_protocol[1] == "TLSv1.3" and list(rows["mode"]) == ["count"] * 2
          and (rows.latency_min_us <= rows.latency_p50_us).all() and (rows.latency_p99_us <= rows.latency_max_us).all()
          and (rows.ttfb_p50_us > 0).all() and list(rows.connect_v4_count) == [4, 7], rows.to_dict())


def tables():
    clear, tls = free_ports(2)
    with Process(LOADGEN, "serve", "--clear", f"127.0.0.1:{clear}", "--tls", f"127.0.0.1:{tls}") as child:
        wait_for(clear, child)
        wait_for(tls, child)
        for kind in ("jsonl", "csv"):
            path = TMP / f"x.{kind}"
            for flags in (["-c", "4", "--h1", f"http://127.0.0.1:{clear}/?s=100"],
                          ["-c", "7", "-m", "4", f"https://127.0.0.1:{tls}/?s=100"]):
                done = run(LOADGEN, "-n", "3000", "-o", str(path), *flags)
                if done.returncode:
                    check(f"{kind} written", False, done.stderr[-300:])
                    return
        check_rows("jsonl in pandas", pandas.read_json(TMP / "x.jsonl", lines=True), JSONL, 3000)
        # At a rate: 4 connections, 50 requests per second each.
        path = TMP / "rate.jsonl"
        done = run(LOADGEN, "-n", "200", "--rps", "50", "-c", "4", "--h1", "-o", str(path), f"http://127.0.0.1:{clear}/?s=100")
        if done.returncode:
            check("jsonl at a rate written", False, done.stderr[-300:])
            return
        row = pandas.read_json(path, lines=True).iloc[0]
        achieved = 100 * row.started_rps / row.rps_target
        check("jsonl at a rate", row.rps_target == 200 and abs(row.rps_target_achieved_pct - achieved) < 0.01
              and achieved > 0, row.to_dict())
        rows = pandas.read_csv(TMP / "x.csv")
        check("csv has loadgen-rs's columns in its order", list(rows.columns) == CSV, list(rows.columns))
        check_rows("csv in pandas", rows, CSV, 3000)
