"""What shows that a suite is sound: cases, trials, rules, and what is on record."""
