"""What nodes are like and what they ought to be; status, verify, drift and gates are views of it."""
