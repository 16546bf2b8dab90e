"""What a gateway counts and measures, for Prometheus."""
