"""A directory whose files are answers."""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from yarl import URL

from httpcore_proto import hdrs

from ._exceptions import HTTPForbidden, HTTPNotFound, HTTPServiceUnavailable
from ._file_response import FileResponse, accepted_codings
from ._file_threads import in_thread
from ._http_exception import HTTPException
from ._open_file import OpenFile, open_variant, refusal
from ._resources import PrefixResource
from ._response import Response
from ._routes import ResourceRoute

if TYPE_CHECKING:
    from ._abc import AnyHandler, ExpectHandler
    from ._request import Request
    from ._stream_response import StreamResponse

_REFUSALS: Final[dict[int, type[HTTPException]]] = {
    403: HTTPForbidden,
    404: HTTPNotFound,
    503: HTTPServiceUnavailable,
}
# What no name below a root has: it is absolute, on another drive, or would be taken apart
# elsewhere than we do. Windows has more names of the kind: `file::$DATA`.
_FOREIGN: Final = re.compile(r"/|[A-Za-z]:|[^\\]*[\\\0]" + ("|.*:" if os.name == "nt" else ""))
# Versions by what tells one state of one file from another. A page has fewer files by far.
_MAX_VERSIONS: Final = 4096
_versions: dict[tuple[int, ...], str] = {}
# What may stand unencoded in a path: RFC 3986 pchar, and the slash.
_SAFE_IN_PATH: Final = "/!$&'()*+,;=:@"


