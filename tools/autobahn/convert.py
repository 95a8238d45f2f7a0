"""Convert the Autobahn test suite, code for Python 2.7, to Python 3.

    convert.py AUTOBAHNTESTSUITE.tar.gz AUTOBAHN.tar.gz DESTINATION

The first is the sdist of autobahntestsuite 25.10.1, the second that of autobahn 0.10.9, which the
test suite pins. The destination is a site-packages folder. It gets a package `autobahntestsuite`
(fuzzing client and server with all cases, not the WAMP and load tools) and a package `autobahn`
(its WebSocket part, with Twisted).

* The cases are written with Python 2's byte strings. Their source is read as latin-1, so each `str`
  in it holds one character per octet, and indexing, `chr`, `+`, `*` and `==` do what they did.
  Octets are made from such strings, and such strings from octets, in one place:
  `py3compat.Octets`, a mixin in front of autobahn's protocol class.
* lib2to3 does the syntax.
* `EDITS` is what is left. Each edit says how often it matches, so that other sdists fail here and
  not in a verdict.

Compared with the original on Python 2.7: 301 cases against a correct server and a correct client,
247 against a peer with faults, 38 of compression: the same verdicts, close codes and words.
"""

import re
import sys
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

warnings.simplefilter("ignore")
try:
    from lib2to3 import refactor
except ImportError:
    # Python 3.13 and newer have it no more.
    from fissix import refactor

SUITE: Final = "autobahntestsuite/"
AUTOBAHN: Final = "autobahn/"
LEFT_OUT: Final = re.compile(
    r"wamp|wsperf|massconnect|serializer|broadcast|echo|testdb|testrun"
    r"|r?interfaces|util|case/case9_9_1|web/(?!fuzzingserver)"
)
TAKEN: Final = re.compile(
    r"(__init__|util|_logging|twisted/(__init__|websocket|util)|websocket/\w+)\.py$"
)
_FIXED: Final = (
    "except",
    "has_key",
    "import",
    "numliterals",
    "print",
    "raise",
    "unicode",
    "xrange",
)
FIXERS: Final = [f"{refactor.__package__}.fixes.fix_{name}" for name in _FIXED]

_COMPAT: Final = r'''
"""Python 2 byte strings as latin-1 text, for the converted test suite."""
import binascii
import os


def octets(x):
    return x.encode("latin-1") if isinstance(x, str) else x


def text(x):
    return x if isinstance(x, str) or x is None else bytes(x).decode("latin-1")


def display(x):
    return octets(x).decode("utf8", "replace")


def b2a_hex(x):
    return binascii.b2a_hex(octets(x)).decode("ascii")


def binLogData(data, maxlen=64):
    data = octets(data)
    cut = len(data) > maxlen - 4
    return b2a_hex(data[:maxlen] if cut else data) + (" ..." if cut else "")


def asciiLogData(data, maxlen=64, replace=False):
    data = octets(data)
    cut = data[:maxlen] + b" ..." if len(data) > maxlen - 4 else data
    try:
        return cut.decode("utf8", "replace" if replace else "strict")
    except UnicodeDecodeError:
        return "0x" + binLogData(data, maxlen)


def resource_filename(package, path):
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), path)


class Octets:
    """In front of autobahn's WebSocketProtocol: what the cases send as text
    goes out as octets."""

    def sendFrame(self, opcode, payload=b"", *args, **kw):
        super().sendFrame(opcode, octets(payload), *args, **kw)

    def sendMessage(self, payload, *args, **kw):
        super().sendMessage(octets(payload), *args, **kw)

    def sendMessageFrameData(self, payload, *args, **kw):
        return super().sendMessageFrameData(octets(payload), *args, **kw)

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        super().sendCloseFrame(code, octets(reasonUtf8), isReply)
'''

