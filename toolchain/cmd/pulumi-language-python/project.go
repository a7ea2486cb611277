package main

import (
	"context"
	"io"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
)

// About tells which Python, and which version of the toolchain, a project uses.
func (h *host) About(
	call context.Context, req *pulumirpc.AboutRequest,
) (*pulumirpc.AboutResponse, error) {
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
	about, err := chain.About(ctx)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.AboutResponse{
		Executable: about.PythonExecutable,
		Version:    about.PythonVersion.String(),
		Metadata: map[string]string{
			"toolchain":        toolchain.Name(opts.Toolchain),
			"toolchainVersion": about.ToolchainVersion.String(),
			"typechecker":      toolchain.TypeCheckerName(opts.Typechecker),
		},
	}, nil
}

// RuntimeOptionsPrompts has `pulumi new` ask for the options that a template leaves open.
func (h *host) RuntimeOptionsPrompts(
	_ context.Context, req *pulumirpc.RuntimeOptionsRequest,
) (*pulumirpc.RuntimeOptionsResponse, error) {
	given := req.GetInfo().GetOptions().AsMap()
	var prompts []*pulumirpc.RuntimeOptionPrompt

	name, asked := given["toolchain"]
	if !asked {
		pip := choice("pip")
		// Every Python brings pip; the others are offered where they are installed.
		others := plugin.MakeExecutablePromptChoices("poetry", "uv")
		prompts = append(prompts, &pulumirpc.RuntimeOptionPrompt{
			Key:         "toolchain",
			Description: "The toolchain to use for installing dependencies and running the program",
			PromptType:  pulumirpc.RuntimeOptionPrompt_STRING,
			Choices:     append([]*pulumirpc.RuntimeOptionPrompt_RuntimeOptionValue{pip}, others...),
			Default:     pip,
		})
	}
	if _, asked := given["virtualenv"]; name == "pip" && !asked {
		venv := choice(defaultVirtualenv)
		prompts = append(prompts, &pulumirpc.RuntimeOptionPrompt{
			Key:         "virtualenv",
			Description: "The virtual environment to use",
			PromptType:  pulumirpc.RuntimeOptionPrompt_STRING,
			Choices:     []*pulumirpc.RuntimeOptionPrompt_RuntimeOptionValue{venv},
			Default:     venv,
		})
	}
	return &pulumirpc.RuntimeOptionsResponse{Prompts: prompts}, nil
}

func choice(value string) *pulumirpc.RuntimeOptionPrompt_RuntimeOptionValue {
	return &pulumirpc.RuntimeOptionPrompt_RuntimeOptionValue{
		PromptType:  pulumirpc.RuntimeOptionPrompt_STRING,
		StringValue: value,
		DisplayName: value,
	}
}

// Template turns a new project's requirements.txt into what its toolchain reads.
func (h *host) Template(
	call context.Context, req *pulumirpc.TemplateRequest,
) (*pulumirpc.TemplateResponse, error) {
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
	err = chain.PrepareProject(
		ctx, req.GetProjectName(), opts.ProgramDir, false, io.Discard, io.Discard)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.TemplateResponse{}, nil
}
