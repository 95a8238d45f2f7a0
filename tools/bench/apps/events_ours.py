"""Our parser of event streams."""

from functools import partial

from .body_inputs import EVENTS, event_pieces, shown_events
from .sampling import expecting, main, repeated
from .settings import not_offered

try:
    from httpcore_proto import EventStreamParser, ServerSentEvent
except ImportError as error:
    not_offered(str(error))


def _events(pieces: list[bytes]) -> list[ServerSentEvent]:
    parser = EventStreamParser()
    return [event for piece in pieces for event in parser.receive_data(piece)]


if __name__ == "__main__":
    main(repeated(partial(_events, event_pieces())), expecting(EVENTS, shown_events))