_TXAIO: Final = '''
"""The three functions of txaio that autobahn.websocket uses."""
from twisted.internet.defer import Deferred as create_future


def resolve(future, value):
    future.callback(value)


def call_later(delay, fun, *args, **kw):
    from twisted.internet import reactor
    return reactor.callLater(delay, fun, *args, **kw)
'''

_INIT: Final = """
from ._version import __version__
version = __version__
from . import choosereactor  # must stay the first: it installs the reactor
"""

#: Modules that are ours.
OURS: Final = {
    "autobahntestsuite/__init__.py": _INIT,
    "autobahntestsuite/py3compat.py": _COMPAT,
    "autobahn/_txaio.py": _TXAIO,
}
_LISTEN: Final = "listenWS(factory, sslContext, interface = '127.0.0.1')"
#: What lib2to3 leaves: by file, pattern, replacement and number of matches.
EDITS: Final = {
    "autobahntestsuite/fuzzing.py": [
        # Names that were modules or functions over byte strings.
        (
            r"(?s)def binLogData.*?(?=class FuzzingProtocol)",
            "from .py3compat import binLogData, asciiLogData, b2a_hex, display, text, Octets\n\n",
            1,
        ),
        (r"(self\.Case|CCase)\.DESCRIPTION", r"display(\g<0>)", 2),
        (r"binascii\.b2a_hex", "b2a_hex", 3),
        (r"''\.join\(payload\)", "b''.join(payload)", 1),
        (r"pkg_resources$", "sys", 1),
        (r"pkg_resources\.resource_filename", "py3compat.resource_filename", 1),
        (r"from \.case import Case,", r"from . import py3compat\n\g<0>", 1),
        # Octets in and out.
        (r"class FuzzingProtocol:", "class FuzzingProtocol(Octets):", 1),
        (r"self\.runCase\.on(Message|Pong)\((msg|payload)", r"self.runCase.on\1(text(\2)", 2),
        (r"self\.http_(request|response)_data if", r"text(\g<0>", 2),
        (r"text\(self\.http_(\w+)_data if", r"text(self.http_\1_data) if", 2),
        (r"json\.dumps\((res|case), ", r"json.dumps(\1, default = text, ", 2),
        (
            r"report_filename\), 'w'\)",
            "report_filename), 'w', encoding = 'utf-8', errors = 'replace')",
            4,
        ),
        (r"\.encode\([\"']utf-?8[\"']\)\)", ")", 2),
        # No pyOpenSSL: only ws://, and only the loopback.
        (r"from twisted\.internet import reactor, ssl", "from twisted.internet import reactor", 1),
        (r"self\.contextFactory = ssl\.ClientContextFactory\(\)", "self.contextFactory = None", 1),
        (r"listenWS\(factory, sslContext\)", _LISTEN, 1),
    ],
    "autobahntestsuite/testee.py": [(r"listenWS\(factory, sslContext\)", _LISTEN, 1)],
    # Only the modes that are here.
    "autobahntestsuite/wstest.py": [
        (r"(?m)^(from \. )?import (echo|broadcast|massconnect|serializer)$", "", 4),
        (r", pkg_resources$", "", 1),
    ],
    # Not the report of the WAMP tests, which needs jinja2.
    "autobahntestsuite/report.py": [
        (r"^import jinja2$", "", 1),
        (r"(?s)^REPORT_DIR_PERMISSIONS.*", "", 1),
    ],
    # Equal events, and not equal pickles, which depend on object identity.
    "autobahntestsuite/case/case.py": [
        (r"pickle\.dumps\(obj1\) == pickle\.dumps\(obj2\)", "obj1 == obj2", 1),
    ],
    # That case is in no list.
    "autobahntestsuite/case/__init__.py": [(r"^from case9_9_1 import \*$", "", 1)],
    "autobahntestsuite/case/case10_1_1.py": [
        (r"len\(self\.payload\) / ", "len(self.payload) // ", 1)
    ],
    "autobahntestsuite/case/case12_x_x.py": [
        (r", pkg_resources, ", ", ", 1),
        (
            r"from autobahn\.websocket\.compress import \*",
            r"\g<0>\nfrom .. import py3compat as pkg_resources",
            1,
        ),
        (
            r"(def onMessage\(self, msg, binary\):\n)",
            r"\1   msg = pkg_resources.octets(msg)\n",
            1,
        ),
        (r"msg = ''", "msg = payload[:0]", 1),
    ],
    "autobahntestsuite/case/case6_x_x.py": [
        (r"v\.validate\(vss\[:i\]\)", "v.validate(binascii.octets(vss[:i]))", 1),
    ],
    # autobahn 0.10.9 ran on Python 3, but for these.
    "autobahn/websocket/protocol.py": [
        (r"range\(payload_len / len\(payload\)\)", "range(payload_len // len(payload))", 1),
        # Python 2's decoder took surrogates: case 7.5.1 echoed.
        (r"reasonRaw\.decode\('utf8'\)", "reasonRaw.decode('utf8', 'replace')", 1),
        (r"(?m)^import txaio$", "from autobahn import _txaio as txaio", 1),
    ],
    "autobahn/twisted/websocket.py": [
        (r"(?m)^from autobahn\.wamp import websocket$", "", 1),
        (r"(?s)class WampWebSocketServerProtocol\(.*", "", 1),
        (r"    'WampWebSocket\w+',\n", "", 4),
    ],
}
#: In all files of the test suite, any number of times.
EVERYWHERE: Final = [(r"\(object, Case, \)", "(Case, )")]
#: In all files of its cases.
CASES: Final = [
    (r"(?m)^import binascii$", "from .. import py3compat as binascii"),
    (r"(?m)^(import [\w, ]*?), binascii$", r"\1\nfrom .. import py3compat as binascii"),
    (r"binascii\.hexlify", "binascii.b2a_hex"),
]


