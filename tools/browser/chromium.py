"""Headless Chromium, driven by Selenium."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

#: Debian's packages chromium and chromium-driver have them.
PROGRAMS = ("chromium", "chromedriver")

_PATIENCE = 30.0

# Chromium as a program that does what it is told, for root in a container too.
_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # it shall call nobody else
]

# A WebSocket whose messages are awaited one by one.
_CONNECT = """
function connect(path, protocols = []) {
  const address = new URL(path, location);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const ws = new WebSocket(address, protocols);
  ws.binaryType = "arraybuffer";
  const messages = [], receivers = [];
  ws.onmessage = event => receivers.length ? receivers.shift()(event.data)
                                           : messages.push(event.data);
  ws.receive = () => messages.length ? messages.shift()
                                     : new Promise(resolve => receivers.push(resolve));
  ws.ended = new Promise(resolve => {
    ws.onclose = ({code, reason, wasClean}) => resolve({code, reason, wasClean});
  });
  return new Promise((resolve, reject) => {
    ws.onopen = () => resolve(ws);
    ws.onerror = () => reject(`cannot connect to ${path}`);
  });
}
"""


class Browser:
    """A browser with one page open, or several."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def run(self, script: str, *arguments: object) -> Any:
        """Run the body of an async function in the page, and return what it returns.

        Args:
            script: It has `connect(path, protocols)`, which gives an open WebSocket with
                `receive()` and `ended`, and what is in `arguments` as `given`.
            *arguments: What JSON can say.

        Raises:
            AssertionError: It threw something.
        """
        result = self.driver.execute_async_script(
            f"""{_CONNECT}
            const given = Array.from(arguments), tell = given.pop();
            (async () => {{ {script} }})().then(
                result => tell({{result}}), error => tell({{error: String(error)}}));
            """,
            *arguments,
        )
        assert "error" not in result, result["error"]
        return result["result"]

    def submit(self, form: str, button: int = 0, **fields: str) -> None:
        """Fill in fields of a form and press one of its buttons."""
        element = self.driver.find_element(By.ID, form)
        for name, text in fields.items():
            field = element.find_element(By.NAME, name)
            field.clear()
            field.send_keys(text)
        element.find_elements(By.TAG_NAME, "button")[button].click()

    def wait_for_item(self, form: str, text: str) -> None:
        """Wait until the last item of the list behind a form has this text.

        Raises:
            TimeoutException: It has not in time.
        """
        path = f"#{form} + ol > li:last-child"

        def is_there(driver: webdriver.Chrome) -> bool:
            items = driver.find_elements(By.CSS_SELECTOR, path)
            return bool(items) and items[-1].text == text

        WebDriverWait(self.driver, _PATIENCE).until(is_there, f"no {text!r} in {form}")


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Run Chromium for as long as the block, with profile and log in a folder.

    Raises:
        FileNotFoundError: A program is missing.
    """
    chromium, chromedriver = (shutil.which(program) for program in PROGRAMS)
    if chromium is None or chromedriver is None:
        raise FileNotFoundError("not found: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.accept_insecure_certs = True
    for option in [*_OPTIONS, f"--user-data-dir={folder / 'profile'}"]:
        options.add_argument(option)
    service = Service(chromedriver, log_output=str(folder / "chromedriver.log"))
    driver = webdriver.Chrome(options, service)
    try:
        driver.set_script_timeout(_PATIENCE)
        driver.set_page_load_timeout(_PATIENCE)
        yield Browser(driver)
    finally:
        driver.quit()