class StaticResource(PrefixResource):
    """A directory, and the files below it, for GET and HEAD.

    A file is answered as `FileResponse` does. 404 is the answer to what is not there or is
    not to be found here: names with `..`, even where that would not lead out, with a
    backslash or a NUL, absolute ones, and links that lead out; 403 to what may not be read,
    and to what is neither a file nor a directory. Files are looked for in a worker thread.

    `match_info["filename"]` is the rest of the path, decoded. It is what the client sent:
    nothing is checked in it.

    Args:
        prefix: The path, percent-encoded or not; slashes at its end do not count.
        directory: Where the files are; `~` is expanded, symbolic links are resolved now.
        name: For `router[name]`.
        expect_handler: See `ResourceRoute`.
        chunk_size: See `FileResponse`.
        show_index: Whether a directory is answered with a list of what is in it; 403 if
            not.
        follow_symlinks: Whether symbolic links may lead out of the directory. Variants
            (`.br`, `.zst`, `.gz`) are never links.
        append_version: Whether `url_for` tells a version unless told otherwise.

    Raises:
        ValueError: There is no such directory, or the prefix does not begin with a slash.
    """

    __slots__ = ("_append_version", "_chunk_size", "_expect_handler", "_follow", "_root", "_shows")

    def __init__(
        self,
        prefix: str,
        directory: str | os.PathLike[str],
        *,
        name: str | None = None,
        expect_handler: ExpectHandler | None = None,
        chunk_size: int = 2**18,
        show_index: bool = False,
        follow_symlinks: bool = False,
        append_version: bool = False,
    ) -> None:
        super().__init__(prefix, name=name)
        try:
            root = Path(directory).expanduser().resolve(strict=True)
        except (OSError, RuntimeError) as exc:
            raise ValueError(f"{os.fspath(directory)!r} does not exist: {exc}") from exc
        if not root.is_dir():
            raise ValueError(f"{os.fspath(directory)!r} is not a directory")
        self._root = root
        self._expect_handler = expect_handler
        self._chunk_size = chunk_size
        self._shows = show_index
        self._follow = follow_symlinks
        self._append_version = append_version
        for method in (hdrs.METH_GET, hdrs.METH_HEAD):
            self._add(method, self._handle)

    def _add(self, method: str, handler: AnyHandler) -> None:
        self.register_route(
            ResourceRoute(method, handler, self, expect_handler=self._expect_handler)
        )

    def set_options_route(self, handler: AnyHandler) -> None:
        """Register a handler for OPTIONS.

        Raises:
            TypeError: It is no coroutine function.
            RuntimeError: There is one.
        """
        self._add(hdrs.METH_OPTIONS, handler)

    def match(self, path: str) -> Mapping[str, str] | None:
        """Compare whole segments; the rest, decoded, is the `filename`."""
        if super().match(path) is None:
            return None
        return {"filename": unquote(path[len(self._prefix) + 1 :])}

    def get_info(self) -> dict[str, Any]:
        """Return the `directory`, the `prefix` as `canonical`, and the `routes` by method."""
        return {"directory": self._root, "prefix": self.canonical, "routes": self.routes}

    def url_for(  # type: ignore[override]
        self, *, filename: str | os.PathLike[str], append_version: bool | None = None
    ) -> URL:
        """Return the URL of a file.

        Args:
            filename: Relative to the directory; not encoded.
            append_version: Whether to add `?v=`, a hash of the content, so that a changed
                file has another URL; None as the resource does. The file is read for
                that here and now, if it was not read since it changed. What is no file in
                the directory has no version.
        """
        name = os.fspath(filename).lstrip("/")
        url = URL.build(path=f"{self.canonical}/{_quoted(name)}", encoded=True)
        if self._append_version if append_version is None else append_version:
            version = self._version(name)
            if version is not None:
                return url.with_query(v=version)
        return url

    def _version(self, name: str) -> str | None:
        try:
            with OpenFile(self._locate(name)[0], follow=self._follow) as file:
                return _version_of(file)
        except (OSError, ValueError):
            return None

    async def _handle(self, request: Request) -> StreamResponse:
        name = request.match_info["filename"]
        try:
            found = await in_thread(self._find, name, accepted_codings(request))
        except (OSError, ValueError) as exc:
            error = _REFUSALS[refusal(exc)]()
        else:
            if isinstance(found, str):
                return Response(text=found, content_type="text/html")
            return FileResponse.of_open_file(name, found, self._chunk_size)
        raise error

    # In a worker thread.

    def _find(self, name: str, accept_encoding: str | None) -> OpenFile | str:
        """Open a file, or list a directory."""
        path, mode = self._locate(name)
        if stat.S_ISDIR(mode):
            if not self._shows:
                raise PermissionError(f"{path!r} is a directory")
            return self._index(path)
        if name.endswith("/"):
            raise FileNotFoundError(f"{path!r} is not a directory")
        is_file = stat.S_ISREG(mode)
        return open_variant(path, accept_encoding, follow=self._follow, checked=is_file)

    def _locate(self, name: str) -> tuple[str, int]:
        """Return the path of a file, resolved unless links may lead anywhere, and its mode.

        The mode is 0 if there is no file of that name: there may be a variant.

        Raises:
            FileNotFoundError: It is not below the root.
            OSError: It is not there.
        """
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if _FOREIGN.match(name) or ".." in parts:
            raise FileNotFoundError(f"{name!r} leads elsewhere")
        root = str(self._root)
        if self._follow:
            path = os.path.join(root, *parts)
            return path, _mode(path)
        path, mode = root, stat.S_IFDIR
        for part in parts:
            if not mode:
                raise FileNotFoundError(f"{path!r} does not exist")
            path = os.path.join(path, part)
            mode = _mode(path, follow=False)
            if stat.S_ISLNK(mode):
                path = os.path.realpath(os.path.join(root, *parts), strict=True)
                if os.path.commonpath((root, path)) != root:
                    raise FileNotFoundError(f"{name!r} leads out of the directory")
                return path, _mode(path, follow=False)
        return path, mode

    def _index(self, path: str) -> str:
        """Return a directory as HTML."""
        here = os.path.relpath(path, self._root).replace(os.sep, "/")
        here = "/" if here == "." else f"/{here}/"
        with os.scandir(path) as entries:
            names = sorted(
                entry.name + ("/" if entry.is_dir(follow_symlinks=self._follow) else "")
                for entry in entries
            )
        title = f"Index of {_shown(here)}"
        items = "".join(
            f'<li><a href="{html.escape(self.canonical + _quoted(here + name))}">'
            f"{_shown(name)}</a></li>\n"
            for name in names
        )
        return (
            "<!DOCTYPE html>\n"
            f'<html>\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n</head>\n'
            f"<body>\n<h1>{title}</h1>\n<ul>\n{items}</ul>\n</body>\n</html>\n"
        )

    def __repr__(self) -> str:
        name = "" if self.name is None else f"{self.name!r} "
        return f"<StaticResource {name}{self.canonical} -> {str(self._root)!r}>"


def _mode(path: str, *, follow: bool = True) -> int:
    try:
        return os.stat(path, follow_symlinks=follow).st_mode
    except FileNotFoundError:
        return 0


def _quoted(path: str) -> str:
    # Names in another encoding than the file system's have no characters.
    return quote(os.fsencode(path), safe=_SAFE_IN_PATH)


def _shown(path: str) -> str:
    return html.escape(os.fsencode(path).decode("utf-8", "replace"))


def _version_of(file: OpenFile) -> str:
    """Return a hash of the content, that of the last time if the file is still the same."""
    facts = file.facts
    key = (facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size)
    version = _versions.get(key)
    if version is None:
        if len(_versions) >= _MAX_VERSIONS:
            _versions.clear()
        # FileIO has what is asked of it, whatever its type says.
        digest = hashlib.file_digest(file, "sha256").digest()
        version = _versions[key] = base64.urlsafe_b64encode(digest).decode()
    return version
