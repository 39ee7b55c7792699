-- room: would a job be taken in? KEYS[1] NS. Changes nothing; fails when the server is full, or only a copy.
only_with_room()
return 1
