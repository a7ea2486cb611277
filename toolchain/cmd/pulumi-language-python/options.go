package main

import (
	"fmt"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
)

// defaultVirtualenv is where plugins and policy packs have their dependencies if they do not
// say. They never use whatever Python is found on PATH; a program without the option does.
const defaultVirtualenv = "venv"

// options reads the runtime options of Pulumi.yaml. An option that is not known is let pass:
// the CLI may know options that this host has no use for.
func options(info *pulumirpc.ProgramInfo) (toolchain.PythonOptions, error) {
	opts := toolchain.PythonOptions{
		Root:       info.GetRootDirectory(),
		ProgramDir: info.GetProgramDirectory(),
	}
	given := info.GetOptions().AsMap()

	var err error
	if opts.Virtualenv, err = text(given, "virtualenv"); err != nil {
		return opts, err
	}

	name, err := text(given, "toolchain")
	if err != nil {
		return opts, err
	}
	switch name {
	case "":
		opts.Toolchain = toolchain.Auto
	case "pip":
		opts.Toolchain = toolchain.Pip
	case "uv":
		opts.Toolchain = toolchain.Uv
	case "poetry":
		opts.Toolchain = toolchain.Poetry
	default:
		return opts, fmt.Errorf("the runtime option toolchain is %q; it can be pip, uv or poetry", name)
	}

	name, err = text(given, "typechecker")
	if err != nil {
		return opts, err
	}
	switch name {
	case "":
		opts.Typechecker = toolchain.TypeCheckerNone
	case "mypy":
		opts.Typechecker = toolchain.TypeCheckerMypy
	case "pyright":
		opts.Typechecker = toolchain.TypeCheckerPyright
	default:
		return opts, fmt.Errorf("the runtime option typechecker is %q; it can be mypy or pyright", name)
	}
	return opts, nil
}

// pluginOptions are the options of a plugin or policy pack.
func pluginOptions(info *pulumirpc.ProgramInfo) (toolchain.PythonOptions, error) {
	opts, err := options(info)
	usesPip := opts.Toolchain == toolchain.Pip || opts.Toolchain == toolchain.Auto
	if usesPip && opts.Virtualenv == "" {
		opts.Virtualenv = defaultVirtualenv
	}
	return opts, err
}

func text(given map[string]any, key string) (string, error) {
	switch value := given[key].(type) {
	case nil:
		return "", nil
	case string:
		return value, nil
	default:
		return "", fmt.Errorf("the runtime option %s is %v; it must be a text", key, value)
	}
}
