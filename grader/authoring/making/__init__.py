"""What makes katas and courses: a course, a new kata, its stub and what can be counted, a release, an autograder."""
