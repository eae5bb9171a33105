#!/usr/bin/env python3
"""Interop: loadgen against other people's servers, other people's clients and tools against loadgen.

    interop/run.py LOADGEN_BINARY [PART...]

Parts, all of them by default: nginx, caddy, apache, lighttpd, haproxy and nghttpd (in count mode they must have counted
exactly the requests that loadgen says it made, in clear, over TLS 1.2 and 1.3, with HTTP/1.1, HTTP/2 and Caddy with HTTP/3);
bad_networks (HTTP/3 through a relay that loses, delays, reorders and duplicates, and moves the client), aioquic;
clients (h2load, wrk and curl on `loadgen serve`); tables (flat results in pandas). Loopback only; everything it starts it also
ends, by process id. A tool that is missing fails the run: nothing is skipped. Exit code 0: all passed. Python needs pandas
and aioquic.
"""

import signal
import sys
import time

import clients
import harness
import quic
import results
import servers


def parts():
    crt, key = harness.certificate()
    folder = harness.www()
    for server in servers.ALL + quic.ALL:
        yield server.__name__, lambda server=server: server(crt, key, folder)
    yield "clients", clients.serve
    yield "tables", results.tables


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted, known = set(sys.argv[2:]), []
    for name, part in parts():
        known.append(name)
        if not wanted or name in wanted:
            began = time.monotonic()
            part()
            print(f"---- {name}: {time.monotonic() - began:.0f} s", flush=True)
    if wanted - set(known):
        sys.exit(f"interop: no such part: {wanted - set(known)}; there are {known}")
    print(f"{len(harness.PASSED)} passed, {len(harness.FAILED)} failed")
    sys.exit(1 if harness.FAILED or not harness.PASSED else 0)


main()
