"""What a check found: as data, and as its authors read it."""
