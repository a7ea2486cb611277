package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"loadbalancer/toolchain/cmd/internal/lifeline"
)

// RunPlugin runs a policy pack, or a provider written in Python, until it ends or the engine
// has no more use for it.
func (h *host) RunPlugin(
	req *pulumirpc.RunPluginRequest,
	stream grpc.ServerStreamingServer[pulumirpc.RunPluginResponse],
) error {
	ctx, end := h.begin(stream.Context())
	defer end()

	if req.GetAttachDebugger() {
		return status.Error(codes.Unimplemented, "this language host cannot attach a debugger")
	}
	opts, err := pluginOptions(req.GetInfo())
	if err != nil {
		return err
	}
	chain, err := toolchain.ResolveToolchain(opts)
	if err != nil {
		return err
	}
	if err := chain.ValidateVenv(ctx); err != nil {
		return err
	}
	cmd, err := pluginCommand(ctx, chain, opts, req.GetArgs())
	if err != nil {
		return err
	}
	streams, out, errs, err := rpcutil.MakeRunPluginStreams(stream, false)
	if err != nil {
		return err
	}
	defer streams.Close()
	cmd.Dir = req.GetPwd()
	cmd.Env = unbuffered(pluginEnvironment(cmd.Env, req.GetEnv()))
	cmd.Stdout, cmd.Stderr = out, errs
	endOnCancel(cmd)

	err = lifeline.Run(cmd)
	var exited *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return status.Error(codes.Canceled, "the plugin was ended by the engine")
	case errors.As(err, &exited):
		return stream.Send(&pulumirpc.RunPluginResponse{
			Output: &pulumirpc.RunPluginResponse_Exitcode{Exitcode: int32(exited.ExitCode())},
		})
	case err != nil:
		return fmt.Errorf("the plugin could not be run: %w", err)
	}
	return streams.Close()
}

// pluginCommand runs a folder that is a program, and by its name one that is a Python package.
func pluginCommand(
	ctx context.Context, chain toolchain.Toolchain, opts toolchain.PythonOptions, args []string,
) (*exec.Cmd, error) {
	_, err := os.Stat(filepath.Join(opts.Root, "__main__.py"))
	if err == nil {
		return chain.Command(ctx, append([]string{opts.ProgramDir}, args...)...)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	isPackage, err := toolchain.IsBuildablePackage(opts.Root)
	if err != nil {
		return nil, err
	}
	if !isPackage {
		return nil, fmt.Errorf(
			"%s can not be run: it has neither a __main__.py nor a pyproject.toml with a build system",
			opts.Root)
	}
	project, err := toolchain.LoadPyproject(opts.Root)
	if err != nil {
		return nil, err
	}
	args = append([]string{project.Project.Name}, args...)
	return chain.ModuleCommand(ctx, "pulumi.run.plugin", args...)
}

// pluginEnvironment adds what the engine gives, which is its own environment and more. Where
// both name a variable the engine's counts, but for those that make the virtual environment
// the one in use: they are the reason for ours.
func pluginEnvironment(activated, given []string) []string {
	own := map[string]bool{"PATH": true, "VIRTUAL_ENV": true, "PYTHONHOME": true}
	environment := activated
	for _, entry := range given {
		if activated != nil && own[variableName(entry)] {
			continue
		}
		environment = append(environment, entry)
	}
	return environment
}
