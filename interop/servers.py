"""loadgen against other people's servers: what it counts must be what they count.

One function a server: it writes the configuration, starts the server, and hands `common` what every server is asked.
Servers keep their default limits on requests a connection, so that runs meet the ends of connections.
"""

import os
import signal
import socket
from dataclasses import dataclass

from harness import Ledger, Lines, Process, TMP, free_ports, tool, wait_for

C7, C64 = ("c7 t2", ["-c", "7", "-t", "2"]), ("c64", ["-c", "64"])


@dataclass
class Server:
    """A server that runs. `clear`, `tls12` and `tls13` are ports; `limit`: requests a connection over HTTP/2, if any."""
    name: str
    ledger: Ledger
    path: str = "/100"
    clear: int = 0
    tls12: int = 0
    tls13: int = 0
    h1: bool = True
    h2: bool = True
    h2c: bool = True
    limit: int | None = None
    count: int = 20000


def common(s):
    """What every server is asked: exact counts of each protocol it speaks, in clear and over each version of TLS."""
    kinds = [("clear", f"http://127.0.0.1:{s.clear}{s.path}", None)] if s.clear else []
    kinds += [(f"tls {v[-3:]}", f"https://127.0.0.1:{port}{s.path}", v)
              for v, port in (("TLSv1.2", s.tls12), ("TLSv1.3", s.tls13)) if port]
    for kind, url, version in kinds:
        for name, flags in (C7, C64):
            if s.h1:
                s.ledger.exact(f"{s.name} h1 {kind} {name}", url, s.count, *flags, tls=version)
            if s.h2c if version is None else s.h2:
                s.ledger.exact(f"{s.name} h2 {kind} {name} m8", url, s.count, *flags, "-m", "8", h2=True, tls=version)
    if s.h2:
        s.ledger.ten_seconds(f"{s.name} h2 ten seconds", f"https://127.0.0.1:{s.tls13}{s.path}", "-c", "8", "-m", "8",
                             limit=s.limit)


def nginx(crt, key, folder):
    clear, tls, tls12, tls13 = free_ports(4)
    log, conf = TMP / "nginx-access.txt", TMP / "nginx.conf"
    servers = "".join(f"""
          server {{ {listen} ssl_protocols {versions}; root {folder};
            ssl_certificate {crt}; ssl_certificate_key {key}; }}""" for listen, versions in (
        (f"listen 127.0.0.1:{clear}; listen 127.0.0.1:{tls} ssl http2;", "TLSv1.2 TLSv1.3"),
        (f"listen 127.0.0.1:{tls12} ssl http2;", "TLSv1.2"), (f"listen 127.0.0.1:{tls13} ssl http2;", "TLSv1.3")))
    conf.write_text(f"""
        daemon off; worker_processes 1; pid {TMP}/nginx.pid; error_log {TMP}/nginx-error.log;
        events {{ worker_connections 1024; }}
        http {{
          access_log {log} combined;
          client_body_temp_path {TMP}/b; proxy_temp_path {TMP}/p; fastcgi_temp_path {TMP}/f;
          uwsgi_temp_path {TMP}/u; scgi_temp_path {TMP}/s;{servers}
        }}""")
    with Process(tool("nginx"), "-c", str(conf), "-p", str(TMP)) as child:
        wait_for(clear, child)
        ledger = Ledger(Lines(log))
        # nginx ends a connection after 1000 requests by default: the run must reconnect and lose nothing.
        for c in ("1", "7", "64"):
            ledger.exact(f"nginx h1 clear 100000 c{c}", f"http://127.0.0.1:{clear}/100", 100000, "-c", c)
        common(Server("nginx", ledger, clear=clear, tls12=tls12, tls13=tls13, h2c=False, limit=1000))
        ledger.exact("nginx h1 clear 256k", f"http://127.0.0.1:{clear}/256k", 1000, "-c", "8")
        ledger.exact("nginx h1 tls 256k", f"https://127.0.0.1:{tls}/256k", 500, "-c", "8")
        ledger.exact("nginx h1 tls verified", f"https://localhost:{tls}/100", 1000, "-c", "4", "-4", "--tls-ca", str(crt))
        for flag, version in (("--tls-max", "1.2"), ("--tls-min", "1.3")):
            ledger.exact(f"nginx offers both, {flag} {version}", f"https://127.0.0.1:{tls}/100", 1000, "-c", "4", flag, version,
                         tls=f"TLSv{version}")
        ledger.exact("nginx h1 no keep-alive", f"http://127.0.0.1:{clear}/100", 2000, "-c", "8", "-H", "connection: close")
        ledger.exact("nginx h1 pipelining", f"http://127.0.0.1:{clear}/100", 10000, "-c", "4", "-m", "8")
        ledger.exact("nginx h2 256k", f"https://127.0.0.1:{tls}/256k", 500, "-c", "4", "-m", "4", h2=True)


