"""Where it is put together: settings, wiring, command line, local stack and demo."""
