package main

import (
	"strings"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
	"google.golang.org/protobuf/types/known/structpb"
)

func program(t *testing.T, given map[string]any) *pulumirpc.ProgramInfo {
	t.Helper()
	options, err := structpb.NewStruct(given)
	if err != nil {
		t.Fatal(err)
	}
	return &pulumirpc.ProgramInfo{
		RootDirectory:    "/project",
		ProgramDirectory: "/project/program",
		EntryPoint:       ".",
		Options:          options,
	}
}

func TestOptions(t *testing.T) {
	got, err := options(program(t, map[string]any{
		"toolchain": "uv", "virtualenv": ".venv", "typechecker": "mypy", "unheardOf": 1,
	}))
	want := toolchain.PythonOptions{
		Root:        "/project",
		ProgramDir:  "/project/program",
		Virtualenv:  ".venv",
		Toolchain:   toolchain.Uv,
		Typechecker: toolchain.TypeCheckerMypy,
	}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestProgramWithoutVirtualenvUsesThePythonOnPath(t *testing.T) {
	got, err := options(program(t, nil))
	if err != nil || got.Virtualenv != "" || got.Toolchain != toolchain.Auto {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestPluginHasAVirtualenvOfItsOwn(t *testing.T) {
	for given, want := range map[string]string{"": "venv", "mine": "mine"} {
		got, err := pluginOptions(program(t, map[string]any{"virtualenv": given}))
		if err != nil || got.Virtualenv != want {
			t.Errorf("%q gives %+v, %v", given, got, err)
		}
	}
	// uv has a default of its own.
	got, err := pluginOptions(program(t, map[string]any{"toolchain": "uv"}))
	if err != nil || got.Virtualenv != "" {
		t.Errorf("uv gives %+v, %v", got, err)
	}
}

func TestBadOptionsAreNamed(t *testing.T) {
	for option, value := range map[string]any{
		"toolchain": "conda", "typechecker": "ruff", "virtualenv": true,
	} {
		_, err := options(program(t, map[string]any{option: value}))
		if err == nil || !strings.Contains(err.Error(), option) {
			t.Errorf("%s: %v gives %v", option, value, err)
		}
	}
}
