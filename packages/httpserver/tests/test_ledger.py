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
S003 S005 S006 S007 S016 S021 S022 S025 S029 S033 S035 S036 S041 S043 S045 S046 S048 S049 S051 S052
S060 S062 S064 S065 S066 S067 S072 S075 S080 S081 S084 S086 S093 S097 S098 S101 S105 S109 S113 S114
S123 S124 S127 S128 S130 S134 S135 S136 S138 S144 S150 S151 S152 S153 S156 S160 S161 S163 S165 S169
S170 S174 S176 S177 S180 S182 S183 S185 S188 S190 S193 S200 S201 S202 S203 S204 S205 S208 S212 S213
"""

# Rows that are owned by another package, or by all of them, and hold for this one too.
SHARED = """
S001 S002 S010 S013 S014 S017 S018 S034 S037 S039 S055 S073 S085 S091 S117 S119 S143 S147 S164 S167
S172 S192 S196 S211
"""

# Row: the tests of other modules that decide it.
ELSEWHERE: dict[str, str] = {
    "S002": "test_websocket.py::test_loop_of_messages",
    "S005": "test_readme.py::test_block_serves_what_it_says",
    "S006": "test_readme.py::test_websocket_block_greets",
    "S007": "test_run.py::test_run_app_ends_with_sigint_and_exits_0"
    " test_sites.py::test_site_default_ports",
    "S016": "test_middlewares.py::test_normalize_path_redirects",
    "S017": "test_request.py::test_target_is_told_in_all_its_forms",
    "S018": "test_limits.py::test_coded_body_reads_decoded",
    "S021": "test_middlewares.py::test_normalize_path_redirects",
    "S022": "test_sub_applications.py::test_overlapping_prefixes_do_not_shadow_each_other",
    "S025": "test_views.py::test_view_without_method_tells_those_it_has",
    "S029": "test_file_response.py::test_whole_file"
    " test_file_response.py::test_media_type_by_suffix"
    " test_file_response.py::test_condition"
    " test_file_response.py::test_range"
    " test_file_response.py::test_what_is_given_wins",
    "S035": "test_response.py::test_response_without_body_has_no_length"
    " test_connection.py::test_expect_continue_is_answered_before_the_handler_reads",
    "S041": "test_file_response.py::test_empty_file",
    "S043": "test_limits.py::test_hook_sees_the_whole_head_right_before_it_is_sent",
    "S048": "test_connection.py::test_client_gone_handler_runs_to_its_end"
    " test_connection.py::test_client_reset_ends_a_read_with_an_os_error"
    " test_connection.py::test_client_reset_ends_a_write_with_an_os_error_and_no_log"
    " test_connection.py::test_client_reset_cancels_the_handler_if_asked_to",
    "S049": "test_request.py::test_remote_and_extra_info_come_from_the_socket",
    "S051": "test_response_fields.py::test_cookies_are_sent",
    "S052": "test_file_response.py::test_plain_tcp_uses_sendfile",
    "S060": "test_sites.py::test_site_without_host_listens_on_all_interfaces",
    "S065": "test_websocket.py::test_heartbeat"
    " test_websocket.py::test_heartbeat_waits_for_the_handshake",
    "S066": "test_forms.py::test_multipart_is_parsed",
    "S067": "test_sub_applications.py"
    "::test_attributes_of_a_handler_are_seen_through_all_middlewares",
    "S084": "test_file_response.py::test_head_tells_what_get_would"
    " test_static.py::test_head_range_and_conditions",
    "S086": "test_exceptions.py::test_move_has_a_location"
    " test_exceptions.py::test_location_that_is_none"
    " test_exceptions.py::test_every_exception_class_is_public",
    "S091": "test_request.py::test_target_is_told_in_all_its_forms"
    " test_application.py::test_routes_are_served",
    "S097": "test_sites.py::test_tls_site_is_secure",
    "S101": "test_runner.py::test_cleanup_closes_idle_connections"
    " test_websocket.py::test_loop_of_messages",
    "S113": "test_file_response.py::test_what_is_given_wins",
    "S123": "test_websocket.py::test_head_of_the_handshake",
    "S124": "test_websocket.py::test_body_of_the_handshake_is_read_first",
    "S127": "test_middlewares.py::test_normalize_path_looks_for_the_method_too"
    " test_middlewares.py::test_normalize_path_redirects_with_another_class",
    "S130": "test_exceptions.py::test_location_that_is_none"
    " test_exceptions.py::test_move_has_a_location",
    "S134": "test_views.py::test_view_answers_by_method",
    "S135": "test_response.py::test_connection_field"
    " test_response.py::test_force_close_closes"
    " test_response.py::test_http10_keep_alive_serves_the_next"
    " test_connection.py::test_requests_behind_close_are_ignored",
    "S143": "test_exports.py::test_all_is_sorted_and_complete",
    "S144": "test_views.py::test_view_with_dispatch_of_its_own",
    "S153": "test_request.py::test_target_is_told_in_all_its_forms",
    "S161": "test_limits.py::test_failure_is_told_in_text_or_html"
    " test_connection.py::test_handler_exception_is_logged_500_and_the_end",
    "S163": "test_worker.py::test_failed_start_is_logged_and_ends_the_master",
    "S165": "test_worker.py::test_application_is_served_in_the_task_of_its_start",
    "S170": "test_exceptions.py::test_exception_is_a_response"
    " test_exceptions.py::test_text_reason_headers_and_type_of_ones_own"
    " test_exceptions.py::test_exception_is_sent"
    " test_exceptions.py::test_exception_without_body_keeps_the_connection"
    " test_exceptions.py::test_method_not_allowed_sorts_what_is_allowed"
    " test_exceptions.py::test_request_entity_too_large_tells_sizes"
    " test_exceptions.py::test_unavailable_for_legal_reasons_names_who_demanded_it",
    "S174": "test_sub_applications.py::test_domain"
    " test_sub_applications.py::test_domain_comes_before_all_paths_and_has_the_last_word",
    "S176": "test_request.py::test_facts_of_the_connection_outlive_it",
    "S180": "test_run.py::test_debug_mode_shows_the_access_log",
    "S193": "test_middlewares.py::test_normalize_path_redirects",
    "S196": "test_websocket.py::test_pings_and_pongs_without_payload"
    " test_websocket.py::test_all_kinds_of_messages",
    "S200": "test_file_response.py::test_client_that_leaves"
    " test_file_response.py::test_shutdown_cuts_and_closes",
    "S205": "test_access_log.py::test_size_is_that_of_the_response_with_its_head",
    "S213": "test_exceptions.py::test_body_is_no_argument",
}

# Row: why no test of this package decides it.
NOT_HERE: dict[str, str] = {
    "S001": "needs the client, which this package must not import",
    "S013": "needs the client, and a clock; the benchmarks watch it",
    "S119": "TLS compression is the context's, and OpenSSL has none any more",
    "S151": "there are no example programs; those of the README, test_readme.py runs",
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

    assert len(rows) == len(set(rows)) == 104
    assert here | elsewhere | not_here == set(rows)
    assert len(here) + len(elsewhere) + len(not_here) == len(rows)


@pytest.mark.parametrize("row", ELSEWHERE)
def test_test_of_a_row_exists(row: str) -> None:
    for test in ELSEWHERE[row].split():
        module, _, name = test.partition("::")
        assert name in [item.name for item in named_tests(FOLDER / module)]
