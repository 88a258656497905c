"""Videos on the web: downloading them, and finding them by keywords."""
