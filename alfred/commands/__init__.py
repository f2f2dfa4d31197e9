"""Commands that have no module of their own at the top."""
