"""Qdrant Edge: the real engine inside one process, and that process's socket for all others."""
