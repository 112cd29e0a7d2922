"""Docker on every node: trusts the registry, follows the settings, changed with the least force."""
