"""Sandboxes as pods of a Kubernetes cluster, for builds that one machine's Docker is too small for."""
