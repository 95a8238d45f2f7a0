"""Test utilities for httpcore_proto, httpclient and httpserver.

For now: `check_link`, the contract of `httpcore_proto.aio.Link` as checks.
"""

from __future__ import annotations

from ._check_link import (
    CHECKS,
    MakePair,
    RecordingReceiver,
    check_abort,
    check_both_directions,
    check_busy_drain,
    check_busy_more,
    check_cancelled_more,
    check_close,
    check_deadline,
    check_drain_deadline,
    check_empty_write,
    check_half_close,
    check_large_transfer,
    check_link,
    check_pause,
    check_peer_close,
    check_two_writers,
    check_write_after_loss,
)
from ._version import __version__

__all__ = [
    "CHECKS",
    "MakePair",
    "RecordingReceiver",
    "__version__",
    "check_abort",
    "check_both_directions",
    "check_busy_drain",
    "check_busy_more",
    "check_cancelled_more",
    "check_close",
    "check_deadline",
    "check_drain_deadline",
    "check_empty_write",
    "check_half_close",
    "check_large_transfer",
    "check_link",
    "check_pause",
    "check_peer_close",
    "check_two_writers",
    "check_write_after_loss",
]
