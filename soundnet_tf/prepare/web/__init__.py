"""Videos of the web: addresses become files, and words become addresses."""