def caddy(crt, key, _folder):
    clear, tls, tls12, tls13 = free_ports(4)
    log, conf = TMP / "caddy-access.txt", TMP / "Caddyfile"
    sites = [f"http://127.0.0.1:{clear} {{"]
    for port, versions in ((tls, "tls1.2 tls1.3"), (tls12, "tls1.2 tls1.2"), (tls13, "tls1.3 tls1.3")):
        # Without a name: a policy with one would not apply to a client that asks for an address.
        sites.append(f"https://:{port} {{\n  tls {crt} {key} {{\n    protocols {versions}\n  }}")
    # Without an end of the log at 100 MB: lines that went elsewhere would not be counted.
    conf.write_text("{\n  admin off\n  default_bind 127.0.0.1\n  auto_https off\n  persist_config off\n  servers {\n    protocols h1 h2 h2c h3\n  }\n}\n"
                    + "".join(f"{site}\n  log {{\n    output file {log} {{\n      roll_disabled\n    }}\n  }}\n  respond \"{'x' * 100}\"\n}}\n"
                              for site in sites))
    home = {**os.environ, "HOME": str(TMP), "XDG_DATA_HOME": str(TMP)}
    with Process(tool(os.environ.get("CADDY", "caddy")), "run", "--config", str(conf), "--adapter", "caddyfile",
                 env=home) as child:
        for port in (clear, tls, tls12, tls13):
            wait_for(port, child)
        ledger = Ledger(Lines(log))
        common(Server("caddy", ledger, "/", clear, tls12, tls13, count=5000))
        for name, flags in (C7, C64):
            ledger.exact(f"caddy h3 {name} m8", f"https://127.0.0.1:{tls13}/", 5000, *flags, "-m", "8", h3=True)
        ledger.ten_seconds("caddy h3 ten seconds", f"https://127.0.0.1:{tls13}/", "--h3", "-c", "8", "-m", "8")
        ledger.exact("caddy h1 tls verified", f"https://localhost:{tls}/", 500, "-c", "4", "-4", "--tls-ca", str(crt))


def apache(crt, key, folder):
    clear, tls12, tls13 = free_ports(3)
    log, conf, modules = TMP / "apache-access.txt", TMP / "apache.conf", "/usr/lib/apache2/modules"
    hosts = "".join(f"""
        <VirtualHost 127.0.0.1:{port}>
          SSLEngine on
          SSLProtocol -all +{version}
          SSLCertificateFile {crt}
          SSLCertificateKeyFile {key}
        </VirtualHost>""" for port, version in ((tls12, "TLSv1.2"), (tls13, "TLSv1.3")))
    # Somebody without rights, as Debian does: Apache refuses to serve as root.
    user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
    load = "".join(f"LoadModule {m}_module {modules}/mod_{m}.so\n"
                   for m in ("mpm_event", "authz_core", "socache_shmcb", "ssl", "http2"))
    conf.write_text(f"""{load}
        {user}
        # More workers than connections: when all are busy, Apache closes connections that wait for a request, even if one
        # is on its way, and that request has failed.
        StartServers 1
        ThreadLimit 200
        ThreadsPerChild 200
        MinSpareThreads 1
        MaxSpareThreads 400
        MaxRequestWorkers 400
        ServerRoot {TMP}
        ServerName localhost
        PidFile {TMP}/apache.pid
        DefaultRuntimeDir {TMP}
        ErrorLog {TMP}/apache-error.log
        LogFormat "%r %>s %b" short
        CustomLog {log} short
        DocumentRoot {folder}
        <Directory {folder}>
          Require all granted
        </Directory>
        Protocols h2 h2c http/1.1
        {"".join(f"Listen 127.0.0.1:{port}{chr(10)}" for port in (clear, tls12, tls13))}
        {hosts}""")
    with Process(tool("apache2"), "-f", str(conf), "-D", "FOREGROUND") as child:
        for port in (clear, tls12, tls13):
            wait_for(port, child)
        # Apache ends an HTTP/1.1 connection after 100 requests by default.
        common(Server("apache", Ledger(Lines(log)), clear=clear, tls12=tls12, tls13=tls13))


