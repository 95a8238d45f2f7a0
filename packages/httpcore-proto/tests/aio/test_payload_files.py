from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import anyio
import pytest
import trio
from anyio import to_thread

from httpcore_proto.aio import (
    BufferedReaderPayload,
    IOBasePayload,
    PathPayload,
    Payload,
    PayloadConsumedError,
    PayloadLookupError,
    PayloadSizeError,
    TextIOPayload,
    get_payload,
)

BLOCK = 2**18
#: Two blocks and a bit; no two places in it look the same.
BODY = b"".join(b"%08d" % number for number in range((2 * BLOCK + 1000) // 8))


class Writer:
    """Collects what is written, and calls back before each piece."""

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.pieces: list[bytes] = []
        self.before = before

    async def write(self, chunk: bytes) -> None:
        self.before()
        await anyio.lowlevel.checkpoint()
        assert type(chunk) is bytes
        assert chunk, "an empty chunk is the end in chunked framing"
        self.pieces.append(chunk)

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


async def written(payload: Payload, length: int | None = None) -> bytes:
    writer = Writer()
    if length is None:
        await payload.write(writer)
    else:
        await payload.write_with_length(writer, length)
    return writer.body


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "body.txt"
    path.write_bytes(BODY)
    return path


def put(path: Path, body: bytes) -> None:
    path.write_bytes(body)


def filled(make: Callable[..., Any], mode: str = "w+b", **options: Any) -> Any:
    file = make(mode=mode, **options)
    file.write(BODY if "b" in mode else BODY.decode())
    file.seek(0)
    return file


#: Ways to open a file that can be read from its start.
KINDS: dict[str, Callable[[Path], Any]] = {
    "raw": lambda path: path.open("rb", buffering=0),
    "buffered": lambda path: path.open("rb"),
    "random": lambda path: path.open("r+b"),
    "temporary": lambda path: filled(tempfile.TemporaryFile),
    "named": lambda path: filled(tempfile.NamedTemporaryFile),
    "spooled": lambda path: filled(tempfile.SpooledTemporaryFile, max_size=2**20),
    "spooled to disk": lambda path: filled(tempfile.SpooledTemporaryFile, max_size=1),
    "of anyio": lambda path: anyio.wrap_file(path.open("rb")),
    "of trio": lambda path: trio.wrap_file(path.open("rb")),
    "memory": lambda path: io.BytesIO(BODY),
    "path": lambda path: path,
    "path of anyio": lambda path: anyio.Path(path),
    "path of trio": lambda path: trio.Path(path),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_file_of_every_kind(kind: str, path: Path) -> None:
    file = KINDS[kind](path)
    payload = get_payload(file)
    assert payload.size == len(BODY)
    assert payload.replayable
    for _ in range(2):
        assert await written(payload) == BODY
        await payload.rewind()
    for length in (0, 1, BLOCK, BLOCK + 1, len(BODY), len(BODY) + 1):
        assert await written(payload, length) == BODY[:length]
    assert await payload.as_bytes() == BODY
    assert payload.decode() == BODY.decode()
    assert await written(payload) == BODY
    await payload.close()
    await payload.close()


#: The same in text mode.
TEXT_KINDS: dict[str, Callable[[Path], Any]] = {
    "text": lambda path: path.open(encoding="ascii"),
    "temporary": lambda path: filled(tempfile.TemporaryFile, "w+"),
    "named": lambda path: filled(tempfile.NamedTemporaryFile, "w+"),
    "spooled": lambda path: filled(tempfile.SpooledTemporaryFile, mode="w+", max_size=2**20),
    "of anyio": lambda path: anyio.wrap_file(path.open(encoding="ascii")),
    "of trio": lambda path: trio.wrap_file(path.open(encoding="ascii")),
}


@pytest.mark.parametrize("kind", TEXT_KINDS)
async def test_text_file_of_every_kind(kind: str, path: Path) -> None:
    payload = get_payload(TEXT_KINDS[kind](path))
    assert type(payload) is TextIOPayload
    assert payload.content_type == "text/plain; charset=utf-8"
    assert payload.size is None
    assert payload.replayable
    for _ in range(2):
        assert await written(payload) == BODY
        await payload.rewind()
    for length in (0, 1, BLOCK, BLOCK + 1, len(BODY), len(BODY) + 1):
        assert await written(payload, length) == BODY[:length]
    assert await payload.as_bytes() == BODY
    assert payload.decode() == BODY.decode()
    assert await written(payload) == BODY
    await payload.close()
    assert payload.consumed


@pytest.mark.parametrize(
    ("kind", "cls"),
    [
        ("raw", IOBasePayload),
        ("buffered", BufferedReaderPayload),
        ("random", BufferedReaderPayload),
        ("spooled", IOBasePayload),
        ("named", IOBasePayload),
        ("of trio", BufferedReaderPayload),
        ("path", PathPayload),
    ],
)
def test_registrations(kind: str, cls: type[Payload], path: Path) -> None:
    file = KINDS[kind](path)
    payload = get_payload(file)
    assert type(payload) is cls
    getattr(file, "wrapped", file if kind != "path" else io.BytesIO()).close()


class OnlyReads:
    def read(self, size: int = -1) -> bytes:
        return b""


def test_object_that_merely_reads_is_not_taken() -> None:
    with pytest.raises(PayloadLookupError, match="OnlyReads"):
        get_payload(OnlyReads())


# Names.


async def test_name_type_and_disposition(path: Path) -> None:
    for file in (path, path.open("rb"), anyio.wrap_file(path.open("rb"))):
        payload = get_payload(file)
        assert payload.filename == "body.txt"
        assert payload.content_type == "text/plain"
        assert payload.headers["Content-Disposition"] == 'attachment; filename="body.txt"'
        plain = get_payload(file, disposition=None)
        assert "Content-Disposition" not in plain.headers
        inline = get_payload(file, disposition="inline", filename="a b.png", headers={"X": "y"})
        assert inline.headers["Content-Disposition"] == 'inline; filename="a%20b.png"'
        assert inline.content_type == "image/png"
        assert inline.headers["X"] == "y"
        await payload.close()


@pytest.mark.parametrize(
    ("name", "filename"),
    [
        ("dir/a.png", "a.png"),
        ("<stdin>", None),
        ("<fdopen>", None),
        ("<a", "<a"),
        ("", None),
        ("/", None),
        (3, None),
        (b"bytes", None),
        (None, None),
        ("\udcff.png", "?.png"),
    ],
)
def test_file_names(name: Any, filename: str | None) -> None:
    class Named(io.RawIOBase):
        pass

    file = Named()
    file.name = name  # type: ignore[attr-defined]
    assert get_payload(file).filename == filename


@pytest.mark.parametrize("name", [b"\xff.bin", "ü\n.bin"])
async def test_odd_names_on_disk(name: Any, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), os.fsencode(name))))
    put(path, b"abc")
    payload = get_payload(path)
    assert payload.headers["Content-Disposition"].isprintable()
    assert await written(payload) == b"abc"


