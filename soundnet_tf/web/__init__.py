"""Downloads: whole files, a limited rate of requests, and interrupted downloads that resume."""
