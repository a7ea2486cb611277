package main

import (
	"regexp"
	"strings"
)

// A version of Python's packages, without the epoch that no plugin's version can express:
// https://peps.python.org/pep-0440/
var pythonVersion = regexp.MustCompile(
	`^(\d+(?:\.\d+)*)(?:(a|b|rc)(\d+))?(?:\.post(\d+))?(?:\.dev(\d+))?$`)

var preRelease = map[string]string{"a": "alpha", "b": "beta", "rc": "rc"}

// semanticVersion gives the version of a plugin that belongs to the version of its SDK:
// 1.0 -> 1.0.0, 1.2.3a4 -> 1.2.3-alpha.4, 1.2.3.post4.dev5 -> 1.2.3+post4dev5. It is false for
// a version that has none.
func semanticVersion(version string) (string, bool) {
	match := pythonVersion.FindStringSubmatch(version)
	if match == nil {
		return "", false
	}
	numbers, stage, of, post, dev := match[1], match[2], match[3], match[4], match[5]
	for strings.Count(numbers, ".") < 2 {
		numbers += ".0"
	}
	if stage != "" {
		numbers += "-" + preRelease[stage] + "." + of
	}
	var build string
	if post != "" {
		build += "post" + post
	}
	if dev != "" {
		build += "dev" + dev
	}
	if build != "" {
		build = "+" + build
	}
	return numbers + build, true
}
