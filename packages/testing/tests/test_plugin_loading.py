"""What the plugin does without being asked: nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

FIXTURES = [
    "http_client",
    "http_server",
    "http_raw_server",
    "http_mock",
    "http_cassette",
    "http_tls",
    "free_port",
]
OURS = ["httpclient", "httpcore_proto", "httpcore_testing", "httpserver", "wsproto_async"]
HEAVY = [*OURS, "anyio", "hypothesis", "multidict", "pytest_asyncio", "trio", "trustme", "yarl"]


@pytest.mark.parametrize("module", ["pytest_httpcore", "pytest_httpcore.aiohttp_names"])
def test_imports_are_light(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=15)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [], "")


def test_nothing_happens_unasked(pytester: pytest.Pytester) -> None:
    """A run of tests that want nothing of the plugin imports nothing of it, and has no fixture."""
    pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = -p no:asyncio")
    pytester.makeconftest(
        f"""
import sys

def pytest_unconfigure():
    print("LOADED:", *[name for name in {OURS} if name in sys.modules])
"""
    )
    pytester.makepyfile(
        """
def test_it(request):
    assert "pytest_httpcore" in str(request.config.pluginmanager.get_plugin("httpcore"))
    assert [name for name in request.fixturenames if "http" in name] == []
"""
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=15)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["LOADED:"])


def test_nothing_is_collected(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--collect-only", "-q", timeout=15)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["no tests collected*"])


def test_help(pytester: pytest.Pytester) -> None:
    """Fixtures, marker and options are told about; what is private is not."""
    text = pytester.runpytest_subprocess("--help", timeout=15).stdout.str()
    for option in ("--http-record={none,once,all}", "--http-no-network", "--http-allow-host=HOST"):
        assert option in text
    for setting in ("http_record_mode", "http_no_network", "http_allow_host"):
        assert setting in text

    result = pytester.runpytest_subprocess("--fixtures", "-p", "no:asyncio", timeout=15)
    lines = result.stdout.lines
    for name in FIXTURES:
        at = next(i for i, line in enumerate(lines) if line.split(" ")[0] == name)
        assert lines[at + 1].startswith("    ")  # its docstring
        assert "no docstring" not in lines[at + 1]
    assert not any(line.startswith("_http") for line in lines)

    result = pytester.runpytest_subprocess("--markers", timeout=15)
    result.stdout.fnmatch_lines(["@pytest.mark.http_cassette(path=..., match_on=..., *"])


def test_switched_off(pytester: pytest.Pytester) -> None:
    """Without the plugin there are neither its fixtures nor its options."""
    pytester.makepyfile("def test_it(free_port): ...")
    result = pytester.runpytest_subprocess("-p", "no:httpcore", timeout=15)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'free_port' not found"])
