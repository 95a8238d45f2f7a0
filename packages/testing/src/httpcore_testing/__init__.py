"""Test utilities for httpcore_proto, httpclient and httpserver.

For now: `check_link`, the contract of `httpcore_proto.aio.Link` as checks.
"""

from __future__ import annotations

from ._check_link import (
    CHECKS,
    check_abort,
    check_abort_ends_more,
    check_both_directions,
    check_busy_drain,
    check_busy_more,
    check_cancelled_drain,
    check_cancelled_more,
    check_close,
    check_close_sends,
    check_deadline,
    check_drain_deadline,
    check_empty_write,
    check_flow_control,
    check_half_close,
    check_hand_over,
    check_large_transfer,
    check_link,
    check_more_sends,
    check_pause,
    check_peer_close,
    check_two_deadlines,
    check_two_writers,
    check_wait_closed,
    check_write_after_loss,
    check_writelines_waits,
)
from ._link_scene import Check, MakePair
from ._recording_receiver import RecordingReceiver
from ._version import __version__

__all__ = [
    "CHECKS",
    "Check",
    "MakePair",
    "RecordingReceiver",
    "__version__",
    "check_abort",
    "check_abort_ends_more",
    "check_both_directions",
    "check_busy_drain",
    "check_busy_more",
    "check_cancelled_drain",
    "check_cancelled_more",
    "check_close",
    "check_close_sends",
    "check_deadline",
    "check_drain_deadline",
    "check_empty_write",
    "check_flow_control",
    "check_half_close",
    "check_hand_over",
    "check_large_transfer",
    "check_link",
    "check_more_sends",
    "check_pause",
    "check_peer_close",
    "check_two_deadlines",
    "check_two_writers",
    "check_wait_closed",
    "check_write_after_loss",
    "check_writelines_waits",
]
