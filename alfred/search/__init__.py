"""What to try next: schedules, and the experiments they stand for."""
