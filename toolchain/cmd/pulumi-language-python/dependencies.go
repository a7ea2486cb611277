package main

import (
	"context"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
	"google.golang.org/grpc"
)

// InstallDependencies makes the virtual environment and installs what the project asks for.
func (h *host) InstallDependencies(
	req *pulumirpc.InstallDependenciesRequest,
	stream grpc.ServerStreamingServer[pulumirpc.InstallDependenciesResponse],
) error {
	ctx, end := h.begin(stream.Context())
	defer end()

	read := options
	if req.GetIsPlugin() {
		read = pluginOptions
	}
	opts, err := read(req.GetInfo())
	if err != nil {
		return err
	}
	chain, err := toolchain.ResolveToolchain(opts)
	if err != nil {
		return err
	}
	streams, out, errs, err := rpcutil.MakeInstallDependenciesStreams(stream, req.GetIsTerminal())
	if err != nil {
		return err
	}
	defer streams.Close()

	fmt.Fprint(out, "Installing dependencies...\n\n")
	err = chain.InstallDependencies(
		ctx, opts.ProgramDir, req.GetUseLanguageVersionTools(), true, out, errs)
	if err != nil {
		return err
	}
	fmt.Fprint(out, "Finished installing dependencies\n\n")
	return streams.Close()
}

// GetProgramDependencies lists the installed packages: all, or those that no other needs.
func (h *host) GetProgramDependencies(
	call context.Context, req *pulumirpc.GetProgramDependenciesRequest,
) (*pulumirpc.GetProgramDependenciesResponse, error) {
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
	packages, err := chain.ListPackages(ctx, req.GetTransitiveDependencies())
	if err != nil {
		return nil, fmt.Errorf("listing the program's dependencies: %w", err)
	}
	dependencies := make([]*pulumirpc.DependencyInfo, len(packages))
	for i, found := range packages {
		dependencies[i] = &pulumirpc.DependencyInfo{Name: found.Name, Version: found.Version}
	}
	return &pulumirpc.GetProgramDependenciesResponse{Dependencies: dependencies}, nil
}
