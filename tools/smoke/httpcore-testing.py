"""Import the test utilities; with them, client and server are there."""

import httpclient
import httpcore_testing
import httpserver

for package in (httpclient, httpserver, httpcore_testing):
    assert package.__all__, package
