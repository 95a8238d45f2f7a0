"""The servers and proxies, each running on 127.0.0.1 for as long as a block."""

import contextlib
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme

from tools.bench.environment import peers_python
from tools.interop.programs import HOST, free_port, running

PROGRAMS = ("nginx", "squid", "microsocks")
PEERS_TXT = Path(__file__).with_name("peers.txt")
#: Who may use what asks for a login; the password has what must be quoted in a URL.
LOGIN, PASSWORD = "anna", "se@cret/1"
TEXT = b"All work and no play makes Jack a dull boy.\n" * 1000
BIG = bytes(range(256)) * 32768  # 8 MiB

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    default_type application/octet-stream;
    types {{ text/plain txt; }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.pem;
    add_header X-Connection $connection always;
    add_header X-Login $ssl_client_s_dn always;
    root {folder}/www;
    server {{
        listen {host}:{plain};
        location /packed/ {{
            alias {folder}/www/;
            gzip on;
            gzip_types text/plain;
            gzip_min_length 1;
        }}
        location /upload/ {{
            dav_methods PUT DELETE;
            client_max_body_size 0;
        }}
        location /small/ {{
            dav_methods PUT;
            client_max_body_size 1m;
        }}
        location /forbidden/ {{
            client_max_body_size 0;
            return 403;
        }}
        location /secret/ {{
            client_max_body_size 0;
            alias {folder}/www/;
            auth_basic "nginx";
            auth_basic_user_file {folder}/passwords;
        }}
        location /few/ {{
            alias {folder}/www/;
            keepalive_requests 5;
        }}
        location /brief/ {{
            alias {folder}/www/;
            keepalive_timeout 1s;
        }}
        location /slow/ {{
            alias {folder}/www/;
            limit_rate 8m;
        }}
        location /chunked/ {{
            proxy_pass http://{host}:{httpbin}/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_buffering off;
            proxy_request_buffering off;
        }}
        location /http10/ {{
            proxy_pass http://{host}:{httpbin}/;
            proxy_set_header Host $http_host;
        }}
        location /dead/ {{ proxy_pass http://{host}:{closed}/; }}
        location = /empty {{ return 204; }}
        location = /moved {{ return 301 /text.txt; }}
    }}
    server {{
        listen {host}:{tls} ssl;
        ssl_protocols TLSv1.2 TLSv1.3;
        client_max_body_size 0;
        location = /down {{ return 302 http://{host}:{plain}/text.txt; }}
        location /chunked/ {{
            proxy_pass http://{host}:{httpbin}/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
    server {{
        listen {host}:{mutual} ssl;
        ssl_client_certificate {folder}/authority.pem;
        ssl_verify_client on;
    }}
}}
"""

SQUID = """
{listen}
pid_filename none
cache_log {folder}/squid.log
access_log none
cache deny all
coredump_dir {folder}
shutdown_lifetime 0 seconds
max_filedescriptors 1024
visible_hostname localhost
{rules}
"""
SQUID_LOGIN = """
auth_param basic program /bin/sh {folder}/login.sh
auth_param basic children 1
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
"""
# squid's language for helpers: it sends lines with user and password, and reads OK or ERR. In
# shell, as squid's own user may not get at our Python.
LOGIN_PROGRAM = """#!/bin/sh
while read -r line; do
    if [ "$line" = "{login} {password}" ]; then echo OK; else echo ERR; fi
done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Where everything is; URLs are without a slash at the end.

    Attributes:
        folder: Of this run. nginx serves `www` in it, and writes to `www/upload`.
        nginx: nginx, by http.
        nginx_tls: nginx, by https.
        nginx_mutual: nginx that asks for a certificate of the client.
        httpbin: httpbin in gunicorn, with nothing in between.
        old: `http.server`, which speaks HTTP/1.0.
        squid: A proxy without login.
        squid_login: A proxy with one, without it in the URL; HTTP Basic.
        squid_tls: A proxy that is talked to by TLS, without login.
        socks: microsocks without login: host and port.
        socks_login: microsocks with one: host and port.
        closed: Where nobody listens.
    """

    folder: Path
    nginx: str
    nginx_tls: str
    nginx_mutual: str
    httpbin: str
    old: str
    squid: str
    squid_login: str
    squid_tls: str
    socks: str
    socks_login: str
    closed: str

    @property
    def files(self) -> Path:
        """What nginx serves."""
        return self.folder / "www"

    def context(self, *, certified: bool = False) -> ssl.SSLContext:
        """Return a TLS context that trusts these servers.

        Args:
            certified: Whether it has a certificate of its own to show.
        """
        context = ssl.create_default_context(cafile=str(self.folder / "authority.pem"))
        if certified:
            context.load_cert_chain(str(self.folder / "client.pem"))
        return context


def make_folder(folder: Path) -> None:
    """Write the files to serve, certificates and passwords."""
    folder.chmod(0o755)  # the servers may be other users
    for name in ("www", "www/upload", "www/small"):
        (folder / name).mkdir()
        (folder / name).chmod(0o777)
    (folder / "www" / "text.txt").write_bytes(TEXT)
    (folder / "www" / "big.bin").write_bytes(BIG)
    (folder / "passwords").write_text(f"{LOGIN}:{{PLAIN}}{PASSWORD}\n")
    program = LOGIN_PROGRAM.format(login=LOGIN, password=PASSWORD)
    (folder / "login.sh").write_text(program)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    for name, issued in (
        ("server", authority.issue_cert(HOST)),
        ("client", authority.issue_cert("client.example", common_name=LOGIN)),
    ):
        path = folder / f"{name}.pem"
        issued.private_key_and_cert_chain_pem.write_to_path(str(path))
        path.chmod(0o644)


@contextlib.contextmanager
def squid(
    folder: Path, name: str, listen: str, rules: str = "http_access allow all"
) -> Iterator[str]:
    """Run a squid; this gives its host and port.

    Args:
        folder: For its files.
        name: Of this one.
        listen: The line that makes it listen; `{where}` stands for the address.
        rules: Who may use it; in squid's language.
    """
    own, port = folder / name, free_port()
    own.mkdir()
    own.chmod(0o777)  # it changes to a user of its own
    config = own / "squid.conf"
    line = listen.format(where=f"{HOST}:{port}", folder=folder)
    config.write_text(SQUID.format(listen=line, folder=own, rules=rules))
    # -N: one process, in the foreground.
    with running(["squid", "-N", "-f", str(config)], own / "squid.out", port):
        yield f"{HOST}:{port}"


@contextlib.contextmanager
def microsocks(folder: Path, name: str, *arguments: str) -> Iterator[str]:
    """Run a microsocks; this gives its host and port."""
    port = free_port()
    command = ["microsocks", "-i", HOST, "-p", str(port), *arguments]
    with running(command, folder / f"{name}.out", port):
        yield f"{HOST}:{port}"


@contextlib.contextmanager
def httpbin(folder: Path) -> Iterator[int]:
    """Run httpbin, on the port that this gives."""
    port = free_port()
    command = [peers_python(PEERS_TXT, "client-interop-peers"), "-m", "gunicorn"]
    command += ["--worker-class=gthread", "--threads=32", "--keep-alive=30"]
    command += ["--no-control-socket", f"--bind={HOST}:{port}", "httpbin:app"]
    with running(command, folder / "httpbin.out", port):
        yield port


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Servers]:
    """Run all of them, with their files in an empty folder."""
    make_folder(folder)
    closed, plain, tls, mutual, old = (free_port() for _ in range(5))
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        binary = enter(httpbin(folder))
        config = folder / "nginx.conf"
        ports = {"plain": plain, "tls": tls, "mutual": mutual, "httpbin": binary, "closed": closed}
        config.write_text(NGINX.format(folder=folder, host=HOST, **ports))
        command = ["nginx", "-c", str(config), "-e", str(folder / "nginx.log")]
        enter(running(command, folder / "nginx.out", plain))
        command = [sys.executable, "-m", "http.server", "--bind", HOST, str(old)]
        enter(running([*command, "--directory", str(folder / "www")], folder / "old.out", old))
        rules = SQUID_LOGIN.format(folder=folder)
        secure = "https_port {where} tls-cert={folder}/server.pem"
        login = ("-u", LOGIN, "-P", PASSWORD)
        yield Servers(
            folder=folder,
            nginx=f"http://{HOST}:{plain}",
            nginx_tls=f"https://{HOST}:{tls}",
            nginx_mutual=f"https://{HOST}:{mutual}",
            httpbin=f"http://{HOST}:{binary}",
            old=f"http://{HOST}:{old}",
            squid=f"http://{enter(squid(folder, 'squid', 'http_port {where}'))}",
            squid_login=f"http://{enter(squid(folder, 'login', 'http_port {where}', rules))}",
            squid_tls=f"https://{enter(squid(folder, 'secure', secure))}",
            socks=enter(microsocks(folder, "socks")),
            socks_login=enter(microsocks(folder, "socks-login", *login)),
            closed=f"http://{HOST}:{closed}",
        )
