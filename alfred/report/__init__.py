"""What was found, told to people."""
