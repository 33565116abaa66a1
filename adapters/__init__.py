"""The outside world behind the ports of ``stream.ports``."""
