"""The nets as software: built, loaded, saved and found by name, and run through quicker kernels."""
