from __future__ import annotations

import base64
import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from yarl import URL

import httpserver as web


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """`public` is what is served; what is beside it is not to be seen."""
    root = tmp_path / "public"
    (root / "dir" / "deep").mkdir(parents=True)
    (root / "file.txt").write_text("file")
    (root / "dir" / "inner.txt").write_text("inner")
    (root / "a b%2e.txt").write_text("odd name")
    (root / "ü.txt").write_text("umlaut")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "public-not").mkdir()
    (tmp_path / "public-not" / "secret.txt").write_text("secret")
    return root


def application(root: Path, prefix: str = "/static", **kwargs: Any) -> web.Application:
    app = web.Application()
    app.router.add_static(prefix, root, **kwargs)
    return app


def asks(target: str, *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: a", *lines, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("/static/file.txt", "file"),
        ("/static/dir/inner.txt", "inner"),
        ("/static/dir%2Finner.txt", "inner"),
        ("/static/dir//inner.txt", "inner"),
        ("/static/./file.txt", "file"),
        ("/static/a%20b%252e.txt", "odd name"),
        ("/static/%C3%BC.txt", "umlaut"),
        ("/st%61tic/file.txt?v=1", "file"),
    ],
)
@pytest.mark.parametrize("follow_symlinks", [False, True])
async def test_file(serve: Any, root: Path, target: str, text: str, follow_symlinks: bool) -> None:
    async with serve(application(root, follow_symlinks=follow_symlinks)) as origin:
        answer = await origin.ask(asks(target))

    assert (answer.status, answer.text) == (200, text)
    assert answer.headers["Content-Type"] == "text/plain"


@pytest.mark.parametrize("prefix", ["", "/", "/static/", "/st%61tic", "/a/b c"])
async def test_prefix(serve: Any, root: Path, prefix: str) -> None:
    app = application(root, prefix, name="files")
    url = app.router["files"].url_for(filename="dir/inner.txt")
    async with serve(app) as origin:
        answer = await origin.ask(asks(str(url)))

    assert answer.text == "inner"


async def test_head_range_and_conditions(serve: Any, root: Path) -> None:
    async with serve(application(root)) as origin:
        head = await origin.ask(asks("/static/file.txt", method="HEAD"), bodiless=True)
        part = await origin.ask(asks("/static/file.txt", "Range: bytes=1-2"))
        same = await origin.ask(asks("/static/file.txt", f"If-None-Match: {head.headers['ETag']}"))

    assert (head.status, head.headers["Content-Length"]) == (200, "4")
    assert (part.status, part.text) == (206, "il")
    assert same.status == 304


async def test_large_file(serve: Any, root: Path) -> None:
    (root / "large").write_bytes(os.urandom(2**20))
    async with serve(application(root, chunk_size=1000)) as origin:
        answer = await origin.ask(asks("/static/large"))

    assert answer.body == (root / "large").read_bytes()


_OUTSIDE = [
    "/static/missing.txt",
    "/static/dir/missing/inner.txt",
    "/static/file.txt/",
    "/static/file.txt/below",
    "/staticfile.txt",
    "/static-not/secret.txt",
    "/static/../secret.txt",
    "/static/..",
    "/static/../",
    "/static/../public/file.txt",
    "/static/../public-not/secret.txt",
    "/static/dir/../file.txt",
    "/static/dir/../../secret.txt",
    "/static/%2e%2e/secret.txt",
    "/static/%2E./secret.txt",
    "/static/..%2fsecret.txt",
    "/static/..%2Fpublic%2Ffile.txt",
    "/static/dir%2f..%2f..%2fsecret.txt",
    "/static/%252e%252e/secret.txt",
    "/static/..%252fsecret.txt",
    "/static/..%5csecret.txt",
    "/static/..\\secret.txt",
    "/static/dir%5cinner.txt",
    "/static/..%c0%afsecret.txt",
    "/static/%c0%ae%c0%ae/secret.txt",
    "/static//etc/passwd",
    "/static/%2Fetc/passwd",
    "/static//" + "{root}/file.txt",
    "/static/C:/file.txt",
    "/static/c:file.txt",
    "/static/file.txt%00",
    "/static/%00",
    "/static/file.txt%00.html",
    "/static/" + "a" * 300,
    "/static/" + "a/" * 2500,
    "/static/%ff.txt",
    "/static/%ed%a0%80",
    "/static/...",
    "/static/~root",
]