def members(path: str) -> Iterator[tuple[str, bytes]]:
    """Give the files of an sdist: name below its folder, and content."""
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                yield member.name.partition("/")[2], file.read()


def chosen(testsuite: str, autobahn: str) -> dict[str, bytes]:
    """Return the files that are converted, ours with them."""
    sources = {
        name: data
        for name, data in members(testsuite)
        if name.startswith(SUITE) and not LEFT_OUT.match(name, len(SUITE))
    }
    sources |= {
        name: data
        for name, data in members(autobahn)
        if name.startswith(AUTOBAHN) and TAKEN.match(name, len(AUTOBAHN))
    }
    return sources | {name: text.encode() for name, text in OURS.items()}


def converted(name: str, data: bytes, path: Path, tool: refactor.RefactoringTool) -> str:
    """Return the Python 3 of one file.

    Raises:
        ValueError: It is not the file that the edits were made for.
    """
    source = data.decode("utf-8" if name.startswith(AUTOBAHN) else "latin-1").replace("\r\n", "\n")
    if name.startswith(SUITE) and name not in OURS:
        source = str(tool.refactor_string(source.rstrip() + "\n", str(path)))
        for pattern, new in EVERYWHERE + (CASES if "/case/" in name else []):
            source = re.sub(pattern, new, source)
    for pattern, new, expected in EDITS.get(name, []):
        source, matches = re.subn(pattern, new, source, flags=re.MULTILINE)
        if matches != expected:
            raise ValueError(f"{name}: {pattern!r} matched {matches} times, not {expected}")
    return source


def main(testsuite: str, autobahn: str, destination: str) -> None:
    """Write the two packages."""
    sources = chosen(testsuite, autobahn)
    if missing := EDITS.keys() - sources.keys():
        raise ValueError(f"no such files: {sorted(missing)}")
    paths = {name: Path(destination, name) for name in sources}
    for name, path in paths.items():  # all of them first: lib2to3 looks for neighbours on disk
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sources[name])
    tool = refactor.RefactoringTool(FIXERS)
    for name, path in paths.items():
        if path.suffix == ".py":
            path.write_text(converted(name, sources[name], path, tool), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
