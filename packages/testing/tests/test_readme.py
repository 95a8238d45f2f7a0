"""The programs of the README are tests, and pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
TESTS = re.compile(r"^ *(?:async )?def test_", re.MULTILINE)


@pytest.mark.timeout(120)  # it starts pytest, with every example
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_examples_pass(pytester: pytest.Pytester, backend: str) -> None:
    pytester.makeini("[pytest]\nanyio_mode = auto\n")
    pytester.makeconftest(f"""
        import pytest

        @pytest.fixture
        def anyio_backend():
            return "{backend}"
    """)
    pytester.makepyfile(**{f"test_{number}": block for number, block in enumerate(BLOCKS)})
    result = pytester.runpytest_subprocess("-W", "error", "-p", "no:asyncio")
    result.assert_outcomes(passed=sum(len(TESTS.findall(block)) for block in BLOCKS))


def test_there_is_an_example_for_each_feature() -> None:
    for name in (
        "TestClient(",
        "RawTestServer(",
        "http_client(",
        "http_mock",
        "MockConnector(",
        "Cassette(",
        "make_mocked_request(",
        "AioHTTPTestCase",
        "unused_port(",
        "no_network(",
        "RawPeer.connect(",
        "RawServer(",
        "FaultyConnector(",
        "Certificates(",
        "strategies",
        "check_link(",
    ):
        assert any(name in block for block in BLOCKS), name
