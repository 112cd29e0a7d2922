"""What the stages share: files on hosts, services, readiness, image references."""
