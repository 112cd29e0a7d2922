"""Takes what one stack has proved to another: digests as pins, and the images themselves."""
