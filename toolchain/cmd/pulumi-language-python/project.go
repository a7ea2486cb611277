package main

import (
	"context"
	"io"
	"strings"

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
	if opts.Toolchain == toolchain.Pip {
		if found := aboutPip(ctx, chain); found != nil {
			found.Metadata["typechecker"] = toolchain.TypeCheckerName(opts.Typechecker)
			return found, nil
		}
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

// describePython prints Python's path, its version and that of pip, a line each.
const describePython = `import importlib.metadata, platform, sys
print(sys.executable, platform.python_version(), importlib.metadata.version("pip"), sep="\n")`

// aboutPip asks Python once. The toolchain's own About, which every update calls, starts three
// processes; of those `pip --version` alone takes an eighth of the processor time of an update.
// It returns nil where there is no answer, such as without pip.
func aboutPip(ctx context.Context, chain toolchain.Toolchain) *pulumirpc.AboutResponse {
	cmd, err := chain.Command(ctx, "-c", describePython)
	if err != nil {
		return nil
	}
	printed, err := output(cmd)
	lines := strings.Split(strings.TrimSpace(string(printed)), "\n")
	if err != nil || len(lines) != 3 {
		return nil
	}
	return &pulumirpc.AboutResponse{
		Executable: lines[0],
		Version:    lines[1],
		Metadata: map[string]string{
			"toolchain":        toolchain.Name(toolchain.Pip),
			"toolchainVersion": lines[2],
		},
	}
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