def test_descriptor_has_no_name(path: Path) -> None:
    with open(os.open(path, os.O_RDONLY), "rb") as file:
        payload = get_payload(file)
        assert payload.filename is None
        assert "Content-Disposition" not in payload.headers


# Where it begins.


@pytest.mark.parametrize("kind", ["raw", "buffered", "random", "named", "spooled", "text"])
async def test_file_is_sent_from_where_it_was(kind: str, path: Path) -> None:
    """#13329: the second time, only what the first had not read was sent."""
    file = {**KINDS, **TEXT_KINDS}[kind](path)
    file.seek(5)
    payload = get_payload(file)
    file.seek(77)
    assert payload.size in (len(BODY) - 5, None)
    for _ in range(2):
        assert await written(payload) == BODY[5:]
        assert await written(payload, 7) == BODY[5:12]
    assert payload.decode() == BODY[5:].decode()
    assert await payload.as_bytes() == BODY[5:]
    file.seek(len(BODY) + 3)
    beyond = get_payload(file)
    assert await written(beyond) == b""
    await payload.close()


async def test_two_payloads_of_one_file_do_not_disturb_one_another(path: Path) -> None:
    file = path.open("rb")
    first = get_payload(file)
    file.seek(100_000)
    second = get_payload(file)
    writers = [Writer() for _ in range(4)]
    async with anyio.create_task_group() as tasks:
        for payload, writer in zip([first, second, first, second], writers, strict=True):
            tasks.start_soon(payload.write, writer)
    assert [writer.body for writer in writers] == [BODY, BODY[100_000:]] * 2
    await first.close()


async def test_position_moved_by_somebody_else(path: Path) -> None:
    with path.open("rb") as file:
        writer = Writer(lambda: file.seek(17))
        await get_payload(file).write(writer)
        assert writer.body == BODY


