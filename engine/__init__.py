"""The embedded engine: runs this Pulumi program where the Pulumi CLI cannot be had."""
