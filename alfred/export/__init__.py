"""What was recorded, written for other programs: one file for each of them."""
