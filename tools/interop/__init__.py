"""Our server behind other people's clients and proxies; our client in front of theirs."""
