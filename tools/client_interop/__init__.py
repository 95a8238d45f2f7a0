"""The client in front of servers and proxies of other people."""
