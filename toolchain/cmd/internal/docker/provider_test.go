package docker

import (
	"testing"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
)

const version = "5.2.0"

func TestProviderIsValid(t *testing.T) {
	info := Provider(version)
	if err := info.P.InternalValidate(); err != nil {
		t.Error(err)
	}
}

func TestTokens(t *testing.T) {
	info := Provider(version)
	for name, want := range map[string]string{
		"docker_container":      "docker:index/container:Container",
		"docker_image":          "docker:index/remoteImage:RemoteImage",
		"docker_config":         "docker:index/serviceConfig:ServiceConfig",
		"docker_registry_image": "docker:index/registryImage:RegistryImage",
	} {
		if got := string(info.Resources[name].Tok); got != want {
			t.Errorf("%s is %s, not %s", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"docker_image":                    "docker:index/getRemoteImage:getRemoteImage",
		"docker_registry_image_manifests": "docker:index/getRegistryImageManifests:getRegistryImageManifests",
	} {
		if got := string(info.DataSources[name].Tok); got != want {
			t.Errorf("%s is %s, not %s", name, got, want)
		}
	}
}

func TestContainerKeepsTheNamesOfTheSDK(t *testing.T) {
	info := Provider(version)
	schema := info.P.ResourcesMap().Get("docker_container").Schema()
	fields := info.Resources["docker_container"].Fields
	for terraform, want := range map[string]string{
		"command":           "command",
		"networks_advanced": "networksAdvanced",
		"ports":             "ports",
		"env":               "envs",
		"host":              "hosts",
		"tmpfs":             "tmpfs",
	} {
		if got := tfbridge.TerraformToPulumiNameV2(terraform, schema, fields); got != want {
			t.Errorf("%s is %s, not %s", terraform, got, want)
		}
	}
}

func TestContainerIsDeletedBeforeItsReplacement(t *testing.T) {
	if !Provider(version).Resources["docker_container"].DeleteBeforeReplace {
		t.Error("a container would meet its successor's name and ports")
	}
}
