"""The settings of a stack: what the user decides (settings), what Berth decides (naming), and what is refused."""
