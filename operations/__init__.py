"""What an operator does now and then."""