async def test_pieces_are_of_256_kib(path: Path) -> None:
    for file in (path, path.open("rb"), path.open(encoding="ascii")):
        payload = get_payload(file)
        writer = Writer()
        await payload.write(writer)
        assert [len(piece) for piece in writer.pieces] == [BLOCK, BLOCK, len(BODY) - 2 * BLOCK]
        await payload.close()


class Asked(io.BytesIO):
    """Tells how much was asked for, and in which thread."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.sizes: list[int | None] = []
        self.threads: set[threading.Thread] = set()

    def read(self, size: int | None = -1) -> bytes:
        self.sizes.append(size)
        self.threads.add(threading.current_thread())
        return super().read(size)


async def test_no_more_is_read_than_is_sent() -> None:
    file = Asked(BODY)
    payload = IOBasePayload(file)
    assert await written(payload, BLOCK + 3) == BODY[: BLOCK + 3]
    assert await written(payload) == BODY
    assert await written(payload, 0) == b""
    assert file.sizes == [BLOCK, 3, BLOCK, BLOCK, len(BODY) - 2 * BLOCK]
    assert threading.current_thread() not in file.threads


# Sizes.


async def test_file_that_grows_while_it_is_sent(path: Path) -> None:
    for file in (path, path.open("rb")):
        payload = get_payload(file)
        size = payload.size
        assert size == (len(BODY) if file is path else len(BODY) + BLOCK)
        with path.open("ab") as more:
            more.write(b"+" * BLOCK)
        assert payload.size == size
        assert len(await written(payload)) == size
        await payload.close()


async def test_size_is_that_of_when_it_is_asked_for(path: Path) -> None:
    with path.open("rb") as file:
        payload = get_payload(file)
        with path.open("ab") as more:
            more.write(b"+")
        assert payload.size == len(BODY) + 1


@pytest.mark.parametrize("asked", [True, False])
async def test_file_that_shrinks_while_it_is_sent(asked: bool, path: Path) -> None:
    """#13330: the rest was left out without a word."""
    for file in (path, path.open("rb")):
        put(path, BODY)
        payload = get_payload(file)
        if asked:
            assert payload.size == len(BODY)
        writer = Writer(lambda: os.truncate(path, BLOCK + 5))
        with pytest.raises(PayloadSizeError, match=f"bytes short of the {len(BODY)} it had"):
            await payload.write(writer)
        assert writer.body == BODY[: BLOCK + 5]
        with pytest.raises(PayloadSizeError):
            await written(payload, BLOCK + 6)
        assert await written(payload, BLOCK + 5) == BODY[: BLOCK + 5]
        await payload.close()


async def test_what_is_still_in_a_buffer_counts(tmp_path: Path) -> None:
    with (tmp_path / "new").open("w+b") as file:
        payload = get_payload(file)
        file.write(b"abc")
        assert payload.size == 3
        assert await written(payload) == b"abc"


@pytest.mark.parametrize(
    ("opened", "packed"), [(gzip.open, gzip.compress), (bz2.open, bz2.compress)]
)
async def test_size_of_a_file_that_decodes(
    opened: Callable[[Path], Any], packed: Callable[[bytes], bytes], path: Path
) -> None:
    """The size on disk was taken for that of the body."""
    put(path, packed(BODY))
    with opened(path) as file:
        payload = get_payload(file)
        assert payload.size is None
        for _ in range(2):
            assert await written(payload) == BODY
        with io.BufferedReader(file) as buffered:
            assert get_payload(buffered).size is None


async def test_empty_file(path: Path) -> None:
    put(path, b"")
    for file in (path, path.open("rb"), path.open()):
        payload = get_payload(file)
        assert payload.size in (0, None)
        assert await written(payload) == b""
        await payload.close()


def test_spooled_file_stays_in_memory() -> None:
    with tempfile.SpooledTemporaryFile(max_size=99) as file:
        file.write(b"abc")
        file.seek(1)
        assert get_payload(file).size == 2
        assert file.name is None


# What can be read once.


@pytest.fixture
def pipe() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as source, open(writing, "wb", buffering=0) as sink:
        yield source, sink


