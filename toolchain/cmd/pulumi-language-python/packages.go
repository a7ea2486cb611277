package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/errutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"

	"loadbalancer/toolchain/cmd/internal/lifeline"
)

// listDistributions is a Python program: the environment's own Python knows what it can import.
//
//go:embed distributions.py
var listDistributions string

// distribution is an installed Python distribution that may need a Pulumi plugin.
type distribution struct {
	Name    string                   `json:"name"`
	Version string                   `json:"version"`
	Plugin  *plugin.PulumiPluginJSON `json:"plugin"`
}

// withoutPlugin are distributions of Pulumi's that are no providers and do not say so.
var withoutPlugin = map[string]bool{
	"pulumi-esc-sdk": true,
	"pulumi-policy":  true,
}

// GetRequiredPackages lists the plugins of the installed SDKs. It makes the virtual environment
// when there is none.
func (h *host) GetRequiredPackages(
	call context.Context, req *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	ctx, end := h.begin(call)
	defer end()

	opts, err := options(req.GetInfo())
	if err != nil {
		return nil, err
	}
	chain, err := toolchain.ResolveToolchain(opts)
	if err != nil {
		return nil, err
	}
	log, err := dialEngineLog(ctx, h.engineAddress())
	if err != nil {
		return nil, err
	}
	defer log.Close()
	err = chain.EnsureVenv(ctx, opts.ProgramDir, false, true, log.writer(info), log.writer(failure))
	if err != nil {
		return nil, err
	}

	installed, err := distributions(ctx, chain)
	if err != nil {
		return nil, err
	}
	packages, err := requiredPackages(installed)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.GetRequiredPackagesResponse{Packages: packages}, nil
}

func distributions(ctx context.Context, chain toolchain.Toolchain) ([]distribution, error) {
	cmd, err := chain.Command(ctx, "-c", listDistributions)
	if err != nil {
		return nil, err
	}
	output, err := output(cmd)
	if err != nil {
		return nil, fmt.Errorf("listing the installed distributions: %w", err)
	}
	var found []distribution
	if err := json.Unmarshal(output, &found); err != nil {
		return nil, fmt.Errorf("listing the installed distributions: %w", err)
	}
	return found, nil
}

// output runs a command; what it wrote to standard error is part of its error.
func output(cmd *exec.Cmd) ([]byte, error) {
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := lifeline.Run(cmd)
	if err != nil {
		err = fmt.Errorf("%w: %s", errutil.ErrorWithStderr(err, cmd.String()), errs.String())
	}
	return []byte(out.String()), err
}

// requiredPackages keeps of the installed distributions those that need a plugin.
func requiredPackages(installed []distribution) ([]*pulumirpc.PackageDependency, error) {
	var packages []*pulumirpc.PackageDependency
	for _, candidate := range installed {
		if withoutPlugin[candidate.Name] {
			continue
		}
		said := candidate.Plugin
		if said == nil {
			// An SDK from before there was such a file; its name and version say it all.
			said = &plugin.PulumiPluginJSON{Resource: true}
		}
		if !said.Resource {
			continue
		}
		name, version := said.Name, said.Version
		if name == "" {
			name = strings.TrimPrefix(candidate.Name, "pulumi-")
		}
		if version == "" {
			var ok bool
			if version, ok = semanticVersion(candidate.Version); !ok {
				// A plugin of whatever version is found when the program asks for it.
				continue
			}
		}
		packages = append(packages, &pulumirpc.PackageDependency{
			Name:             name,
			Version:          "v" + strings.TrimPrefix(version, "v"),
			Kind:             "resource",
			Server:           said.Server,
			Parameterization: parameterization(said.Parameterization),
			Extension:        parameterization(said.ExtensionParameterization),
		})
	}
	return packages, nil
}

func parameterization(said *plugin.PulumiParameterizationJSON) *pulumirpc.PackageParameterization {
	if said == nil {
		return nil
	}
	return &pulumirpc.PackageParameterization{
		Name:    said.Name,
		Version: said.Version,
		Value:   said.Value,
	}
}
