"""Comparing the index with the chunk topic, and publishing again what differs."""
