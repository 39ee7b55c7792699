"""What makes a release; nothing of it is in the wheel."""
