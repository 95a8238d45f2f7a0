"""`python -m httpclient`: one request, and what comes of it on stdout, stderr or disk."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import ssl
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TextIO

import anyio
from multidict import CIMultiDict

from httpcore_proto import LocalProtocolError, codec_for_charset, parse_content_type

from ._cli import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    Settings,
    parse,
)
from ._connection_facts import ConnectionFacts, status_line
from ._download import download
from ._errors import (
    ClientError,
    ClientResponseError,
    DownloadError,
    InvalidURL,
    NonHttpUrlClientError,
    RedirectClientError,
)
from ._session import ClientSession
from ._terminal import (
    BinaryOutputError,
    OutputClosedError,
    ProgressLine,
    Screen,
    human,
    visible,
)

if TYPE_CHECKING:
    from ._response import ClientResponse

_FORM: Final = "application/x-www-form-urlencoded"


class _UsageError(Exception):
    """What was given cannot be used."""


def main(
    arguments: Sequence[str] | None = None,
    stdin: BinaryIO | None = None,
    stdout: BinaryIO | None = None,
    stderr: TextIO | None = None,
) -> int:
    """Run the command.

    Args:
        arguments: Without the program's name; those of this process unless given.
        stdin: In place of the process's, as the three are.
        stdout: Bytes.
        stderr: Text.

    Returns:
        The exit code, see `--help`.

    Raises:
        SystemExit: With code 2: the command line makes no sense; with 0: help was asked for.
    """
    settings = parse(sys.argv[1:] if arguments is None else arguments)
    error = sys.stderr if stderr is None else stderr
    command = _Command(
        settings,
        sys.stdin.buffer if stdin is None else stdin,
        Screen(sys.stdout.buffer, sys.stdout.encoding) if stdout is None else Screen(stdout),
        error,
    )
    try:
        return _run(command)
    except _UsageError as exc:
        _complain(error, str(exc))
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except OutputClosedError:
        return EXIT_OK  # whoever read has seen enough


def _run(command: _Command) -> int:
    try:
        return anyio.run(command.run, backend=command.settings.backend)
    except BaseExceptionGroup as group:
        # Where Ctrl+C meets a task group, it comes out in a group.
        if group.subgroup(KeyboardInterrupt) is not None:
            raise KeyboardInterrupt from group
        raise


def _complain(stderr: TextIO, text: str) -> None:
    stderr.write(f"httpclient: {visible(text)}\n")
    stderr.flush()


class _Command:
    """One run of the command."""

    def __init__(self, settings: Settings, stdin: BinaryIO, screen: Screen, stderr: TextIO) -> None:
        self.settings: Settings = settings
        self._stdin = stdin
        self._screen = screen
        self._stderr = stderr
        self._facts: ConnectionFacts | None = None
        self._size = 0  # of the body

    async def run(self) -> int:
        """Send the request, and print or save the response.

        Returns:
            The exit code.

        Raises:
            OutputClosedError: Nobody reads stdout.
        """
        settings = self.settings
        options = self._options()
        session_options: dict[str, Any] = {"trust_env": True}
        if settings.verbose:
            self._facts = ConnectionFacts(self._tell)
            session_options["trace_configs"] = [self._facts.trace_config()]
        if (tls := self._tls()) is not None:
            options["ssl"] = tls
        try:
            async with ClientSession(**session_options) as session:
                if self._is_download():
                    return await self._download(session, options)
                async with session.request(settings.method, settings.url, **options) as response:
                    code = await self._take(response)
                    if self._facts is not None:
                        self._facts.end(self._size)
                    return code
        except BinaryOutputError:
            text = "the body is no text; -o FILE saves it, and -o - prints it all the same"
            return self._failed(text, EXIT_FAILED)
        except DownloadError as exc:
            hint = "; -L follows redirects" if exc.rule == "status" and not settings.follow else ""
            return self._failed(f"{exc}{hint}", EXIT_FAILED)
        except (ClientError, TimeoutError, OSError) as exc:
            if isinstance(exc, (InvalidURL, NonHttpUrlClientError)) and not isinstance(
                exc, RedirectClientError
            ):
                raise _UsageError(str(exc)) from exc
            code = EXIT_FAILED
            # A status that was raised; what is derived from this is about the way there.
            if type(exc) is ClientResponseError and exc.headers is not None:
                code = exc.status // 100
            return self._failed(exc, code)
        except (LocalProtocolError, ValueError) as exc:
            raise _UsageError(str(exc)) from exc

    def _failed(self, why: object, code: int) -> int:
        _complain(self._stderr, str(why) or type(why).__name__)
        return code

    def _tell(self, line: str) -> None:
        self._stderr.write(f"{line}\n")
        self._stderr.flush()

    # What is sent.

    def _options(self) -> dict[str, Any]:
        """Return the options of the request, the body read."""
        settings = self.settings
        headers = CIMultiDict(settings.headers)
        options: dict[str, Any] = {
            "headers": headers,
            "skip_auto_headers": settings.skipped_headers,
            "allow_redirects": settings.follow,
        }
        if settings.timeout is not None:
            options["timeout"] = settings.timeout
        if settings.proxy is not None:
            options["proxy"] = settings.proxy
        if settings.data:
            options["data"] = b"&".join(map(self._read, settings.data))
            headers.setdefault("Content-Type", _FORM)
        elif settings.json is not None:
            options["data"] = data = self._read(settings.json)
            try:
                json.loads(data)
            except (ValueError, RecursionError) as exc:
                raise _UsageError(f"--json: {exc}") from exc
            headers.setdefault("Content-Type", "application/json")
            headers.setdefault("Accept", "application/json")
        elif settings.form:
            options["data"] = self._form()
        return options

    def _read(self, text: str) -> bytes:
        """Return what an option stands for: itself, a file's content, or stdin."""
        if text in ("-", "@-"):
            return self._stdin.read()
        if not text.startswith("@"):
            return text.encode("utf-8", "surrogateescape")
        try:
            return Path(text[1:]).read_bytes()
        except OSError as exc:
            raise _UsageError(f"cannot read {text[1:]}: {exc.strerror}") from exc

    def _form(self) -> Any:
        from httpcore_proto.aio import FormData

        form = FormData()
        for part in self.settings.form:
            if part.path is None:
                form.add_field(part.name, part.value)
                continue
            if not os.path.isfile(part.path):
                raise _UsageError(f"cannot read {part.path}: no such file")
            form.add_field(
                part.name, Path(part.path), content_type=part.content_type, filename=part.filename
            )
        return form

    def _tls(self) -> ssl.SSLContext | None:
        """Return a context of our own, if the default one will not do."""
        settings = self.settings
        if not (settings.verbose or settings.insecure or settings.cacert or settings.cert):
            return None
        try:
            context = ssl.create_default_context(cafile=settings.cacert)
            if settings.cert is not None:
                # Asking for a password in the middle of things helps nobody.
                context.load_cert_chain(settings.cert, settings.key, password=lambda: "")
        except OSError as exc:
            raise _UsageError(f"--cacert, --cert or --key: {exc}") from exc
        if settings.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1"])
        if self._facts is not None:
            self._facts.watch(context)
        return context

    # What comes.

    def _is_download(self) -> bool:
        """Whether the body becomes a file that can be gone on with."""
        settings = self.settings
        has_body = settings.data or settings.form or settings.json is not None
        if settings.output in (None, "-") or settings.method != "GET" or has_body:
            return False
        # Such as /dev/null, or a FIFO.
        return not os.path.exists(settings.output) or not _is_special(settings.output)

    async def _download(self, session: ClientSession, options: dict[str, Any]) -> int:
        settings = self.settings
        assert settings.output is not None
        with self._progress() as progress:
            result = await download(
                session,
                settings.url,
                settings.output,
                resume=settings.resume,
                progress=progress,
                **options,
            )
        if self._facts is not None:
            self._facts.end(result.size - result.resumed_from)
        kept = f", {human(result.resumed_from)} of them from before" if result.resumed_from else ""
        self._tell(f"saved {visible(str(result.path))}, {human(result.size)}{kept}")
        return EXIT_OK

    async def _take(self, response: ClientResponse) -> int:
        """Print a response, or save it as it comes."""
        settings = self.settings
        saves = settings.output not in (None, "-")
        code = response.status // 100 if response.status >= 400 else EXIT_OK
        if saves and code:
            return self._failed(f"{status_line(response)}, nothing is saved", code)
        if settings.include or response.method == "HEAD" or self._shows_head():
            self._screen.print_head(status_line(response), response.headers.items())
        if saves:
            await self._save(response)
        elif settings.output == "-":
            while piece := await self._read_piece(response):
                self._screen.write(piece)
        else:
            kind = parse_content_type(response.headers.get("Content-Type", ""))
            codec = codec_for_charset(kind.charset or "") or "utf-8"
            await self._screen.print_body(
                functools.partial(self._read_piece, response), codec, is_json=kind.is_json
            )
        return code if settings.check else EXIT_OK

    def _shows_head(self) -> bool:
        return self._screen.is_terminal and self.settings.output is None

    async def _save(self, response: ClientResponse) -> None:
        """Write a body to a file as it comes; what cannot be gone on with needs no part."""
        assert self.settings.output is not None
        total = response.content_length
        async with await anyio.open_file(self.settings.output, "wb") as file:
            with self._progress() as progress:
                while piece := await self._read_piece(response):
                    await file.write(piece)
                    progress(self._size, total)

    async def _read_piece(self, response: ClientResponse) -> bytes:
        piece = await response.content.readany()
        self._size += len(piece)
        return piece

    @contextlib.contextmanager
    def _progress(self) -> Iterator[ProgressLine]:
        line = ProgressLine(self._stderr)
        try:
            yield line
        finally:
            line.close()


def _is_special(path: str) -> bool:
    return not os.path.isfile(path) and not os.path.isdir(path)
