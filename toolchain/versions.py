"""The versions of what is built or downloaded; `go.mod` names the same ones."""

PULUMI_VERSION = "3.256.0"
DOCKER_PLUGIN_VERSION = "5.2.0"
