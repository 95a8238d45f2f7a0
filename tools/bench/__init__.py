"""Side-by-side benchmarks: CPU time per request of our packages and of their peers.

Run it as ``nox -s bench -- server --work hello``; README.md beside this file says how to read the
result. The package imports nothing but the standard library: what is measured runs in processes of
its own (``apps/``), each in the interpreter that has the right packages installed.
"""
