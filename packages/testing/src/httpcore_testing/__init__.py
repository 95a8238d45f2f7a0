"""Test utilities for httpcore_proto, httpclient and httpserver.

For now: `check_link`, the contract of `httpcore_proto.aio.Link` as checks.
"""

from __future__ import annotations

from ._cassette import BeforeRecord, Cassette, CassetteMode
from ._cassette_exchange import (
    CassetteError,
    RecordedExchange,
    RecordedRequest,
    RecordedResponse,
)
from ._cassette_match import CassetteMissError
from ._certificates import CertificateFiles, Certificates
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
from ._faulty_connector import FaultyConnector
from ._faulty_link import FaultyLink
from ._fixture_types import HTTPClientFixture, HTTPRawServerFixture, HTTPServerFixture
from ._link_scene import Check, MakePair
from ._loops import loop_context, setup_test_loop, teardown_test_loop
from ._memory_connector import MemoryConnector
from ._mock_call import Call
from ._mock_conditions import ANY, UNSET, Anything, BodyMatch, Fields, HeaderMatch, Params, Unset
from ._mock_connector import MockConnector
from ._mock_reply import ReplyHandler
from ._mock_report import UnmatchedRequestError
from ._mock_rule import Rule, RuleOptions, URLMatch
from ._mocked_request import make_mocked_coro, make_mocked_request
from ._network_ban import NetworkBarredError, no_network
from ._ports import get_port_socket, get_unused_port_socket, unused_port
from ._raw_message import MalformedMessageError, RawMessage
from ._raw_peer import Ending, PatienceError, PeerGoneError, RawPeer
from ._raw_server import RawServer, Script
from ._recording_receiver import RecordingReceiver
from ._redaction import DEFAULT_NAMES, REDACTED, Redaction
from ._test_client import TestClient
from ._test_server import BaseTestServer, RawTestServer, TestServer, Transport
from ._unittest import AioHTTPTestCase
from ._version import __version__

__all__ = [
    "ANY",
    "CHECKS",
    "DEFAULT_NAMES",
    "REDACTED",
    "UNSET",
    "AioHTTPTestCase",
    "Anything",
    "BaseTestServer",
    "BeforeRecord",
    "BodyMatch",
    "Call",
    "Cassette",
    "CassetteError",
    "CassetteMissError",
    "CassetteMode",
    "CertificateFiles",
    "Certificates",
    "Check",
    "Ending",
    "FaultyConnector",
    "FaultyLink",
    "Fields",
    "HTTPClientFixture",
    "HTTPRawServerFixture",
    "HTTPServerFixture",
    "HeaderMatch",
    "MakePair",
    "MalformedMessageError",
    "MemoryConnector",
    "MockConnector",
    "NetworkBarredError",
    "Params",
    "PatienceError",
    "PeerGoneError",
    "RawMessage",
    "RawPeer",
    "RawServer",
    "RawTestServer",
    "RecordedExchange",
    "RecordedRequest",
    "RecordedResponse",
    "RecordingReceiver",
    "Redaction",
    "ReplyHandler",
    "Rule",
    "RuleOptions",
    "Script",
    "TestClient",
    "TestServer",
    "Transport",
    "URLMatch",
    "UnmatchedRequestError",
    "Unset",
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
    "get_port_socket",
    "get_unused_port_socket",
    "loop_context",
    "make_mocked_coro",
    "make_mocked_request",
    "no_network",
    "setup_test_loop",
    "teardown_test_loop",
    "unused_port",
]
