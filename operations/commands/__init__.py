"""The commands of `berth`, one file each: arguments, one call, output."""
