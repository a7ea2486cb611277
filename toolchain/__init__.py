"""What a bare machine lacks: engine, Pulumi's programs, base images, virtual environment.

Standard library only, because it runs before any virtual environment exists.
"""
