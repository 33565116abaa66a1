"""What an operator does with dead letters: looks at them, and publishes their revisions again."""