@pytest.mark.parametrize("target", _OUTSIDE)
@pytest.mark.parametrize(("follow_symlinks", "show_index"), [(False, True), (True, False)])
async def test_what_is_not_to_be_found(
    serve: Any, root: Path, target: str, follow_symlinks: bool, show_index: bool
) -> None:
    """Outside of the root there is nothing, and nobody learns what the root is called."""
    # What would be found, were the name taken as it is.
    for name in ("etc/passwd", "C:/file.txt", "c:file.txt", "..\\secret.txt", "dir\\inner.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("odd name")
    app = application(root, follow_symlinks=follow_symlinks, show_index=show_index)
    async with serve(app) as origin:
        peer = await origin.connect()
        await peer.send(asks(target.replace("{root}", str(root))))
        answer = await peer.answer()
        await peer.send(asks("/static/file.txt"))
        assert (await peer.answer()).text == "file"

    assert answer.status == 404
    assert str(root) not in answer.text


@pytest.mark.parametrize(
    ("link", "to", "strict", "following"),
    [
        ("inside.txt", "file.txt", 200, 200),
        ("absolute.txt", "{root}/file.txt", 200, 200),
        ("outside.txt", "../secret.txt", 404, 200),
        ("sibling.txt", "../public-not/secret.txt", 404, 200),
        ("loop", "loop", 404, 404),
        ("dangling", "nowhere", 404, 404),
        ("by-way-of", "out/public/file.txt", 200, 200),
    ],
)
async def test_symlink(
    serve: Any, root: Path, link: str, to: str, strict: int, following: int
) -> None:
    (root / "out").symlink_to("..")
    (root / link).symlink_to(to.replace("{root}", str(root)))
    statuses = []
    for follow_symlinks in (False, True):
        async with serve(application(root, follow_symlinks=follow_symlinks)) as origin:
            statuses.append((await origin.ask(asks(f"/static/{link}"))).status)

    assert statuses == [strict, following]


@pytest.mark.parametrize(("follow_symlinks", "status"), [(False, 404), (True, 200)])
async def test_symlink_to_a_directory(
    serve: Any, root: Path, follow_symlinks: bool, status: int
) -> None:
    (root / "out").symlink_to("../public-not")
    app = application(root, follow_symlinks=follow_symlinks, show_index=True)
    async with serve(app) as origin:
        file = await origin.ask(asks("/static/out/secret.txt"))
        index = await origin.ask(asks("/static/out"))
        root_index = await origin.ask(asks("/static/"))

    assert (file.status, index.status) == (status, status)
    assert root_index.status == 200


async def test_root_that_is_a_symlink(serve: Any, root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    async with serve(application(link)) as origin:
        answer = await origin.ask(asks("/static/file.txt"))

    assert answer.text == "file"


async def test_variants_pass_the_same_check(serve: Any, root: Path) -> None:
    """A compressed variant that was a link served any file of the machine (FS-03)."""
    (root / "file.txt.gz").symlink_to("../secret.txt")
    (root / "dir" / "inner.txt.gz").write_bytes(b"inner.gz")
    (root / "only.txt.br").write_bytes(b"only.br")
    accepts = "Accept-Encoding: gzip, br"
    for follow_symlinks in (False, True):
        async with serve(application(root, follow_symlinks=follow_symlinks)) as origin:
            linked = await origin.ask(asks("/static/file.txt", accepts))
            variant = await origin.ask(asks("/static/dir/inner.txt", accepts))
            only = await origin.ask(asks("/static/only.txt", accepts))
            without = await origin.ask(asks("/static/only.txt"))

        assert (linked.text, "Vary" in linked.headers) == ("file", False)
        assert (variant.text, variant.headers["Content-Encoding"]) == ("inner.gz", "gzip")
        assert variant.headers["Content-Type"] == "text/plain"
        assert only.text == "only.br"
        assert without.status == 404


@pytest.mark.parametrize(("name", "status"), [("file.txt", 404), ("file.txt.gz", 200)])
async def test_link_put_in_place_of_a_file_that_was_checked(
    serve: Any, root: Path, monkeypatch: pytest.MonkeyPatch, name: str, status: int
) -> None:
    (root / "file.txt.gz").write_bytes(b"gz")
    checked = root / name
    real = os.open

    def replace_then_open(path: str, *args: Any, **kwargs: Any) -> int:
        if str(path) == str(checked):
            checked.unlink()
            checked.symlink_to("../secret.txt")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", replace_then_open)
    async with serve(application(root)) as origin:
        lines = ["Accept-Encoding: gzip"] if checked.suffix == ".gz" else []
        answer = await origin.ask(asks("/static/file.txt", *lines))

    assert answer.status == status
    assert answer.text != "secret"


@pytest.mark.parametrize(
    ("method", "status"), [("POST", 405), ("PUT", 405), ("DELETE", 405), ("OPTIONS", 405)]
)
async def test_other_methods(serve: Any, root: Path, method: str, status: int) -> None:
    async with serve(application(root)) as origin:
        answer = await origin.ask(asks("/static/file.txt", "Content-Length: 0", method=method))

    assert answer.status == status
    assert answer.headers["Allow"] == "GET,HEAD"


async def test_options_route(serve: Any, root: Path) -> None:
    async def options(request: web.Request) -> web.StreamResponse:
        return web.Response(text=request.match_info["filename"])

    app = web.Application()
    resource = app.router.add_static("/static", root)
    resource.set_options_route(options)
    with pytest.raises(RuntimeError):
        resource.set_options_route(options)
    async with serve(app) as origin:
        answer = await origin.ask(asks("/static/a%2Fb%25", method="OPTIONS"))

    assert answer.text == "a/b%"


async def test_pipe_and_what_may_not_be_read(
    serve: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(root / "pipe")
    real = os.open

    def refuse(name: str, *args: Any, **kwargs: Any) -> int:
        if str(name) == str(root / "file.txt"):
            raise PermissionError(errno.EACCES, "Permission denied")
        if str(name) == str(root / "dir" / "inner.txt"):
            raise OSError(errno.EMFILE, "Too many open files")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    async with serve(application(root)) as origin:
        pipe = await origin.ask(asks("/static/pipe"))
        unreadable = await origin.ask(asks("/static/file.txt"))
        no_descriptor = await origin.ask(asks("/static/dir/inner.txt"))

    assert (pipe.status, unreadable.status, no_descriptor.status) == (403, 403, 503)


async def test_middleware_sees_the_refusal(serve: Any, root: Path) -> None:
    async def page(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await handler(request)
        except web.HTTPNotFound:
            return web.Response(text="nothing here", status=404)
        response.headers["X"] = "1"
        return response

    app = web.Application(middlewares=[web.middleware(page)])
    app.router.add_static("/static", root)
    async with serve(app) as origin:
        missing = await origin.ask(asks("/static/missing"))
        there = await origin.ask(asks("/static/file.txt"))

    assert missing.text == "nothing here"
    assert (there.text, there.headers["X"]) == ("file", "1")


async def test_response_that_is_dropped_closes_its_file(serve: Any, root: Path) -> None:
    async def replace(request: web.Request, handler: Any) -> web.StreamResponse:
        await handler(request)
        return web.Response(text="mine")

    app = web.Application(middlewares=[web.middleware(replace)])
    app.router.add_static("/static", root)
    async with serve(app) as origin:
        answer = await origin.ask(asks("/static/file.txt"))

        with anyio.fail_after(10):
            while list(_open_below(root)):  # the thread that opened lets go of it last
                await anyio.lowlevel.checkpoint()

    assert answer.text == "mine"


def _open_below(root: Path) -> Iterator[str]:
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        if target.startswith(str(root)):
            yield target


# Indexes.


@pytest.mark.parametrize("target", ["/static", "/static/", "/static/dir", "/static/dir/"])
async def test_directory_is_forbidden(serve: Any, root: Path, target: str) -> None:
    async with serve(application(root)) as origin:
        answer = await origin.ask(asks(target))

    assert answer.status == 403
    assert str(root) not in answer.text


async def test_index(serve: Any, root: Path) -> None:
    async with serve(application(root, "/st ätic", show_index=True)) as origin:
        answer = await origin.ask(asks("/st%20%C3%A4tic"))
        inner = await origin.ask(asks("/st%20%C3%A4tic/dir/"))
        head = await origin.ask(asks("/st%20%C3%A4tic/", method="HEAD"), bodiless=True)

    prefix = "/st%20%C3%A4tic"
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<h1>Index of /</h1>" in answer.text
    items = [line for line in answer.text.splitlines() if line.startswith("<li>")]
    assert items == [
        f'<li><a href="{prefix}/a%20b%252e.txt">a b%2e.txt</a></li>',
        f'<li><a href="{prefix}/dir/">dir/</a></li>',
        f'<li><a href="{prefix}/file.txt">file.txt</a></li>',
        f'<li><a href="{prefix}/%C3%BC.txt">ü.txt</a></li>',
    ]
    assert "<h1>Index of /dir/</h1>" in inner.text
    assert f'<a href="{prefix}/dir/inner.txt">inner.txt</a>' in inner.text
    assert f'<a href="{prefix}/dir/deep/">deep/</a>' in inner.text
    assert head.headers["Content-Length"] == str(len(answer.body))


async def test_names_in_an_index_are_escaped(serve: Any, root: Path) -> None:
    """File names are what uploaders choose: markup in them ran in the visitor's browser."""
    evil = "<img src=x onerror=alert(1)>\"'&"
    (root / "dir" / evil).mkdir()
    (root / "dir" / evil / "x").touch()
    (root / os.fsdecode(b"\xff.txt")).touch()
    async with serve(application(root, show_index=True)) as origin:
        top = await origin.ask(asks("/static/"))
        index = await origin.ask(asks("/static/dir/"))
        href = index.text.partition('href="')[2].partition('">&lt;')[0].rpartition('href="')[2]
        inside = await origin.ask(asks(href.replace("&#x27;", "'").replace("&amp;", "&")))

    for answer in (index, inside):
        assert "<img" not in answer.text
        assert "&lt;img src=x onerror=alert(1)&gt;&quot;&#x27;&amp;" in answer.text
    assert inside.status == 200
    assert '<a href="/static/%FF.txt">\ufffd.txt</a>' in top.text


async def test_directory_that_may_not_be_read(
    serve: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    async with serve(application(root, show_index=True)) as origin:
        answer = await origin.ask(asks("/static/dir"))

    assert answer.status == 403


async def test_directories_are_listed_in_threads(
    serve: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    real = os.scandir

    def scandir(path: str) -> Any:
        threads.append(threading.current_thread())
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    async with serve(application(root, show_index=True)) as origin:
        answer = await origin.ask(asks("/static/dir"))

    assert answer.status == 200
    assert threads
    assert threading.current_thread() not in threads


# Registration and URLs.


def test_directory_that_is_none(root: Path) -> None:
    app = web.Application()
    for directory in (root / "missing", root / "file.txt", "~no-such-user-here"):
        with pytest.raises(ValueError, match=r"does not exist|is not a directory"):
            app.router.add_static("/static", directory)
    with pytest.raises(ValueError, match="prefix"):
        app.router.add_static("static", root)


def test_home_is_expanded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root))
    resource = web.Application().router.add_static("/static", "~/dir", name="files")

    assert resource.get_info() == {
        "directory": root / "dir",
        "prefix": "/static",
        "routes": resource.routes,
    }
    assert set(resource.routes) == {"GET", "HEAD"}
    assert repr(resource) == f"<StaticResource 'files' /static -> '{root / 'dir'}'>"


@pytest.mark.parametrize(
    ("filename", "path"),
    [
        ("file.txt", "/static/file.txt"),
        ("/file.txt", "/static/file.txt"),
        (Path("dir") / "inner.txt", "/static/dir/inner.txt"),
        ("a b%2e.txt", "/static/a%20b%252e.txt"),
        ("ü?#.txt", "/static/%C3%BC%3F%23.txt"),
    ],
)
def test_url(root: Path, filename: str | Path, path: str) -> None:
    resource = web.Application().router.add_static("/static", root)

    assert resource.url_for(filename=filename) == URL(path, encoded=True)


def test_whole_segments_match(root: Path) -> None:
    resource = web.Application().router.add_static("/static", root)

    assert resource.match("/staticfile.txt") is None
    assert resource.match("/static") == {"filename": ""}
    assert resource.match("/static/a%2Fb%25") == {"filename": "a/b%"}


@pytest.mark.parametrize("follow_symlinks", [False, True])
def test_url_with_version(root: Path, follow_symlinks: bool) -> None:
    (root / "out.txt").symlink_to("../secret.txt")
    resource = web.Application().router.add_static(
        "/static", root, append_version=True, follow_symlinks=follow_symlinks
    )

    def version(text: str) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()

    assert resource.url_for(filename="file.txt").query == {"v": version("file")}
    assert resource.url_for(filename="file.txt", append_version=False).query_string == ""
    (root / "file.txt").write_text("changed")
    assert resource.url_for(filename="file.txt").query == {"v": version("changed")}
    for name in ("missing", "dir", "../secret.txt", "nul\0", ""):
        assert not resource.url_for(filename=name).query_string
    out = resource.url_for(filename="out.txt").query
    assert out == ({"v": version("secret")} if follow_symlinks else {})


def test_version_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = web.Application().router.add_static("/static", root)
    (root / "file.txt").write_text("read once")
    hashed = []
    real = hashlib.file_digest

    def file_digest(file: Any, name: str) -> Any:
        hashed.append(name)
        return real(file, name)

    monkeypatch.setattr(hashlib, "file_digest", file_digest)
    first = resource.url_for(filename="file.txt", append_version=True)
    assert resource.url_for(filename="file.txt", append_version=True) == first
    assert hashed == ["sha256"]


def test_versions_are_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from httpserver import _static

    monkeypatch.setattr(_static, "_MAX_VERSIONS", 2)
    resource = web.Application().router.add_static("/static", root)
    for name in ("file.txt", "dir/inner.txt", "ü.txt"):
        assert resource.url_for(filename=name, append_version=True).query_string
        assert len(_static._versions) <= 2


async def test_in_a_sub_application(serve: Any, root: Path) -> None:
    sub = web.Application()
    resource = sub.router.add_static("/static", root, show_index=True)
    app = web.Application()
    app.add_subapp("/sub", sub)
    async with serve(app) as origin:
        answer = await origin.ask(asks("/sub/static/file.txt"))
        index = await origin.ask(asks("/sub/static/"))

    assert answer.text == "file"
    assert str(resource.url_for(filename="x")) == "/sub/static/x"
    assert 'href="/sub/static/file.txt"' in index.text


async def test_expect_handler(serve: Any, root: Path) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(text="no", status=417)

    async with serve(application(root, expect_handler=refuse)) as origin:
        answer = await origin.ask(asks("/static/file.txt", "Expect: x"))

    assert (answer.status, answer.text) == (417, "no")
