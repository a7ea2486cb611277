"""What Pulumi declares: stack, network, images, containers, backends, proxy, outputs."""
