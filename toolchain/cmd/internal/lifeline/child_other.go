//go:build !linux

package lifeline

import "os/exec"

// endWithParent does nothing where the kernel offers nothing: Follow still ends the group when
// the engine dies. Only a plugin that is itself killed leaves its child behind.
func endWithParent(*exec.Cmd) {}
