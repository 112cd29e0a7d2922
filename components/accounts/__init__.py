"""Who may push and pull: names and roles from the settings, passwords from the user or made here."""
