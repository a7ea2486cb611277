package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"

	"loadbalancer/toolchain/cmd/internal/lifeline"
)

// checkTypes runs the type checker that the runtime options ask for, if they do.
func (h *host) checkTypes(
	ctx context.Context, chain toolchain.Toolchain, opts toolchain.PythonOptions,
) error {
	if opts.Typechecker == toolchain.TypeCheckerNone {
		return nil
	}
	checker := strings.ToLower(toolchain.TypeCheckerName(opts.Typechecker))
	var args []string
	if opts.Typechecker == toolchain.TypeCheckerMypy {
		// It would check the dependencies too, where these are inside the program's folder.
		venv, err := chain.VirtualEnvPath(ctx)
		if err != nil {
			return err
		}
		if inside, err := filepath.Rel(opts.ProgramDir, venv); venv != "" && err == nil {
			args = append(args, "--exclude", inside)
		}
	}
	cmd, err := chain.ModuleCommand(ctx, checker, append(args, opts.ProgramDir)...)
	if err != nil {
		return err
	}
	cmd.Dir = opts.ProgramDir
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := lifeline.Run(cmd); err != nil {
		return fmt.Errorf("the runtime option typechecker is set, and %s failed: %w", checker, err)
	}
	return nil
}
