"""Small worlds, explored whole: every order of the hopper's steps, over the real scripts on a real server."""
