// Package shim hands out the Terraform provider for Docker.
//
// Its constructor sits in an internal package. This module's path lies below the provider's
// own, which is what Go asks of whoever imports that.
package shim

import (
	"github.com/hashicorp/terraform-plugin-sdk/v2/helper/schema"
	"github.com/terraform-providers/terraform-provider-docker/internal/provider"
)

// NewProvider makes a provider that calls itself version towards the Docker daemon.
func NewProvider(version string) *schema.Provider {
	return provider.New(version)()
}
