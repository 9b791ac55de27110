"""Models that drive screens, through whole servers."""
