"""What shows that a suite is strong: wrong code that a machine makes, and what became of it."""
