// pulumi-resource-docker is the Pulumi plugin for Docker.
package main

import (
	"embed"
	"fmt"
	"os"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"

	"loadbalancer/toolchain/cmd/internal/docker"
	"loadbalancer/toolchain/cmd/internal/lifeline"
)

// version is set by the linker.
var version = "0.0.0-dev"

// The folder and not the file: the build puts the file there, and `go vet` must pass without.
//
//go:embed all:schema
var schema embed.FS

func main() {
	// What is under way at the daemon is finished by the daemon; nothing is left to do here.
	if err := lifeline.Follow(lifeline.EngineAddress(os.Args[1:]), 0); err != nil {
		exit(err)
	}
	spec, err := schema.ReadFile("schema/schema.json")
	if err != nil {
		exit(fmt.Errorf("built without its schema: %w", err))
	}
	tfbridge.Main(docker.Name, version, docker.Provider(version), spec)
}

func exit(err error) {
	fmt.Fprintln(os.Stderr, "pulumi-resource-docker:", err)
	os.Exit(1)
}
