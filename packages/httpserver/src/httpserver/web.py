"""The same names once more, for programs that come with `from aiohttp import web`."""

from __future__ import annotations

from httpserver import *  # noqa: F403
from httpserver import __all__ as __all__
