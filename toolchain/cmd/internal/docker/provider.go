// Package docker maps the Terraform provider for Docker to Pulumi's names.
package docker

import (
	"iter"
	"strings"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	tfshim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
	sdkv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/terraform-providers/terraform-provider-docker/shim"
)

// Name of the Pulumi package.
const Name = "docker"

// Lengths and joint of the names that Pulumi makes for resources without one.
const (
	autonameLength = 255
	autonameJoint  = "-"
)

// Terraform's names that are not simply the Pulumi name in another spelling.
var renamed = map[string]string{
	"docker_image":  "RemoteImage",
	"docker_config": "ServiceConfig",
}

// Provider describes the Docker package at the given version, as the SDK on PyPI knows it.
func Provider(version string) tfbridge.ProviderInfo {
	info := tfbridge.ProviderInfo{
		P:           sdkv2.NewProvider(shim.NewProvider(version)),
		Name:        Name,
		Version:     version,
		DisplayName: "Docker",
		Publisher:   "Pulumi",
		Description: "A Pulumi package for interacting with Docker in Pulumi programs",
		License:     "Apache-2.0",
		GitHubOrg:   "kreuzwerker",
		Config: map[string]*tfbridge.SchemaInfo{
			"host": {
				Default: &tfbridge.DefaultInfo{
					EnvVars: []string{"DOCKER_HOST"},
					Value:   "unix:///var/run/docker.sock",
				},
			},
			"registry_auth": {Name: "registryAuth", MaxItemsOne: tfbridge.False()},
		},
		Resources:   map[string]*tfbridge.ResourceInfo{},
		DataSources: map[string]*tfbridge.DataSourceInfo{},
	}
	for name := range all(info.P.ResourcesMap()) {
		info.Resources[name] = &tfbridge.ResourceInfo{Tok: tokens.Type(token(pulumiName(name)))}
	}
	for name := range all(info.P.DataSourcesMap()) {
		info.DataSources[name] = &tfbridge.DataSourceInfo{
			Tok: tokens.ModuleMember(token("get" + pulumiName(name))),
		}
	}

	container := info.Resources["docker_container"]
	// Two containers of one name, or on one host port, cannot be there at the same time.
	container.DeleteBeforeReplace = true
	container.Fields = map[string]*tfbridge.SchemaInfo{
		// Lists keep their singular names where the SDK does not speak of them in the plural.
		"command":           {Name: "command"},
		"networks_advanced": {Name: "networksAdvanced"},
	}
	info.SetAutonaming(autonameLength, autonameJoint)
	return info
}

// all goes through the names of a map that has no range of its own.
func all(resources tfshim.ResourceMap) iter.Seq[string] {
	return func(yield func(string) bool) {
		resources.Range(func(name string, _ tfshim.Resource) bool { return yield(name) })
	}
}

// pulumiName turns "docker_registry_image" into "RegistryImage".
func pulumiName(terraformName string) string {
	if name, ok := renamed[terraformName]; ok {
		return name
	}
	var name strings.Builder
	for _, word := range strings.Split(strings.TrimPrefix(terraformName, Name+"_"), "_") {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return name.String()
}

// token puts a member into the package's one module: "docker:index/container:Container".
func token(member string) string {
	file := strings.ToLower(member[:1]) + member[1:]
	return Name + ":index/" + file + ":" + member
}
