"""Installs what the stack needs: virtual environment, Docker engine, Pulumi, base images.

Standard library only, because it runs before any virtual environment exists; `engine` and
`baseimages` use the Docker SDK of the virtual environment, which is made first.
"""
