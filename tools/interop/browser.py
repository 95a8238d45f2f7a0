"""Check that Chromium can seek in a recording that our server has in a folder."""

import random
import re
import struct
from pathlib import Path
from typing import Any

from .programs import OurServer, running, wait_for

PAGE = Path(__file__).with_name("page.html")

_RATE = 44_100
_SECONDS = 180  # 32 MB: more than Chromium loads before it seeks

# Chromium as a program that does what it is told, for root in a container too.
_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-port=0",  # or it would end when it has loaded the page
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # it shall call nobody else
]


def make_files(folder: Path) -> None:
    """Write the page and three minutes of noise, of which no two parts are equal."""
    samples = random.Random(0).randbytes(_RATE * 2 * 2 * _SECONDS)
    sound = struct.pack("<HHIIHH", 1, 2, _RATE, _RATE * 4, 4, 16)  # PCM, stereo, 16 bits
    chunks = b"WAVE" + _chunk(b"fmt ", sound) + _chunk(b"data", samples)
    (folder / "noise.wav").write_bytes(_chunk(b"RIFF", chunks))
    (folder / "page.html").write_bytes(PAGE.read_bytes())


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data


def check_seeking(server: OurServer, profile: Path) -> str:
    before = server.tell()["sendfiles"]
    command = ["chromium", *_OPTIONS, f"--user-data-dir={profile}"]
    if server.trusted is not None:
        command.append("--ignore-certificate-errors")

    def reported() -> dict[str, Any] | None:
        seen = server.tell()
        return seen if seen["report"] is not None else None

    with running([*command, f"{server.url}/static/page.html"], profile.with_suffix(".log")):
        seen = wait_for("report of the page", reported, 60)
    report = seen["report"]
    assert "error" not in report, report
    data = (server.folder / "noise.wav").read_bytes()
    for asked, part in report["parts"].items():
        first, last = re.fullmatch(r"bytes=([0-9]*)-([0-9]+)", asked).groups()  # type: ignore[union-attr]
        start, stop = (int(first), int(last) + 1) if first else (len(data) - int(last), len(data))
        wanted = f"bytes {start}-{stop - 1}/{len(data)}"
        assert (part["status"], part["contentRange"]) == (206, wanted), part
        assert bytes(part["bytes"]) == data[start:stop], part
    assert report["seekable"] == [0, _SECONDS], report
    assert report["seekedTo"] == _SECONDS - 0.5, report
    assert report["endedAt"] == _SECONDS, report
    files = [tuple(item) for item in seen["files"]]
    assert ("GET", "page.html", None, 200) in files, files
    media = [(asked, status) for _, name, asked, status in files if name == "noise.wav"]
    assert all(asked and status == 206 for asked, status in media), media
    last_start = max(int(asked[6:].partition("-")[0] or 0) for asked, _ in media)
    assert last_start > len(data) * 0.9, media
    calls = seen["sendfiles"] - before
    assert (calls == 0) == (server.trusted is not None), f"{calls} calls of sendfile"
    way = f"{calls} calls of sendfile" if calls else "read in threads"
    return f"{len(media)} ranges of noise.wav, the last from byte {last_start}; played; {way}"
