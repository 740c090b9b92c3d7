"""Simulated worlds in virtual time: runs that live and die, a server, misfortunes, and our real rules among them."""
