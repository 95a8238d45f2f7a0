"""WebSocket over any link, in both roles.

The WebSocket protocol arrives with a later change. This release fixes only the name of the
distribution and its place below client and server, so that both can already require it.
"""

from ._version import __version__

__all__ = ["__version__"]
