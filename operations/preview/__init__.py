"""Says what `up` would do, on each node and in words; asks Pulumi, touches nothing."""
