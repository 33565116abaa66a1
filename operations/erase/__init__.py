"""Erasing documents that are gone from their source: from the index, and from the chunk topic."""
