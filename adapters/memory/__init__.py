"""The outside world in one process, without sockets: for tests, and for trying embedstream without servers."""
