"""What `python -m httpserver` does, once the command line is understood."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
import ssl
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final

import anyio

from ._access_log import AccessLogger, access_logger
from ._application import Application
from ._cli import EXIT_START_FAILED, JSON_FORMAT, Settings, parse
from ._json_log import JSONFormatter, StructuredAccessLogger
from ._run import run_app
from ._sites import bind_tcp, bind_unix, file_identity, name_of, remove_unix
from ._systemd import adopt_socket, listen_sockets

_DEFAULT_HOST: Final = "localhost"
_DEFAULT_PORT: Final = 8080
_DEFAULT_TLS_PORT: Final = 8443
_LOG_FORMAT: Final = "%(asctime)s [%(process)d] %(levelname)s %(name)s: %(message)s"
# Seconds on top of twice the drain time-out, for what an application does at its end.
_CLEANUP_TIMEOUT: Final = 10.0
# Seconds for the request of a connection that a worker accepted right before it was to stop.
_DRAIN_DELAY: Final = 0.25


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    Args:
        arguments: Without the program's name; those of the process unless given.

    Raises:
        SystemExit: With code 2, the command line makes no sense.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    settings = parse(arguments)
    _configure_logging(settings)
    if settings.worker_fds:
        return _work(settings)
    with ExitStack() as stack:
        try:
            if settings.check:
                _make_ssl_context(settings)
                load_app(settings)
                return 0
            sockets = stack.enter_context(_listening(settings))
            if settings.reload:
                from ._reload import hang_up_on_change

                hang_up_on_change(settings.reload_dir)
        except Exception:
            traceback.print_exc()
            return EXIT_START_FAILED
        if settings.workers > 1 or settings.reload:
            return _supervise(settings, arguments, sockets)
        return _serve(settings, sockets, partial(print, flush=True))


def _serve(
    settings: Settings,
    sockets: list[socket.socket],
    tell: Callable[[str], object],
    drain_delay: float = 0.0,
) -> int:
    """Serve in this process; errors of the start are told and made an exit code."""
    started = False

    def ready(banner: str) -> None:
        nonlocal started
        started = True
        tell(banner)

    try:
        run_app(
            load_app(settings),
            sock=sockets,
            backend=settings.backend,
            loop_factory=_loop_factory(settings),
            shutdown_timeout=settings.drain_timeout,
            drain_delay=drain_delay,
            keepalive_timeout=settings.keepalive_timeout,
            ssl_context=_make_ssl_context(settings),
            backlog=settings.backlog,
            access_log=None if settings.no_access_log else access_logger,
            print=ready,
            **_access_log_options(settings),
        )
    except Exception:
        if started:
            raise
        traceback.print_exc()
        return EXIT_START_FAILED
    return 0


def _work(settings: Settings) -> int:
    """Serve as a worker: on the sockets of the parent, and as long as it lives."""
    control, *sockets = [adopt_socket(fd) for fd in settings.worker_fds]
    control.setblocking(True)
    threading.Thread(target=_stop_with_parent, args=[control], daemon=True).start()
    return _serve(settings, sockets, lambda banner: control.sendall(b"1"), _DRAIN_DELAY)


def _stop_with_parent(control: socket.socket) -> None:
    try:
        control.recv(1)
    except OSError:
        pass  # as good as an end
    os.kill(os.getpid(), signal.SIGTERM)


def _supervise(settings: Settings, arguments: Sequence[str], sockets: list[socket.socket]) -> int:
    from ._supervisor import Supervisor

    scheme = _scheme(settings)
    names = ", ".join(sorted(name_of(scheme, sock.getsockname()) for sock in sockets))
    banner = f"======== Running on {names} ========\n(Press CTRL+C to quit)"
    supervisor = Supervisor(
        arguments,
        sockets,
        count=settings.workers,
        backlog=settings.backlog,
        stop_timeout=2 * settings.drain_timeout + _CLEANUP_TIMEOUT,
        started=lambda: print(banner, flush=True),
    )
    return 0 if supervisor.run() else EXIT_START_FAILED


def load_app(settings: Settings) -> Application | Awaitable[Application]:
    """Return the application that the settings name, or an awaitable of it.

    Raises:
        ImportError: There is no such module.
        AttributeError: It has no such attribute.
        TypeError: That is no application.
        Exception: Whatever the module or the factory raises.
    """
    if settings.directory is not None:
        app = Application()
        app.router.add_static("/", settings.directory, show_index=True)
        return app
    module, _, path = (settings.app or "").partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    if settings.factory:
        found = found()
        if isinstance(found, Awaitable):
            return found
    if not isinstance(found, Application):
        hint = "" if settings.factory or not callable(found) else "; is it for --factory?"
        raise TypeError(f"{settings.app} is no Application but {type(found).__name__}{hint}")
    return found


@contextmanager
def _listening(settings: Settings) -> Iterator[list[socket.socket]]:
    """Yield the sockets that the settings ask for; closed in the end."""
    sockets = [adopt_socket(fd) for fd in settings.fd]
    identity = None
    try:
        if settings.uds is not None:
            sockets.append(bind_unix(settings.uds))
            identity = file_identity(settings.uds)
        if not sockets and settings.host is None and settings.port is None:
            sockets.extend(listen_sockets())
        if not sockets or settings.host is not None or settings.port is not None:
            port = settings.port
            if port is None:
                port = _DEFAULT_PORT if settings.ssl_certfile is None else _DEFAULT_TLS_PORT
            sockets.extend(anyio.run(bind_tcp, settings.host or _DEFAULT_HOST, port))
        yield sockets
    finally:
        if settings.uds is not None and identity is not None:
            remove_unix(settings.uds, identity)
        for sock in sockets:
            sock.close()


def _scheme(settings: Settings) -> str:
    return "http" if settings.ssl_certfile is None else "https"


def _make_ssl_context(settings: Settings) -> ssl.SSLContext | None:
    if settings.ssl_certfile is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # Not None: OpenSSL would ask the terminal for a password, once in each worker.
    password = settings.ssl_keyfile_password or ""
    context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, password)
    if settings.ssl_ciphers is not None:
        context.set_ciphers(settings.ssl_ciphers)
    if settings.ssl_ca_certs is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(settings.ssl_ca_certs)
    return context


def _loop_factory(settings: Settings) -> Callable[[], Any] | None:
    if settings.backend != "asyncio" or settings.loop == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        if settings.loop == "uvloop":
            raise
        return None
    return uvloop.new_event_loop


def _access_log_options(settings: Settings) -> dict[str, Any]:
    if settings.access_log_format == JSON_FORMAT:
        return {"access_log_class": StructuredAccessLogger}
    return {"access_log_class": AccessLogger, "access_log_format": settings.access_log_format}


def _configure_logging(settings: Settings) -> None:
    """Log to stderr, requests to stdout; what the program configured already stays."""
    errors = logging.StreamHandler()
    requests = logging.StreamHandler(sys.stdout)
    if settings.access_log_format == JSON_FORMAT:
        errors.setFormatter(JSONFormatter())
        requests.setFormatter(JSONFormatter())
    else:
        errors.setFormatter(logging.Formatter(_LOG_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[errors])
    if not access_logger.handlers:
        access_logger.addHandler(requests)
        access_logger.setLevel(logging.INFO)
        access_logger.propagate = False
