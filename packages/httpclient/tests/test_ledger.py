"""The ledger: which test decides which row of the behaviours that must hold.

A row is decided by a test of `test_ledger_*.py` whose docstring begins with its id, or by
one that `ELSEWHERE` names, or it cannot be decided here, for the reason that `NOT_HERE`
tells. Each row is in exactly one of the three.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent

# Rows of this package.
OWNED = """
S001 S004 S008 S009 S013 S014 S015 S018 S019 S020 S023 S024 S026 S030 S031 S038 S039 S044 S047 S050
S054 S055 S057 S058 S059 S063 S068 S069 S070 S071 S074 S076 S077 S078 S082 S085 S087 S089 S090 S092
S095 S096 S099 S108 S110 S111 S112 S115 S118 S119 S125 S126 S129 S132 S140 S141 S143 S146 S147 S148
S149 S154 S157 S158 S168 S171 S173 S178 S179 S181 S189 S191 S194 S195 S199 S206 S209 S210 S211 S214
S215
"""

# Rows that are owned by another package, or by all of them, and hold for this one too.
SHARED = """
S002 S010 S027 S034 S037 S041 S051 S073 S081 S088 S097 S102 S103 S117 S131 S139 S155 S160 S162 S164
S166 S167 S172 S187 S190 S192 S196
"""

# Row: the tests of other modules that decide it.
ELSEWHERE: dict[str, str] = {
    "S002": "test_ws_connect.py::test_loop_of_messages"
    " test_ws_connect.py::test_all_kinds_of_messages"
    " test_ws_connect.py::test_close_by_the_client",
    # A detector is asked for what is no UTF-8, which aiohttp no longer does.
    "S015": "test_response.py::test_text_without_charset_asks_the_resolver"
    " test_response_text.py::test_declared_charset_asks_nobody"
    " test_response_text.py::test_undeclared_charset_is_guessed",
    "S018": "test_response_decoding.py::test_codings_are_undone"
    " test_request.py::test_only_what_can_be_decoded_is_asked_for",
    "S020": "test_response_head.py::test_blank_reason_is_no_obstacle",
    "S023": "test_tcp_connector.py::test_with_and_close_have_to_be_awaited"
    " test_connector.py::test_close_ends_everything",
    "S024": "test_timeouts.py::test_sock_read_begins_anew_with_each_byte",
    "S026": "test_resolver.py::test_families_of_this_host_are_asked_for",
    "S031": "test_session.py::test_module_function_closes_its_connection",
    "S038": "test_resolver.py::test_families_of_this_host_are_asked_for",
    "S041": "test_upload.py::test_empty_file_can_be_sent",
    "S044": "test_cookie_jar.py::test_values_go_back_as_they_came_or_in_quotes"
    " test_cookie_jar.py::test_program_values_are_quoted_so_that_they_can_be_sent",
    "S050": "test_session.py::test_session_tells_its_settings",
    "S054": "test_tcp_connector.py::test_name_is_looked_up_in_ascii",
    "S057": "test_call_traces.py::test_order_of_a_post_with_a_redirect"
    " test_call_traces.py::test_pieces_of_an_upload_are_told",
    "S063": "test_ws_connect.py::test_refusal test_ws_connect.py::test_101_that_is_wrong",
    "S069": "test_response.py::test_text_without_charset_asks_the_resolver"
    " test_response_text.py::test_undeclared_charset_is_guessed",
    "S070": "test_response_head.py::test_release_may_be_awaited_or_not",
    "S071": "test_upload.py::test_form_is_sent_again_as_it_was",
    "S074": "test_cookie_jar.py::test_expiry"
    " test_cookie_file.py::test_cookie_beyond_any_time_t_lives_as_long_as_others",
    "S076": "test_resolver.py::test_link_local_address_keeps_its_zone",
    "S077": "test_connector.py::test_cancelled_waiter_gives_its_place_on"
    " test_connector.py::test_waiter_cancelled_when_served_gives_its_connection_on",
    "S078": "test_connector.py::test_server_that_closes_idle_connection_is_noticed",
    "S082": "test_dns_cache.py::test_close_cancels_a_lookup_and_waits_for_it"
    " test_tcp_connector.py::test_close_ends_a_lookup",
    "S085": "test_request_body.py::test_memoryview_of_wide_items_counts_in_bytes",
    "S087": "test_tracing.py::test_handler_of_another_signature_is_refused_by_the_type_checker",
    "S089": "test_tcp_connector.py::test_limit_holds_though_some_fail",
    "S090": "test_response_text.py::test_declared_charset_asks_nobody",
    "S092": "test_response_head.py::test_head_has_no_body_and_keeps_the_connection",
    "S096": "test_tcp_connector.py::test_names_are_looked_up_once_in_a_while",
    "S097": "test_connector.py::test_tls_verifies_and_is_reused"
    " test_connector.py::test_certificate_that_is_not_trusted_is_refused",
    "S099": "test_dns_cache.py::test_answer_is_kept_for_ever"
    " test_dns_cache.py::test_answer_is_kept_for_its_time",
    "S110": "test_timeouts.py::test_server_that_does_not_answer"
    " test_timeouts.py::test_server_that_does_not_finish",
    "S111": "test_cookie_jar.py::test_expired_cookie_is_not_stored_and_removes_the_stored_one",
    "S112": "test_tcp_connector.py::test_error_tells_the_setting",
    "S115": "test_call_proxies.py::test_plain_request_goes_in_absolute_form",
    "S119": "test_tcp_connector.py::test_contexts",
    "S125": "test_response_head.py::test_blank_reason_is_no_obstacle",
    "S126": "test_call_cookies.py::test_each_response_of_a_chain_counts",
    "S129": "test_tracing.py::test_handler_of_another_signature_is_refused_by_the_type_checker",
    "S139": "test_ws_connect.py::test_json_of_a_message_may_be_anything",
    "S140": "test_call_redirects.py::test_so_many_are_followed",
    "S141": "test_call_proxies.py::test_ipv6_address_has_brackets",
    "S146": "test_errors.py::test_response_error_has_aiohttps_text",
    "S147": "test_request.py::test_names_may_be_istr",
    "S148": "test_dns_cache.py::test_lookups_at_once_are_one",
    "S149": "test_unix_connector.py::test_host_of_the_url_is_only_told",
    "S154": "test_tracing.py::test_documented_pattern_keeps_a_context_for_each_request",
    "S155": "test_response_decoding.py::test_what_one_piece_inflates_to_is_given_whole",
    "S157": "test_timeouts.py::test_bounds_may_be_none_and_are_a_value",
    "S158": "test_call_cookies.py::test_cookies_of_a_call_are_for_it_alone",
    "S162": "test_request.py::test_fields_of_a_payload_go_with_it_unless_given",
    "S166": "test_response_decoding.py::test_first_chunk_without_content_does_not_end_the_body",
    "S168": "test_request_body.py::test_texts_and_buffers_are_payloads_of_known_size"
    " test_request_body.py::test_async_iterables_are_payloads"
    " test_connection.py::test_upload_in_pieces_is_chunked",
    "S173": "test_call_cookies.py::test_cookies_of_a_call_are_for_it_alone",
    "S179": "test_netrc.py::test_missing_file_in_the_home_directory_is_silent"
    " test_netrc.py::test_missing_file_that_is_named_is_told_once"
    " test_call_proxies.py::test_netrc_has_logins_for_origins",
    "S181": "test_ws_connect.py::test_option_is_sent"
    " test_ws_connect.py::test_request_of_the_handshake",
    "S187": "test_session.py::test_request_takes_any_token_as_method",
    "S189": "test_auth.py::test_decode test_auth.py::test_anything_else_is_a_value_error",
    "S191": "test_request.py::test_plain_get_has_host_first_and_no_framing"
    " test_request.py::test_host_of_the_user_replaces_ours_and_is_first",
    "S195": "test_request.py::test_host_is_in_brackets_and_has_its_port",
    "S196": "test_ws_connect.py::test_pings_and_pongs",
    "S199": "test_response_head.py::test_failed_responses_give_their_connections_back",
    # It is no error here: both are bound to the loop in which they are first used.
    "S209": "test_session.py::test_session_made_outside_of_a_loop_is_used_inside"
    " test_tcp_connector.py::test_made_outside_of_a_loop_and_bound_to_the_first",
    "S214": "test_tcp_connector.py::test_with_and_close_have_to_be_awaited",
}

# Row: why no test of this package decides it.
NOT_HERE: dict[str, str] = {
    "S001": "needs the server, which this package must not import",
    "S027": "the readers of multipart bodies are httpcore-proto's",
    "S088": "the readers of multipart bodies are httpcore-proto's",
    "S131": "forms and writers of multipart bodies are httpcore-proto's",
    "S190": "what is a mutable mapping is the server's",
}

_IDS = re.compile(r"S[0-9]{3}(?:, S[0-9]{3})*(?=: )")


def named_tests(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name[:5] == "test_":
            yield node


def decided() -> set[str]:
    """Collect the ids of the docstrings of `test_ledger_*.py`."""
    found: set[str] = set()
    for path in sorted(FOLDER.glob("test_ledger_*.py")):
        for test in named_tests(path):
            match = _IDS.match(ast.get_docstring(test) or "")
            assert match, f"{path.name}::{test.name} does not tell its row"
            found.update(match[0].split(", "))
    return found


def test_every_row_is_in_one_place() -> None:
    rows = (OWNED + SHARED).split()
    here, elsewhere, not_here = decided(), set(ELSEWHERE), set(NOT_HERE)

    assert len(rows) == len(set(rows)) == 108
    assert here | elsewhere | not_here == set(rows)
    assert len(here) + len(elsewhere) + len(not_here) == len(rows)


@pytest.mark.parametrize("row", ELSEWHERE)
def test_test_of_a_row_exists(row: str) -> None:
    for test in ELSEWHERE[row].split():
        module, _, name = test.partition("::")
        assert name in [item.name for item in named_tests(FOLDER / module)]
