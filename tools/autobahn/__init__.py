"""Our WebSockets against the Autobahn test suite; README.md says how it is run."""
