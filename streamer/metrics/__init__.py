"""What Prometheus sees: families A to E of the catalogue; F and G are in `instruments.py` where they are measured."""
