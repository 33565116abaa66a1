"""What can be found out about a deployment before it fails: each finding one line, with what to do."""
