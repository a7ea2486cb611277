package main

import (
	"context"
	"os/exec"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
)

// printing is a toolchain whose Python prints a text, whatever it is asked.
type printing struct {
	toolchain.Toolchain
	text string
}

func (p printing) Command(ctx context.Context, _ ...string) (*exec.Cmd, error) {
	return exec.CommandContext(ctx, "printf", "%s", p.text), nil
}

func TestAboutPip(t *testing.T) {
	found := aboutPip(context.Background(), printing{text: "/a b/python\n3.11.7\n24.0\n"})
	if found == nil {
		t.Fatal("no answer")
	}
	if found.Executable != "/a b/python" || found.Version != "3.11.7" {
		t.Errorf("found %q, version %q", found.Executable, found.Version)
	}
	if version := found.Metadata["toolchainVersion"]; version != "24.0" {
		t.Errorf("found pip %q", version)
	}
	for _, text := range []string{"", "/python\n3.11.7\n"} {
		if found := aboutPip(context.Background(), printing{text: text}); found != nil {
			t.Errorf("%q gave %v", text, found)
		}
	}
}
