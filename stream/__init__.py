"""What is decided: pure functions and values; no socket, clock, thread, model or metric."""
