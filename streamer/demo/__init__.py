"""A real local Prefect server with sample flows, and the service on it."""
