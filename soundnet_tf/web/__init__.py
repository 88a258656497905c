"""Files of the web come whole, at a decent pace, and go on where they were broken off."""
