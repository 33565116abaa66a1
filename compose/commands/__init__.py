"""What each command of the command line does, without the command line itself."""
