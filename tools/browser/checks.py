"""What a browser does with our WebSockets; each check says in a line what it saw."""

import json
import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.interop.programs import HOST, wait_for

from .chromium import Browser


@dataclass(frozen=True)
class Site:
    """The application under test.

    Attributes:
        scheme: `http` or `https`.
        port: Its port.
        trusted: The PEM file of the authority that it is certified by; None without TLS.
    """

    scheme: str
    port: int
    trusted: Path | None = None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"{self.scheme}://{HOST}:{self.port}/"

    def wait_for_end(self, name: str, code: int) -> None:
        """Wait until a WebSocket with this path, or reason, ended with this code.

        Raises:
            TimeoutError: None did in time.
        """
        context = ssl.create_default_context(cafile=self.trusted) if self.trusted else None
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

        def look() -> bool | None:
            with opener.open(f"{self.url}ended", timeout=10) as answer:
                return [name, code] in json.load(answer) or None

        wait_for(f"{name} with {code}", look)


def check_text(page: Browser, site: Site) -> str:
    texts = ["", "Hello, World!", "Grüße, \u4e16\u754c, \U0001f388, \0", "é" * 70_000]
    script = """
    const ws = await connect("echo");
    const seen = [];
    for (const text of given[0]) {
      ws.send(text);
      seen.push(await ws.receive());
    }
    ws.close();
    return seen;
    """
    seen = page.run(script, texts)
    assert seen == texts, [text[:40] for text in seen]
    return f"{len(texts)} texts, up to {max(map(len, texts))} characters"


def check_binary(page: Browser, site: Site) -> str:
    sizes = [0, 1, 125, 126, 65535, 65536, 1 << 20, 4 << 20]
    script = """
    const ws = await connect("echo");
    const wrong = [];
    for (const size of given[0]) {
      const octets = new Uint8Array(size);
      let state = 1;
      for (let i = 0; i < size; i++) {
        state = (state * 1103515245 + 12345) & 0x7fffffff;
        octets[i] = state >> 16;
      }
      for (const data of [octets, new Blob([octets])]) {
        ws.send(data);
        const echo = new Uint8Array(await ws.receive());
        if (echo.length !== size || echo.some((octet, i) => octet !== octets[i])) wrong.push(size);
      }
    }
    ws.close();
    return wrong;
    """
    assert page.run(script, sizes) == []
    return f"{len(sizes)} sizes up to 4 MiB, each octet as sent, from an array and from a blob"


def check_many(page: Browser, site: Site) -> str:
    script = """
    const ws = await connect("echo");
    for (let i = 0; i < 5000; i++) ws.send(`message ${i}`);
    for (let i = 0; i < 5000; i++) {
      const message = await ws.receive();
      if (message !== `message ${i}`) return `${message} for ${i}`;
    }
    ws.close();
    return (await ws.ended).code;
    """
    assert page.run(script) == 1005
    return "5000 messages at once, echoed in order"


def check_compression(page: Browser, site: Site) -> str:
    script = """
    const ws = await connect("packed");
    const seen = [ws.extensions, await ws.receive()];
    for (let i = 0; i < 3; i++) {
      ws.send("again ");
      for (let j = 0; j < 2; j++) {
        if (await ws.receive() !== "again ".repeat(1000)) return "not what was sent";
      }
    }
    ws.close();
    return seen;
    """
    extensions, bits = page.run(script)
    assert extensions.startswith("permessage-deflate"), extensions
    assert 9 <= int(bits) <= 15, bits
    return f"{extensions!r} agreed on; messages with and without it in turn"


def check_protocols(page: Browser, site: Site) -> str:
    script = """
    const ws = await connect("plain", ["other", "chat"]);
    const seen = [ws.protocol, ws.extensions, JSON.parse(await ws.receive())];
    ws.close();
    return seen;
    """
    protocol, extensions, told = page.run(script)
    assert (protocol, extensions) == ("chat", ""), (protocol, extensions)
    assert told == {"protocol": "chat", "compress": 0}, told
    return "the second of two was chosen; no compression where the server wants none"


def _end(page: Browser, script: str, *arguments: object) -> dict[str, Any]:
    end: dict[str, Any] = page.run(f"{script}; return ws.ended;", *arguments)
    return end


def check_closing(page: Browser, site: Site) -> str:
    for code, reason in [(1000, ""), (3000, "x" * 123), (4999, "Grüße")]:
        script = """const ws = await connect("reasons"); ws.close(...given)"""
        seen = _end(page, script, code, reason)
        # The answer has the code alone (RFC 6455 section 5.5.1).
        assert seen == {"code": code, "reason": "", "wasClean": True}, seen
        site.wait_for_end(reason, code)
    seen = _end(page, """const ws = await connect("reasons"); ws.close()""")
    assert seen == {"code": 1005, "reason": "", "wasClean": True}, seen
    site.wait_for_end("", 0)
    return "the page's codes and reasons come to the server: 1000, 3000, 4999, none"


