// pulumi-resource-pulumi-python runs the dynamic providers of a program in the program's own
// Python environment.
//
// The SDK has a shell script of that name. A shell does not notice that the engine was killed,
// so its Python would stay for ever; this program ends it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"

	"loadbalancer/toolchain/cmd/internal/lifeline"
)

// The module of the SDK that serves dynamic providers.
const module = "pulumi.dynamic"

// How long a resource may take to finish what it is doing when the engine has gone.
const grace = time.Second

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-resource-pulumi-python:", err)
	}
	os.Exit(code)
}

// run returns the exit code of Python, or 1 with the error that kept it from running.
func run(args []string) (int, error) {
	if err := lifeline.Follow(lifeline.EngineAddress(args), grace); err != nil {
		return 1, err
	}
	cmd, err := command(args)
	if err != nil {
		return 1, err
	}
	child, err := lifeline.Start(cmd)
	if err != nil {
		return 1, err
	}
	go passOn(cmd.Process)

	err = child.Wait()
	var exited *exec.ExitError
	if errors.As(err, &exited) && exited.ExitCode() > 0 {
		return exited.ExitCode(), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}

// command starts Python as the project's runtime options say, which the engine hands on as
// variables; without any it is the python3 on PATH.
func command(args []string) (*exec.Cmd, error) {
	opts, err := options()
	if err != nil {
		return nil, err
	}
	chain, err := toolchain.ResolveToolchain(opts)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	if err := chain.ValidateVenv(ctx); err != nil {
		return nil, err
	}
	// Unbuffered: the engine shows what a provider prints, and waits for the port's number.
	cmd, err := chain.Command(ctx, append([]string{"-u", "-m", module}, args...)...)
	if err != nil {
		return nil, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd, nil
}

func options() (toolchain.PythonOptions, error) {
	project, err := os.Getwd()
	opts := toolchain.PythonOptions{
		Root:       project,
		ProgramDir: project,
		Virtualenv: os.Getenv("PULUMI_RUNTIME_VIRTUALENV"),
	}
	switch os.Getenv("PULUMI_RUNTIME_TOOLCHAIN") {
	case "pip":
		opts.Toolchain = toolchain.Pip
	case "uv":
		opts.Toolchain = toolchain.Uv
	case "poetry":
		opts.Toolchain = toolchain.Poetry
	}
	return opts, err
}

// passOn keeps signals from ending this process before its child. An interrupt goes to the
// whole group anyway.
func passOn(child *os.Process) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	for received := range signals {
		if received != os.Interrupt {
			_ = child.Signal(received)
		}
	}
}
