"""Taking the marks of removed chunks away for good: the one hard delete there is."""
