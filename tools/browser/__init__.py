"""A page with WebSockets, served by our server, and headless Chromium that uses it."""