async def test_pipe_is_written_once(pipe: tuple[IO[bytes], IO[bytes]]) -> None:
    source, sink = pipe
    sink.write(b"abc")
    sink.close()
    payload = get_payload(source)
    assert payload.size is None
    assert not payload.replayable
    assert not payload.consumed
    await payload.rewind()
    assert await written(payload) == b"abc"
    assert payload.consumed
    for call in (payload.rewind, payload.as_bytes, lambda: written(payload)):
        with pytest.raises(PayloadConsumedError, match="IOBasePayload cannot have it again"):
            await call()
    with pytest.raises(PayloadConsumedError):
        payload.decode()


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("mode", ["rb", "r"])
async def test_pipe_that_is_kept(sync: bool, mode: str, pipe: tuple[IO[bytes], IO[bytes]]) -> None:
    source, sink = pipe
    sink.write("grün".encode())
    sink.close()
    file: Any = source if mode == "rb" else io.TextIOWrapper(io.BufferedReader(source), "utf-8")  # type: ignore[type-var]
    payload = get_payload(file)
    if sync:
        assert payload.decode() == "grün"
    else:
        assert await payload.as_bytes() == "grün".encode()
    assert payload.replayable
    assert payload.size == 5
    await payload.close()
    assert not payload.consumed
    for _ in range(2):
        assert await written(payload) == "grün".encode()
        assert await written(payload, 2) == b"gr"
        assert await written(payload, 0) == b""
    assert payload.decode() == "grün"
    assert await payload.as_bytes() == "grün".encode()


async def test_text_that_was_iterated_over_is_read_on_once(path: Path) -> None:
    put(path, b"a\nb\nc\n")
    with path.open() as file:
        assert next(file) == "a\n"
        payload = get_payload(file)
        assert not payload.replayable
        assert await written(payload) == b"b\nc\n"
        assert payload.consumed


async def test_file_that_does_not_wait(pipe: tuple[IO[bytes], IO[bytes]]) -> None:
    source, _ = pipe
    os.set_blocking(source.fileno(), False)
    with pytest.raises(BlockingIOError, match="non-blocking and has no data"):
        await written(get_payload(source))


async def test_file_that_reads_something_else() -> None:
    class Wrong(io.RawIOBase):
        def read(self, size: int = -1) -> Any:
            return "text"

    with pytest.raises(TypeError, match="not of str"):
        await written(get_payload(Wrong()))


async def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    with (tmp_path / "new").open("ab") as file:
        file.write(b"x")
        file.seek(0)
        with pytest.raises(OSError, match="read"):
            await written(get_payload(file))


# Text.


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "iso-2022-jp"])
async def test_text_is_encoded_as_a_whole(encoding: str, tmp_path: Path) -> None:
    """Each piece began with a byte order mark."""
    text = "日本" * (BLOCK + 1) if encoding != "utf-8" else "aß𝄞" * BLOCK
    path = tmp_path / "text"
    path.write_text(text, encoding="utf-8")
    with path.open(encoding="utf-8") as file:
        payload = get_payload(file, encoding=encoding)
        assert payload.content_type == f"text/plain; charset={encoding}"
        assert await written(payload) == text.encode(encoding)
        assert await written(payload, 7) == text.encode(encoding)[:7]


async def test_text_with_translated_line_ends(tmp_path: Path) -> None:
    """The size on disk is not that of the text."""
    path = tmp_path / "text"
    path.write_bytes(b"a\r\nb\r\n")
    with path.open() as file:
        payload = get_payload(file)
        assert payload.size is None
        assert await written(payload) == b"a\nb\n"


