"""What the README says of speed, measured here: `make bench`."""
