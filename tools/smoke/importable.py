"""Fail unless exactly the named ones of our packages can be imported."""

import importlib.util
import sys

OURS = {"httpcore_proto", "wsproto_async", "httpclient", "httpserver", "httpcore_testing"}

found = {name for name in OURS if importlib.util.find_spec(name)}
expected = set(sys.argv[1:])
if found != expected:
    sys.exit(f"importable: {sorted(found)}, expected: {sorted(expected)}")
