"""The query path: HTTP API, query encoding and the live page."""
