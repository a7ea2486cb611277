package main

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
)

func TestRequiredPackages(t *testing.T) {
	for _, test := range []struct {
		of      distribution
		name    string // empty when there is none
		version string
	}{
		{
			distribution{"pulumi-docker", "5.2.0", &plugin.PulumiPluginJSON{
				Resource: true, Name: "docker", Version: "5.2.0",
			}},
			"docker", "v5.2.0",
		},
		{
			distribution{"acme-thing", "1.0", &plugin.PulumiPluginJSON{
				Resource: true, Name: "thing", Version: "v2.0.0", Server: "https://example.com",
			}},
			"thing", "v2.0.0",
		},
		{distribution{"pulumi-old", "1.0rc2", nil}, "old", "v1.0.0-rc.2"},
		{distribution{"pulumi-none", "1.0.0", &plugin.PulumiPluginJSON{Resource: false}}, "", ""},
		{distribution{"pulumi-policy", "1.0.0", nil}, "", ""},
		{distribution{"pulumi-local", "1.0+local", nil}, "", ""},
	} {
		got, err := requiredPackages([]distribution{test.of})
		if err != nil {
			t.Error(err)
			continue
		}
		if test.name == "" {
			if len(got) != 0 {
				t.Errorf("%s needs %v", test.of.Name, got)
			}
			continue
		}
		if len(got) != 1 || got[0].GetName() != test.name || got[0].GetVersion() != test.version ||
			got[0].GetKind() != "resource" || got[0].GetServer() != serverOf(test.of) {
			t.Errorf("%s needs %v", test.of.Name, got)
		}
	}
}

func serverOf(of distribution) string {
	if of.Plugin == nil {
		return ""
	}
	return of.Plugin.Server
}
