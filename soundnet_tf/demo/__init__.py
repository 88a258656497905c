"""A made world, in which what is seen and what is heard go together, and the story told with it."""
