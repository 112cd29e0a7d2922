"""Shows what `up` would do, per node; runs Pulumi's preview and changes nothing."""
