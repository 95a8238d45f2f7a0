"""Parse one request."""

from httpcore_proto import ServerConnection

connection = ServerConnection()
connection.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
event = connection.next_event()
assert event.method == "GET", event
