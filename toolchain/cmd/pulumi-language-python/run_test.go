package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

func TestArguments(t *testing.T) {
	h := newHost("/bin/exec", "127.0.0.1:1", "")
	got := h.arguments(&pulumirpc.RunRequest{
		MonitorAddress: "127.0.0.1:2",
		Project:        "project",
		Stack:          "stack",
		Organization:   "organization",
		Pwd:            "/work",
		DryRun:         true,
		Parallel:       4,
		Info:           program(t, nil),
		Args:           []string{"--more"},
	})
	want := strings.Fields("/bin/exec --monitor 127.0.0.1:2 --engine 127.0.0.1:1" +
		" --organization organization --project project --stack stack --root_directory /project" +
		" --pwd /work --dry_run true --parallel 4 . --more")
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestConfigIsHandedOn(t *testing.T) {
	got, err := withConfig([]string{"A=1", "PULUMI_CONFIG=stale"}, &pulumirpc.RunRequest{
		Config:           map[string]string{"p:k": "v"},
		ConfigSecretKeys: []string{"p:k"},
	})
	want := []string{"A=1", `PULUMI_CONFIG={"p:k":"v"}`, `PULUMI_CONFIG_SECRET_KEYS=["p:k"]`}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestPrintedIsNotHeldBack(t *testing.T) {
	t.Setenv("OF_THIS_PROCESS", "1")
	if got := unbuffered(nil); !slices.Contains(got, "OF_THIS_PROCESS=1") {
		t.Errorf("no environment became %q", got)
	}
	for _, given := range [][]string{nil, {"A=1"}, {"PYTHONUNBUFFERED="}} {
		if got := unbuffered(given); got[len(got)-1] != "PYTHONUNBUFFERED=1" {
			t.Errorf("%q became %q", given, got)
		}
	}
}

func TestEmptyConfigIsNoVariable(t *testing.T) {
	stale := []string{"A=1", "PULUMI_CONFIG={}", "PULUMI_CONFIG_SECRET_KEYS=[]"}
	got, err := withConfig(stale, &pulumirpc.RunRequest{})
	if err != nil || !slices.Equal(got, []string{"A=1"}) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestOutcome(t *testing.T) {
	for _, test := range []struct {
		script, message string
		bail            bool
	}{
		{"exit 0", "", false},
		{"exit 32", "", true},
		{"exit 3", "program exited with non-zero exit code: 3", false},
		{"kill -9 $$", "program was ended by the signal killed", false},
	} {
		got, err := outcome(exec.Command("sh", "-c", test.script).Run())
		if err != nil || got.GetError() != test.message || got.GetBail() != test.bail {
			t.Errorf("%s gives %v, %v", test.script, got, err)
		}
	}
	if _, err := outcome(exec.Command("/no/such/program").Run()); err == nil {
		t.Error("a program that cannot be run is no error")
	}
}

func TestPluginEnvironmentKeepsTheVirtualenv(t *testing.T) {
	activated := []string{"PATH=/venv/bin:/bin", "VIRTUAL_ENV=/venv", "A=1"}
	given := []string{"PATH=/bin", "VIRTUAL_ENV=/other", "PYTHONHOME=/home", "A=2"}
	got := pluginEnvironment(activated, given)
	// Of two values for one name the later one counts.
	if want := append(slices.Clone(activated), "A=2"); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if got := pluginEnvironment(nil, given); !slices.Equal(got, given) {
		t.Errorf("without a virtual environment: got %q", got)
	}
}
