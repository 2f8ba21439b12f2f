"""What an author of katas needs: the stub out of the reference, and proof that a kata is sound."""
