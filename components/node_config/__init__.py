"""What a node's system is installed with, worked out once and written in the words of whichever system it is."""