def check_closed(page: Browser, site: Site) -> str:
    codes = [1000, 1001, 1003, 1008, 1011, 1013, 3000, 4999]
    for code in codes:
        script = "const ws = await connect(`closing?code=${given[0]}&reason=${given[1]}`)"
        seen = _end(page, script, code, f"reason {code}")
        assert seen == {"code": code, "reason": f"reason {code}", "wasClean": True}, seen
        site.wait_for_end("/closing", code)
    return f"the server's codes and reasons come to the page: {', '.join(map(str, codes))}"


def check_faults(page: Browser, site: Site) -> str:
    seen = _end(page, """const ws = await connect("failing"); ws.send("now")""")
    assert (seen["code"], seen["wasClean"]) == (1011, True), seen
    script = """
    const ws = await connect("limited");
    ws.send(new Uint8Array(1000));
    if (await ws.receive() !== "1000") throw "1000 octets are allowed";
    ws.send(new Uint8Array(1001))
    """
    seen = _end(page, script)
    assert (seen["code"], seen["wasClean"]) == (1009, True), seen
    site.wait_for_end("/limited", 1009)
    return "1011 of a handler that raises, 1009 of a message above the limit"


def check_refused(page: Browser, site: Site) -> str:
    script = """
    try { await connect("ended"); } catch (error) { return error; }
    """
    assert page.run(script) == "cannot connect to ended"
    return "a path without a WebSocket opens none"


def check_pings(page: Browser, site: Site) -> str:
    script = """
    const ws = await connect("pinging");
    await new Promise(resolve => setTimeout(resolve, 1000));
    ws.send("ping me");
    let told;
    do {
      ws.send("how far?");
      told = JSON.parse(await ws.receive());
    } while (told.latency === null);
    ws.close(4000);
    return [told.latency, (await ws.ended).code];
    """
    latency, code = page.run(script)
    assert code == 4000, code
    assert 0 <= latency < 10, latency
    site.wait_for_end("/pinging", 4000)
    return f"10 pings a second answered for a second, latency {latency * 1e3:.1f} ms"


def check_late(page: Browser, site: Site) -> str:
    script = """
    const ws = await connect("late");
    const megabyte = new Uint8Array(1 << 20);
    for (let i = 0; i < 64; i++) ws.send(megabyte);
    await new Promise(resolve => setTimeout(resolve, 500));
    const buffered = ws.bufferedAmount;
    await fetch("read", {method: "POST"});
    ws.send(new Uint8Array(0));
    const size = Number(await ws.receive());
    ws.close();
    return [buffered, size];
    """
    buffered, size = page.run(script)
    assert size == 64 << 20, size
    # The sockets' buffers hold some megabytes on both sides.
    assert buffered > 40 << 20, buffered
    return f"of 64 MiB for a handler that reads nothing, {buffered >> 20} MiB wait in the browser"


def check_page(page: Browser, site: Site) -> str:
    page.submit("echo", text="Hi there")
    page.wait_for_item("echo", "Hi there")
    page.submit("echo", button=1, text="Grüße")
    page.wait_for_item("echo", "7 octets")
    return "text and octets typed in come back"


def check_chat(page: Browser, site: Site) -> str:
    driver = page.driver
    first = driver.current_window_handle
    page.wait_for_item("chat", "server: 1 here")
    driver.switch_to.new_window("tab")
    driver.get(site.url)
    second = driver.current_window_handle
    page.wait_for_item("chat", "server: 2 here")
    page.submit("chat", name="Ada", text="Hello from here")
    for window in (second, first):
        driver.switch_to.window(window)
        page.wait_for_item("chat", "Ada: Hello from here")
    driver.refresh()
    site.wait_for_end("/chat", 1001)
    page.wait_for_item("chat", "server: 2 here")
    page.submit("chat", name="Bob", text="Back again")
    driver.switch_to.window(second)
    page.wait_for_item("chat", "Bob: Back again")
    driver.close()
    driver.switch_to.window(first)
    page.wait_for_item("chat", "server: 1 here")
    return "two tabs talk; one is loaded again (1001), the other closed"


CHECKS = (
    check_page,
    check_chat,
    check_text,
    check_binary,
    check_many,
    check_compression,
    check_protocols,
    check_closing,
    check_closed,
    check_faults,
    check_refused,
    check_pings,
    check_late,
)
