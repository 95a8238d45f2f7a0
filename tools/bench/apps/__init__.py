"""What runs inside the measured processes, one small program per peer.

The driver never imports these modules: it starts them with ``python -m bench.apps.NAME`` in the
interpreter that has the peer installed, and tells them through the environment what to do
(`settings`).
"""
