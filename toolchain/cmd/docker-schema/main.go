// docker-schema writes the Pulumi schema of the Docker package to a file.
//
// It is a program of the build alone: its generator would double the plugin in size.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfgen"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"

	"loadbalancer/toolchain/cmd/internal/docker"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: docker-schema VERSION FILE")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "docker-schema:", err)
		os.Exit(1)
	}
}

func write(version, file string) error {
	generated, err := tfgen.GenerateSchemaWithOptions(tfgen.GenerateSchemaOptions{
		ProviderInfo: docker.Provider(version),
		// Warnings only: a broken schema comes back as an error.
		DiagnosticsSink: diag.DefaultSink(os.Stderr, os.Stderr, diag.FormatOptions{Color: colors.Never}),
		// Without this it looks for a checkout of the provider's documentation.
		XInMemoryDocs: true,
	})
	if err != nil {
		return err
	}
	schema, err := json.Marshal(generated.PackageSpec)
	if err != nil {
		return err
	}
	// The generator writes to standard output what it likes; hence the file.
	return os.WriteFile(file, schema, 0o644)
}
