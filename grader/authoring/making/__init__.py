"""What makes katas and courses: a new one, its stub, a release."""