async def test_text_that_the_charset_lacks(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("ab\u0151", encoding="utf-8")
    with path.open(encoding="utf-8") as file:
        with pytest.raises(UnicodeEncodeError):
            await written(get_payload(file, content_type="text/plain; charset=latin-1"))
        with pytest.raises(LookupError, match="none-such"):
            get_payload(file, encoding="none-such")


# Paths.


async def test_missing_file(tmp_path: Path) -> None:
    payload = get_payload(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        assert payload.size
    with pytest.raises(FileNotFoundError):
        await written(payload)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/dev/null", path)])
async def test_only_regular_files_are_opened(make: Callable[[Path], None], tmp_path: Path) -> None:
    """DO-21: opening a FIFO waits until somebody writes to it."""
    path = tmp_path / "special"
    make(path)
    payload = get_payload(path)
    with pytest.raises(OSError, match="only a regular file"):
        assert payload.size
    with pytest.raises(OSError, match="only a regular file"):
        payload.decode()
    regular = tmp_path / "regular"
    regular.write_bytes(b"x")
    replaced = get_payload(regular)
    assert replaced.size == 1
    regular.unlink()
    make(regular)
    before = open_descriptors(regular)
    with pytest.raises(OSError, match="only a regular file"):
        await written(replaced)
    assert open_descriptors(regular) == before


def open_descriptors(path: Path) -> int:
    found = 0
    for number in os.listdir("/dev/fd"):
        try:
            found += os.path.samestat(os.fstat(int(number)), path.stat())
        except OSError:
            pass  # of the listing itself
    return found


async def test_path_is_open_only_while_it_is_written(path: Path) -> None:
    payload = get_payload(path)
    assert payload.autoclose
    assert payload.size
    assert open_descriptors(path) == 0
    seen: list[int] = []
    await payload.write(Writer(lambda: seen.append(open_descriptors(path))))
    assert seen == [1, 1, 1]
    assert open_descriptors(path) == 0
    payload.decode()
    assert open_descriptors(path) == 0

    def fail() -> None:
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        await payload.write(Writer(fail))
    assert open_descriptors(path) == 0


# Closing and cancelling.


@pytest.mark.parametrize("mode", ["rb", "r"])
async def test_closed_file(mode: str, path: Path) -> None:
    file: Any = path.open(mode)
    payload = get_payload(file)
    assert not payload.autoclose
    await payload.close()
    assert file.closed
    assert payload.size is None
    assert payload.consumed
    assert not payload.replayable
    for call in (payload.rewind, payload.as_bytes, lambda: written(payload)):
        with pytest.raises(PayloadConsumedError, match="sent or closed"):
            await call()
    await payload.close()
    with pytest.raises(ValueError, match="closed file"):
        get_payload(file)


@pytest.mark.parametrize("kind", ["raw", "buffered", "named", "text", "path"])
@pytest.mark.parametrize("at", range(3))
async def test_write_that_is_cancelled_while_the_peer_is_slow(
    kind: str, at: int, path: Path
) -> None:
    payload = get_payload({**KINDS, **TEXT_KINDS}[kind](path))

    def cancel() -> None:
        if len(writer.pieces) == at:
            scope.cancel()

    writer = Writer(cancel)
    with anyio.CancelScope() as scope:
        await payload.write(writer)
    assert scope.cancelled_caught
    assert writer.body == BODY[: at * BLOCK]
    if kind == "path":
        assert open_descriptors(path) == 0
    assert payload.replayable
    await payload.rewind()
    assert await written(payload) == BODY
    await payload.close()
    assert open_descriptors(path) == 0


class Stuck(io.BytesIO):
    """Reads wait in their thread until they are let go."""

    def __init__(self, at: int) -> None:
        super().__init__(BODY)
        self.at = at
        self.reached = threading.Event()
        self.go = threading.Event()
        self.left = threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        self.at -= 1
        if self.at == -1:
            self.reached.set()
            assert self.go.wait(10)
        return super().read(size)

    def close(self) -> None:
        super().close()
        self.left.set()


async def started(payload: Payload, file: Stuck, tasks: anyio.abc.TaskGroup) -> anyio.CancelScope:
    """Start a write, and return the scope around it when it waits for a read."""
    scope = anyio.CancelScope()

    async def write() -> None:
        with scope:
            await payload.write(Writer())

    tasks.start_soon(write)
    assert await to_thread.run_sync(file.reached.wait, 10)
    return scope


@pytest.mark.parametrize("at", range(3))
async def test_write_that_is_cancelled_while_the_disk_is_slow(at: int) -> None:
    """The thread that reads goes on; what is written next must not mix with it."""
    file = Stuck(at)
    payload = IOBasePayload(file)
    async with anyio.create_task_group() as tasks:
        (await started(payload, file, tasks)).cancel()
    writer = Writer()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(payload.write, writer)
        await anyio.lowlevel.checkpoint()
        file.go.set()
    assert writer.body == BODY
    await payload.close()
    assert file.closed


async def test_close_does_not_wait_for_a_read_that_hangs() -> None:
    file = Stuck(1)
    payload = IOBasePayload(file)
    async with anyio.create_task_group() as tasks:
        (await started(payload, file, tasks)).cancel()
    await payload.close()
    assert not file.closed
    file.go.set()
    assert await to_thread.run_sync(file.left.wait, 10)
    assert file.closed


async def test_close_in_a_cancelled_scope_closes(path: Path) -> None:
    """DO-22: cleaning up after a cancelled request left the file open."""
    file = path.open("rb")
    payload = get_payload(file)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await payload.close()
    assert file.closed


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("kind", ["buffered", "path"])
async def test_cancelled_by_asyncio_itself(kind: str, path: Path) -> None:
    """anyio shields its threads from its own cancellation, not from asyncio's."""
    payload = get_payload(KINDS[kind](path))
    for steps in range(12):
        task = asyncio.create_task(payload.write(Writer()))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await written(payload) == BODY
    await payload.close()
