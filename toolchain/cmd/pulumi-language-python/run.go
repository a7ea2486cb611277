package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"loadbalancer/toolchain/cmd/internal/lifeline"
)

// alreadyShown is the exit code by which the executor says that the user has seen the error.
const alreadyShown = 32

// How long a program that is asked to end may take before it is killed.
const endGrace = 5 * time.Second

// Run runs a program to its end. A program that fails is an answer; only what kept it from
// running is an error.
func (h *host) Run(call context.Context, req *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	ctx, end := h.begin(call)
	defer end()

	if req.GetAttachDebugger() {
		return nil, status.Error(codes.Unimplemented, "this language host cannot attach a debugger")
	}
	opts, err := options(req.GetInfo())
	if err != nil {
		return nil, err
	}
	chain, err := toolchain.ResolveToolchain(opts)
	if err != nil {
		return nil, err
	}
	if err := chain.ValidateVenv(ctx); err != nil {
		return nil, err
	}
	if err := h.checkTypes(ctx, chain, opts); err != nil {
		return nil, err
	}

	cmd, err := chain.Command(ctx, h.arguments(req)...)
	if err != nil {
		return nil, err
	}
	if cmd.Env, err = withConfig(unbuffered(cmd.Env), req); err != nil {
		return nil, err
	}
	// The engine shows what this process writes, as it comes.
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	endOnCancel(cmd)
	err = lifeline.Run(cmd)
	if ctx.Err() != nil {
		return nil, status.Error(codes.Canceled, "the program was ended by the engine")
	}
	return outcome(err)
}

// arguments are those of the executor, with the executor first.
func (h *host) arguments(req *pulumirpc.RunRequest) []string {
	args := []string{h.executor}
	flag := func(name, value string) {
		if value != "" {
			args = append(args, "--"+name, value)
		}
	}
	flag("monitor", req.GetMonitorAddress())
	flag("engine", h.engineAddress())
	flag("organization", req.GetOrganization())
	flag("project", req.GetProject())
	flag("stack", req.GetStack())
	flag("root_directory", req.GetInfo().GetRootDirectory())
	flag("pwd", req.GetPwd())
	flag("dry_run", strconv.FormatBool(req.GetDryRun()))
	flag("parallel", strconv.Itoa(int(req.GetParallel())))
	flag("tracing", h.tracing)
	args = append(args, req.GetInfo().GetEntryPoint())
	return append(args, req.GetArgs()...)
}

// unbuffered makes Python write at once what is printed: the engine shows it as it comes, and waits
// for the port that a plugin prints. No environment, to exec.Cmd, is that of this process.
func unbuffered(environment []string) []string {
	if environment == nil {
		environment = os.Environ()
	}
	return append(slices.Clip(environment), "PYTHONUNBUFFERED=1")
}

// The variables in which the SDK looks for the stack's configuration.
const (
	configVariable     = "PULUMI_CONFIG"
	secretKeysVariable = "PULUMI_CONFIG_SECRET_KEYS"
)

// withConfig adds the stack's configuration to an environment. What is empty is left out, as an
// empty map of Go is written as null, which the SDK takes for a configuration. A variable
// that this process was itself started with belongs to somebody else's stack.
func withConfig(environment []string, req *pulumirpc.RunRequest) ([]string, error) {
	environment = slices.DeleteFunc(slices.Clone(environment), func(entry string) bool {
		name := variableName(entry)
		return name == configVariable || name == secretKeysVariable
	})
	if config := req.GetConfig(); len(config) > 0 {
		value, err := json.Marshal(config)
		if err != nil {
			return nil, fmt.Errorf("handing on the configuration: %w", err)
		}
		environment = append(environment, configVariable+"="+string(value))
	}
	if keys := req.GetConfigSecretKeys(); len(keys) > 0 {
		value, err := json.Marshal(keys)
		if err != nil {
			return nil, fmt.Errorf("handing on the names of the secrets: %w", err)
		}
		environment = append(environment, secretKeysVariable+"="+string(value))
	}
	return environment, nil
}

// endOnCancel asks a command to end when its context ends. Not by an interrupt: the user, who
// has seen why the update ended, would see Python's traceback as well.
func endOnCancel(cmd *exec.Cmd) {
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endGrace
}

// outcome tells the engine how a program ended.
func outcome(err error) (*pulumirpc.RunResponse, error) {
	var exited *exec.ExitError
	switch {
	case err == nil:
		return &pulumirpc.RunResponse{}, nil
	case !errors.As(err, &exited):
		return nil, fmt.Errorf("the program could not be run: %w", err)
	case exited.ExitCode() == alreadyShown:
		return &pulumirpc.RunResponse{Bail: true}, nil
	}
	if code := exited.ExitCode(); code >= 0 {
		return &pulumirpc.RunResponse{
			Error: fmt.Sprintf("program exited with non-zero exit code: %d", code),
		}, nil
	}
	ended := "unexpectedly"
	if state, ok := exited.Sys().(syscall.WaitStatus); ok && state.Signaled() {
		ended = "by the signal " + state.Signal().String()
	}
	return &pulumirpc.RunResponse{Error: "program was ended " + ended}, nil
}

// variableName is the name in an environment's NAME=VALUE.
func variableName(entry string) string {
	name, _, _ := strings.Cut(entry, "=")
	return name
}
