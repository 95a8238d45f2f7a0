"""What a mock says when a request or a rule is left over."""

from __future__ import annotations

from collections.abc import Sequence

from ._mock_call import Call
from ._mock_rule import Rule


class UnmatchedRequestError(AssertionError):
    """No rule of the mock matches a request. It is no `ClientError`, so as not to be handled.

    Attributes:
        call: The request.
        nearest: The rule that comes nearest to it; None without any rule.
    """

    def __init__(self, call: Call, rules: Sequence[Rule]) -> None:
        lines = ["no rule of the mock matches this request:"]
        lines += [f"    {line}" for line in call.describe()]
        self.call: Call = call
        self.nearest: Rule | None = None
        if rules:
            self.nearest = min(rules, key=lambda rule: rule.reasons(call)[0])
            among = "The only rule" if len(rules) == 1 else f"The nearest of {len(rules)} rules"
            lines.append(f"{among} is {self.nearest}, and it does not match:")
            lines += [f"    {line}" for line in self.nearest.reasons(call)[1]]
        else:
            lines.append("It has no rules. Add one: mock.get(url).reply(200, body=b'...')")
        super().__init__("\n".join(lines))


def report(failures: Sequence[BaseException], rules: Sequence[Rule]) -> str | None:
    """Return what is wrong at the end of a test; None if nothing is."""
    parts = [
        str(exc) if isinstance(exc, UnmatchedRequestError) else f"a reply failed: {exc!r}"
        for exc in failures
    ]
    if due := [f"    {rule}, {rule.usage()}" for rule in rules if rule.is_due]:
        text = "rules that were used less often than they should (optional=True lets them):"
        parts.append("\n".join([text, *due]))
    return "\n\n".join(parts) or None
