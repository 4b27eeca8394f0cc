"""See what Claude sees."""
