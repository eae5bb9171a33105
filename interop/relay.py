"""A UDP relay that is a bad network: it loses, delays, reorders and duplicates datagrams, and may change its own port.

    relay.py --to HOST:PORT [--loss 0.05] [--delay 2] [--jitter 3] [--reorder 0.1] [--duplicate 0.02] [--rebind 1.5] [--seed 1]

Times are in milliseconds, `--rebind` in seconds after the first datagram; shares are of each direction. It prints its port, and
at SIGTERM what it did, as JSON. Each client has a socket of its own towards the server, as behind a NAT; a rebind gives it
another one, so the server sees the client move. The same seed makes the same decisions for the same order of datagrams.
"""

import argparse
import heapq
import json
import random
import selectors
import signal
import socket
import sys
import time

BUFFER = 4 << 20


class Relay:
    def __init__(self, options):
        self.o, self.random = options, random.Random(options.seed)
        host, port = options.to.rsplit(":", 1)
        self.server = (host, int(port))
        self.front = self.socket(("127.0.0.1", options.port))
        self.select = selectors.DefaultSelector()
        self.select.register(self.front, selectors.EVENT_READ, None)
        self.back = {}  # client address: socket towards the server
        self.queue, self.order, self.rebind_at = [], 0, None
        self.did = dict.fromkeys(("received", "sent", "lost", "duplicated", "reordered", "rebound"), 0)
        self.going = True

    @staticmethod
    def socket(address):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            s.setsockopt(socket.SOL_SOCKET, option, BUFFER)
        s.setblocking(False)
        s.bind(address)
        return s

    def towards_server(self, client):
        s = self.socket(("127.0.0.1", 0))
        s.connect(self.server)
        self.select.register(s, selectors.EVENT_READ, client)
        self.back[client] = s
        return s

    def rebind(self):
        for client, s in list(self.back.items()):
            self.select.unregister(s)
            s.close()
            self.towards_server(client)
            self.did["rebound"] += 1

    def take(self, data, client, up, now):
        """Decides what becomes of a datagram."""
        self.did["received"] += 1
        o, draw = self.o, self.random.random
        if draw() < o.loss:
            self.did["lost"] += 1
            return
        times = 1
        if draw() < o.duplicate:
            self.did["duplicated"] += 1
            times = 2
        for _ in range(times):
            wait = o.delay + draw() * o.jitter
            if draw() < o.reorder:
                # Behind what comes in the next two milliseconds.
                wait += 2
                self.did["reordered"] += 1
            self.order += 1
            heapq.heappush(self.queue, (now + wait / 1000, self.order, data, client, up))

    def deliver(self, now):
        while self.queue and self.queue[0][0] <= now:
            _, _, data, client, up = heapq.heappop(self.queue)
            try:
                if up:
                    (self.back.get(client) or self.towards_server(client)).send(data)
                else:
                    self.front.sendto(data, client)
                self.did["sent"] += 1
            except OSError:
                self.did["lost"] += 1  # a full buffer, or nobody listens: networks are like that

    def run(self):
        while self.going:
            now = time.monotonic()
            wait = 0.05 if not self.queue else max(0, self.queue[0][0] - now)
            for key, _ in self.select.select(min(wait, 0.05)):
                now = time.monotonic()
                for _ in range(64):
                    try:
                        data, client = key.fileobj.recvfrom(65536)
                    except OSError:
                        break
                    up = key.data is None
                    if up and self.rebind_at is None and self.o.rebind is not None:
                        self.rebind_at = now + self.o.rebind
                    self.take(data, client if up else key.data, up, now)
            now = time.monotonic()
            if self.rebind_at is not None and now >= self.rebind_at:
                self.rebind_at = float("inf")
                self.rebind()
            self.deliver(now)
        print(json.dumps(self.did), flush=True)

    def stop(self, *_):
        self.going = False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", required=True, metavar="HOST:PORT")
    parser.add_argument("--port", type=int, default=0)
    for name in ("loss", "delay", "jitter", "reorder", "duplicate"):
        parser.add_argument(f"--{name}", type=float, default=0)
    parser.add_argument("--rebind", type=float)
    parser.add_argument("--seed", type=int, default=1)
    relay = Relay(parser.parse_args())
    signal.signal(signal.SIGTERM, relay.stop)
    print(relay.front.getsockname()[1], flush=True)
    relay.run()


if __name__ == "__main__":
    sys.exit(main())
