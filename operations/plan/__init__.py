"""What embedding a corpus takes, before it is begun."""
