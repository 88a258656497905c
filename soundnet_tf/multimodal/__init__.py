"""Sound and vision of the same videos: what each tells of a video's labels, and both together."""
