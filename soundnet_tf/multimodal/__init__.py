"""Sound and vision of the same videos: classification of videos by each and by both."""
