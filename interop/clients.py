"""Other people's clients against `loadgen serve`.

h2load, wrk and curl put load on the built-in server, whose counters must agree with theirs.
"""

import re

from harness import LOADGEN, Ledger, Process, asked, check, free_ports, run, tool, wait_for


def serve():
    clear, tls = free_ports(2)
    with Process(LOADGEN, "serve", "--clear", f"127.0.0.1:{clear}", "--tls", f"127.0.0.1:{tls}") as child:
        wait_for(clear, child)
        wait_for(tls, child)

        def count():
            return asked(clear)["requests"]

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
        Ledger(count).exact("serve h2c m32", f"http://127.0.0.1:{clear}/?s=100", 20000, "-c", "4", "-m", "32", h2=True)
        Ledger(count).exact("serve h2 tls m32", f"https://127.0.0.1:{tls}/?s=100", 20000, "-c", "4", "-m", "32", h2=True)
        Ledger(count).exact("serve h1 tls", f"https://127.0.0.1:{tls}/?s=100", 5000, "-c", "8")
