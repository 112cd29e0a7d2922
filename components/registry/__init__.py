"""The registry: stateless distribution replicas that share one bucket."""
