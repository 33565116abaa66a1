"""The upgrade: a second pair beside the one that is searched, and the switch of both sides at once."""
