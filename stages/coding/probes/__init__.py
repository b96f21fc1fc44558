"""pytest plugins that are copied into a container and run there; they import nothing but pytest and the standard library."""
