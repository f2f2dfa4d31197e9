"""Every number that compares algorithms over tasks, in one record."""