class FlushedLines(Lines):
    """lighttpd holds its log back for up to four seconds (and loses lines where the log is a pipe): SIGHUP flushes it."""

    def __init__(self, path, word, child):
        super().__init__(path, word)
        self.child = child

    def __call__(self):
        self.child.send_signal(signal.SIGHUP)
        return super().__call__()


def lighttpd(crt, key, folder):
    clear, tls12, tls13 = free_ports(3)
    conf, log = TMP / "lighttpd.conf", TMP / "lighttpd-access.txt"
    sockets = "".join(f"""
        $SERVER["socket"] == "127.0.0.1:{port}" {{
          ssl.engine = "enable"
          ssl.pemfile = "{crt}"
          ssl.privkey = "{key}"
          ssl.openssl.ssl-conf-cmd = ("MinProtocol" => "{version}", "MaxProtocol" => "{version}")
        }}""" for port, version in ((tls12, "TLSv1.2"), (tls13, "TLSv1.3")))
    conf.write_text(f"""
        server.modules = ("mod_accesslog", "mod_openssl")
        server.document-root = "{folder}"
        server.bind = "127.0.0.1"
        server.port = {clear}
        server.errorlog = "{TMP}/lighttpd-error.log"
        accesslog.filename = "{log}"
        accesslog.format = "%r %s"
        {sockets}
        """)
    with Process(tool("lighttpd"), "-D", "-f", str(conf)) as child:
        for port in (clear, tls12, tls13):
            wait_for(port, child)
        # It logs the preface of HTTP/2 as a request too ("PRI *"), hence the word.
        common(Server("lighttpd", Ledger(FlushedLines(log, b"GET /", child)), clear=clear, tls12=tls12, tls13=tls13))


class HaproxyCount:
    """2xx responses of the frontend, from the statistics socket."""

    def __init__(self, path):
        self.path = str(path)

    def __call__(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(self.path)
            s.sendall(b"show stat\n")
            text = b""
            while part := s.recv(65536):
                text += part
        head, *rows = [line.split(",") for line in text.decode().splitlines() if line]
        [front] = [row for row in rows if row[1] == "FRONTEND"]
        return int(front[head.index("hrsp_2xx")])


def haproxy(_crt, _key, _folder):
    clear, tls12, tls13 = free_ports(3)
    conf, stats = TMP / "haproxy.cfg", TMP / "haproxy.sock"
    pem = TMP / "both.pem"
    conf.write_text(f"""
global
    nbthread 1
    stats socket {stats}
defaults
    mode http
    timeout client 30s
    timeout connect 5s
    timeout server 30s
frontend site
    bind 127.0.0.1:{clear}
    bind 127.0.0.1:{tls12} ssl crt {pem} alpn h2,http/1.1 ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.2
    bind 127.0.0.1:{tls13} ssl crt {pem} alpn h2,http/1.1 ssl-min-ver TLSv1.3 ssl-max-ver TLSv1.3
    http-request return status 200 content-type text/plain string {"x" * 100}
""")
    with Process(tool("haproxy"), "-db", "-f", str(conf)) as child:
        for port in (clear, tls12, tls13):
            wait_for(port, child)
        common(Server("haproxy", Ledger(HaproxyCount(stats)), "/", clear, tls12, tls13))


def nghttpd(crt, key, folder):
    """HTTP/2 only, and its count is its log of frames: a request opens a stream."""
    for kind in ("clear", "tls"):
        [port] = free_ports(1)
        how = [str(port), str(key), str(crt)] if kind == "tls" else ["--no-tls", str(port)]
        server = Process(tool("nghttpd"), "-v", "-a", "127.0.0.1", "-d", str(folder), *how)
        server.output.unlink(missing_ok=True)
        with server as child:
            wait_for(port, child)
            ledger = Ledger(Lines(server.output, b"; Open new stream"))
            ports = {"tls13": port} if kind == "tls" else {"clear": port}
            common(Server("nghttpd", ledger, h1=False, h2=kind == "tls", count=5000, **ports))
        server.output.unlink(missing_ok=True)


ALL = [nginx, caddy, apache, lighttpd, haproxy, nghttpd]
